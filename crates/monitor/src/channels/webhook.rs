//! Webhooks as the Standard Webhooks specification has them (standardwebhooks.com, 1.0): a POST of
//! JSON with the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.
//!
//! The operator writes the URL into a file of the server, so requests to private addresses are
//! allowed.

use ::http::{HeaderValue, Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::http::{Client, Url};
use super::section::WebhookSection;
use super::{SendError, read_secret};
use crate::notice::Notice;

const SECRET_PREFIX: &str = "whsec_";
/// Length of a secret, as the specification has it.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Secrets of one webhook: an old one and a new one, and one more.
const MAX_SECRETS: usize = 3;

/// One receiver.
#[derive(Debug)]
pub(super) struct Webhook {
    url: Url,
    client: Client,
    secrets: Vec<hmac::Key>,
}

impl Webhook {
    pub(super) fn new(section: &WebhookSection) -> Result<Self, String> {
        let url = Url::parse(&section.url)?;
        let file = section.secret_file.display();
        let text = read_secret(&section.secret_file)?;
        let secrets = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets = secrets.map(secret).collect::<Option<Vec<_>>>();
        let secrets = secrets.filter(|secrets| secrets.len() <= MAX_SECRETS);
        let secrets = secrets.ok_or_else(|| {
            format!(
                "{file}: a secret is {SECRET_PREFIX} and base64 of {} to {} bytes; up to {MAX_SECRETS} lines",
                SECRET_BYTES.start(),
                SECRET_BYTES.end()
            )
        })?;
        Ok(Self {
            client: Client::new(&url)?,
            url,
            secrets,
        })
    }

    /// Posts a notice. A status of 2xx says that the receiver has it; 410 that it does not want
    /// any more; 400, 413, 415 and 422 that it does not take this one.
    pub(super) async fn send(&self, notice: &Notice, now: i64) -> Result<(), SendError> {
        let request = self.request(notice, now);
        let request = request.map_err(|error| SendError::Refused(error.to_string()))?;
        let status = self.client.send(request).await.map_err(SendError::Failed)?;
        match status {
            status if status.is_success() => Ok(()),
            StatusCode::GONE => Err(SendError::Gone(format!("{} answers 410 Gone", self.url))),
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(SendError::Refused(format!("{} answers {status}", self.url)))
            }
            status => Err(SendError::Failed(format!("{} answers {status}", self.url))),
        }
    }

    fn request(&self, notice: &Notice, now: i64) -> ::http::Result<Request<String>> {
        let body = notice.json();
        let signature = self.signature(&notice.id, now, &body);
        Request::builder()
            .method(Method::POST)
            .uri(self.url.to_string())
            .header("content-type", "application/json")
            .header("user-agent", "treehead")
            .header("webhook-id", HeaderValue::from_str(&notice.id)?)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signature)
            .body(body)
    }

    /// `v1,<base64>` of the HMAC-SHA256 over ID, time and body, for each secret.
    fn signature(&self, id: &str, now: i64, body: &str) -> String {
        let signed = format!("{id}.{now}.{body}");
        let signatures = self.secrets.iter().map(|secret| {
            let tag = hmac::sign(secret, signed.as_bytes());
            format!("v1,{}", STANDARD.encode(tag))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn secret(line: &str) -> Option<hmac::Key> {
    let bytes = STANDARD.decode(line.strip_prefix(SECRET_PREFIX)?).ok()?;
    let is_long_enough = SECRET_BYTES.contains(&bytes.len());
    is_long_enough.then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_specification() {
        // The example of the specification's libraries.
        let webhook = Webhook {
            url: Url::parse("http://localhost/").unwrap(),
            client: Client::new(&Url::parse("http://localhost/").unwrap()).unwrap(),
            secrets: vec![secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()],
        };
        let signature = webhook.signature(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_have_a_prefix_and_a_length() {
        for (line, is_secret) in [
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", false),
            ("whsec_MfKQ9r8G", false),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", false),
        ] {
            assert_eq!(secret(line).is_some(), is_secret, "{line}");
        }
    }
}
