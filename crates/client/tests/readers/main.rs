//! Logs that are honest, and logs that are not, read through the crate's readers.

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod rekor;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tiled;
