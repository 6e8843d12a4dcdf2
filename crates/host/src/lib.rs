//! Serves any HTTP role within limits: connections, requests and bodies are bounded and shared
//! fairly among addresses.
//!
//! A role brings a [`axum::Router`]; [`serve`] runs it beside its metrics and its health, and stops
//! it gracefully. For the inside of a request there are [`Bodies`] and [`Budget`] for memory,
//! [`Pool`] for whatever is short, [`Cors`], and [`Observer`] for request ids, access log and
//! metrics.
//!
//! Absent on purpose: which routes there are and what they answer, TLS, authentication.

mod authority;
mod body;
mod budget;
mod connection;
mod connections;
mod cors;
mod fair;
mod health;
pub mod limits;
mod memory;
mod metrics;
mod observe;
mod patience;
mod peer;
mod public_url;
mod receive;
mod refusal;
mod requests;
mod route;
mod serve;

pub use authority::authority;
pub use body::{Admitted, Bodies, Decoded, FRAME_HEADER_BYTES, has_body, patience, patience_with};
pub use budget::{Budget, Share};
pub use cors::{Cors, Origin, OriginError};
pub use fair::{Pool, Rule, Taken};
pub use health::healthz;
pub use limits::Limits;
pub use memory::Room;
pub use metrics::{BodyBytes, Metrics, SECONDS, method_label, refused_requests};
pub use observe::{Observer, RequestIds};
pub use peer::{Address, Peer};
pub use public_url::{PublicUrl, PublicUrlError};
pub use refusal::{JSON, Reason, Refusal};
pub use route::{Access, Endless, Outcome, Route, Visibility};
pub use serve::{Role, ServeError, serve, serve_metrics};
