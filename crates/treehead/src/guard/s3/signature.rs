//! Signatures of requests to an object store: AWS Signature Version 4, in headers.
//!
//! Left out: queries, bodies in chunks, and services other than S3.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName};
use http::{HeaderValue, Request};
use http_body_util::Full;
use ring::hmac;
use time::OffsetDateTime;
use tlog::sha256;

use super::credentials::Credentials;

const CONTENT_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Signs all headers of a request whose URL has no query.
pub(super) fn sign(
    request: &mut Request<Full<Bytes>>,
    body: &[u8],
    credentials: &Credentials,
    region: &str,
    now_millis: i64,
) -> Result<(), String> {
    let stamp = Stamp::of(now_millis)?;
    let host = request.uri().authority().map(ToString::to_string);
    let content_hash = sha256(body).to_string();
    let headers = request.headers_mut();
    headers.insert(HOST, value(&host.unwrap_or_default())?);
    headers.insert(CONTENT_HASH, value(&content_hash)?);
    headers.insert(DATE, value(&stamp.time)?);
    if let Some(token) = &credentials.token {
        headers.insert(TOKEN, value(token)?);
    }
    // Task 1: the canonical request. A map of headers has no order, and the signature has one.
    let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
    names.sort_unstable();
    let signed = names.join(";");
    let mut canonical = format!("{}\n{}\n\n", request.method(), request.uri().path());
    for name in &names {
        let value = request.headers().get(name).map(HeaderValue::to_str);
        let value = value.and_then(Result::ok).unwrap_or_default();
        // Writing to a text cannot fail.
        let _ = writeln!(canonical, "{name}:{}", value.trim());
    }
    let _ = write!(canonical, "\n{signed}\n{content_hash}");
    // Task 2: the string to sign.
    let scope = format!("{}/{region}/s3/aws4_request", stamp.date);
    let hash = sha256(canonical.as_bytes());
    let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hash}", stamp.time);
    // Task 3: the signature, by a key for this day, region and service.
    let secret = format!("AWS4{}", credentials.secret);
    let mut key = secret.into_bytes();
    for part in [&stamp.date, region, "s3", "aws4_request", &to_sign] {
        let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        key = hmac::sign(&hmac_key, part.as_bytes()).as_ref().to_vec();
    }
    let signature = hex::encode(key);
    // Task 4: the header.
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={signed},Signature={signature}",
        credentials.key_id
    );
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, value(&authorization)?);
    Ok(())
}

/// Encodes a path as the signature asks for it: all bytes but slashes and unreserved ones.
pub(super) fn encoded_path(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The time of a request.
struct Stamp {
    /// `20261130T170000Z`.
    time: String,
    /// `20261130`.
    date: String,
}

impl Stamp {
    fn of(now_millis: i64) -> Result<Self, String> {
        let now = OffsetDateTime::from_unix_timestamp(now_millis.div_euclid(1_000));
        let now = now.map_err(|error| error.to_string())?;
        let (year, month, day) = (now.year(), u8::from(now.month()), now.day());
        let (hour, minute, second) = now.to_hms();
        let date = format!("{year:04}{month:02}{day:02}");
        let time = format!("{date}T{hour:02}{minute:02}{second:02}Z");
        Ok(Self { time, date })
    }
}

fn value(text: &str) -> Result<HeaderValue, String> {
    text.parse()
        .map_err(|_| "a credential has characters that no header can have".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the second example of "Signature Calculations for the Authorization Header" in
    /// the reference of Amazon S3.
    #[test]
    fn signatures_are_those_of_the_reference() {
        let credentials = Credentials {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        let signature = |mut request: Request<Full<Bytes>>, body: &[u8]| {
            let time = 1_369_353_600_000;
            sign(&mut request, body, &credentials, "us-east-1", time).unwrap();
            let header = request.headers()[AUTHORIZATION]
                .to_str()
                .unwrap()
                .to_owned();
            header.split_once("Signature=").unwrap().1.to_owned()
        };
        let get = Request::get("https://examplebucket.s3.amazonaws.com/test.txt")
            .header("range", "bytes=0-9")
            .body(Full::default())
            .unwrap();
        assert_eq!(
            signature(get, b""),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let put = Request::put("https://examplebucket.s3.amazonaws.com/test%24file.text")
            .header("date", "Fri, 24 May 2013 00:00:00 GMT")
            .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
            .body(Full::default())
            .unwrap();
        assert_eq!(
            signature(put, b"Welcome to Amazon S3."),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }

    #[test]
    fn paths_are_encoded_byte_by_byte() {
        assert_eq!(encoded_path("a/b c$é~"), "a/b%20c%24%C3%A9~");
    }
}
