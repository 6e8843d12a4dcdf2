//! Postgres, for production.
