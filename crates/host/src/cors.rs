//! Cross-origin requests: which web pages a browser lets read from the server, and write to it.
//!
//! By default no page may. Pages of all origins may read a public server; pages of named origins
//! may write too.
//!
//! Written by hand: a stock layer answers a refused preflight, and the `Vary` of each answer,
//! differently from the servers that clients know.

use std::fmt;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::public_url::{PublicUrl, PublicUrlError, without_credentials};
use crate::route::{Access, Route};

const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
const VARY_PREFLIGHT: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
);

/// Request headers that a page of another origin may set.
const ALLOWED_HEADERS: [&str; 3] = ["accept", "content-type", "x-requested-with"];

/// The origin of web pages, in the form in which browsers send it: `https://log.example.org`, with
/// a port if it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// Not an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the origin of web pages: http:// or https://, a host and perhaps a port, nothing after it"
)]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let refused = || OriginError(without_credentials(text));
        let url = text.parse().map_err(|_: PublicUrlError| refused())?;
        let origin = PublicUrl::to_string(&url);
        let usual_port = if origin.starts_with("https:") {
            ":443"
        } else {
            ":80"
        };
        let origin = origin.strip_suffix(usual_port).unwrap_or(&origin);
        HeaderValue::from_str(origin)
            .map(Self)
            .map_err(|_| refused())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// Which web pages may use the server.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Whether pages of all origins may read.
    pub is_public: bool,
    /// Pages of these may read and write.
    pub origins: Vec<Origin>,
    /// Returns what a request of this path and method would do.
    pub access: fn(path: &str, method: &str) -> Access,
}

impl Cors {
    /// Answers preflights on every path, and marks all other answers of `next`.
    pub async fn answer<Answer: Future<Output = Response>>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> Answer,
    ) -> Response {
        if !self.is_public && self.origins.is_empty() {
            return next(request).await;
        }
        if request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            return self.preflight(request.uri().path(), request.headers());
        }
        let origin = request
            .headers()
            .get(ORIGIN)
            .filter(|_| is_allowed_method(request.method().as_str()))
            .cloned();
        let mut response = next(request).await;
        response.headers_mut().append(VARY, VARY_ORIGIN);
        let access = response
            .extensions()
            .get::<Route>()
            .map_or(Access::Read, |route| route.access);
        if let Some(allowed) = origin.and_then(|origin| self.allowed(access, &origin)) {
            response
                .headers_mut()
                .insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        }
        response
    }

    /// Whether a request that writes may come from the page that its browser names, if it names
    /// one.
    pub fn may_write(&self, headers: &HeaderMap) -> bool {
        headers
            .get_all(ORIGIN)
            .iter()
            .all(|origin| self.names(origin))
    }

    fn names(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|named| named.0 == origin)
    }

    /// The pages that may read an answer, beside those of the server's own origin.
    fn allowed(&self, access: Access, origin: &HeaderValue) -> Option<HeaderValue> {
        match access {
            _ if self.names(origin) => Some(origin.clone()),
            Access::Read if self.is_public => Some(ANY_ORIGIN),
            _ => None,
        }
    }

    /// Returns 204 in any case, with the permissions only if the whole request is allowed.
    fn preflight(&self, path: &str, asked: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(VARY, VARY_PREFLIGHT);
        let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD);
        let method = method.filter(|method| method.to_str().is_ok_and(is_allowed_method));
        let (Some(method), Some(origin)) = (method, asked.get(ORIGIN)) else {
            return response;
        };
        let wanted = asked.get(ACCESS_CONTROL_REQUEST_HEADERS);
        let access = (self.access)(path, method.to_str().unwrap_or_default());
        let Some(allowed) = self.allowed(access, origin) else {
            return response;
        };
        if wanted.is_none_or(are_allowed_headers) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
            if let Some(wanted) = wanted {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
        }
        response
    }
}

fn is_allowed_method(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST")
}

fn are_allowed_headers(wanted: &HeaderValue) -> bool {
    wanted.to_str().is_ok_and(|wanted| {
        wanted.split(',').map(str::trim).all(|name| {
            ALLOWED_HEADERS
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(name))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: (&str, &str) = ("origin", "https://example.com");
    const READ: &str = "/read";
    const WRITE: &str = "/write";

    fn cors(is_public: bool, origins: &[&str]) -> Cors {
        let origins = origins
            .iter()
            .map(|origin| origin.parse().expect("an origin"))
            .collect();
        let access = |path: &str, method: &str| match (path, method) {
            (WRITE, "POST") => Access::Write,
            _ => Access::Read,
        };
        Cors {
            is_public,
            origins,
            access,
        }
    }

    /// The origin that a preflight names.
    fn granted(cors: &Cors, path: &str, pairs: &[(&'static str, &'static str)]) -> Option<String> {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                name.parse().expect("a name"),
                HeaderValue::from_static(value),
            )
        });
        let response = cors.preflight(path, &pairs.collect());
        assert_eq!(response.status(), 204);
        assert_eq!(response.headers()[VARY], VARY_PREFLIGHT);
        let allowed = response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(
            allowed.is_some(),
            response.headers().len() > 1,
            "all or nothing"
        );
        allowed.map(|allowed| allowed.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_preflight_grants_all_or_nothing() {
        let public = cors(true, &[]);
        let post = ("access-control-request-method", "POST");
        let headers = |names| ("access-control-request-headers", names);
        assert!(granted(&public, READ, &[PAGE, post]).is_some());
        assert!(
            granted(
                &public,
                READ,
                &[PAGE, post, headers("accept, Content-Type")]
            )
            .is_some()
        );
        assert!(
            granted(
                &public,
                READ,
                &[PAGE, post, headers("content-type,x-weird")]
            )
            .is_none()
        );
        assert!(
            granted(
                &public,
                READ,
                &[PAGE, ("access-control-request-method", "DELETE")]
            )
            .is_none()
        );
        assert!(granted(&public, READ, &[post]).is_none(), "no origin");
    }

    #[test]
    fn pages_of_named_origins_write_and_all_pages_read_what_is_public() {
        let post = ("access-control-request-method", "POST");
        for (cors, read, write) in [
            (cors(true, &[]), Some("*"), None),
            (
                cors(false, &["https://EXAMPLE.com:443/"]),
                Some(PAGE.1),
                Some(PAGE.1),
            ),
            (
                cors(true, &["https://example.com"]),
                Some(PAGE.1),
                Some(PAGE.1),
            ),
            (cors(true, &["https://example.com:8443"]), Some("*"), None),
            (cors(false, &["http://example.com"]), None, None),
        ] {
            assert_eq!(
                granted(&cors, READ, &[PAGE, post]).as_deref(),
                read,
                "{cors:?}"
            );
            assert_eq!(
                granted(&cors, WRITE, &[PAGE, post]).as_deref(),
                write,
                "{cors:?}"
            );
            let page = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(PAGE.1))]);
            assert_eq!(cors.may_write(&page), write.is_some(), "{cors:?}");
            assert!(cors.may_write(&HeaderMap::new()), "no browser");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for refused in [
            "*",
            "null",
            "example.com",
            "https://example.com/x",
            "https://",
            "https://a b",
        ] {
            assert!(refused.parse::<Origin>().is_err(), "{refused}");
        }
        assert_eq!(
            "http://[::1]:80"
                .parse::<Origin>()
                .expect("an origin")
                .to_string(),
            "http://[::1]"
        );
    }
}
