//! Another server of the ledger as a source of the guard.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Request, StatusCode};
use http_body_util::Full;
use ledger::guard::{GuardedHeads, PlaceError, Source};

use super::http::client;
use crate::http_client::HttpClient;

/// The heads that another server published, by `GET /guard`.
pub(super) struct Peer {
    url: String,
    client: HttpClient,
}

impl Peer {
    /// Makes a source of the server at this URL, which has no slash at its end.
    pub(super) fn new(url: String) -> Result<Self, PlaceError> {
        let client = client(&url);
        let client = client.map_err(|error| PlaceError(format!("{url}: {error}")))?;
        Ok(Self { url, client })
    }
}

#[async_trait]
impl Source for Peer {
    fn label(&self) -> String {
        self.url.clone()
    }

    async fn read(&self) -> Result<Option<GuardedHeads>, PlaceError> {
        let request = Request::get(format!("{}/guard", self.url))
            .header(USER_AGENT, "treehead")
            .body(Full::new(Bytes::new()));
        let request = request.map_err(|error| PlaceError(error.to_string()))?;
        let answer = self.client.send(request).await.map_err(PlaceError)?;
        if answer.status != StatusCode::OK {
            return Err(PlaceError(format!("it answers {}", answer.status)));
        }
        let found = GuardedHeads::decode(&answer.body);
        let found = found.map_err(|fault| PlaceError(fault.to_string()))?;
        Ok((!found.heads.is_empty()).then_some(found))
    }
}
