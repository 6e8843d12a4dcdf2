//! Cross-origin requests, as Rekor answers them: any origin may read, with GET, HEAD and POST, without credentials.
//!
//! Written by hand: a stock layer answers a refused preflight, and the `Vary` of each answer, differently from the recordings.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
const VARY_PREFLIGHT: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

/// Request headers that a page of another origin may set.
const ALLOWED_HEADERS: [&str; 3] = ["accept", "content-type", "x-requested-with"];

/// Answers preflights on every path, and marks all other answers.
pub(crate) async fn cors<Answer: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> Answer,
) -> Response {
    if request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return preflight(request.headers());
    }
    let readable = request.headers().contains_key(ORIGIN) && is_allowed_method(request.method().as_str());
    let mut response = next(request).await;
    response.headers_mut().append(VARY, VARY_ORIGIN);
    if readable {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
    }
    response
}

/// 204 in any case; the permissions only if all that is asked for is allowed.
fn preflight(asked: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(VARY, VARY_PREFLIGHT);
    let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD);
    let method_allowed = method.and_then(|method| method.to_str().ok()).is_some_and(is_allowed_method);
    let wanted = asked.get(ACCESS_CONTROL_REQUEST_HEADERS);
    if asked.contains_key(ORIGIN) && method_allowed && wanted.is_none_or(are_allowed_headers) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
        if let Some(method) = method {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        }
        if let Some(wanted) = wanted {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
    }
    response
}

fn is_allowed_method(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "POST")
}

fn are_allowed_headers(wanted: &HeaderValue) -> bool {
    wanted.to_str().is_ok_and(|wanted| {
        wanted
            .split(',')
            .map(str::trim)
            .all(|name| ALLOWED_HEADERS.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_preflight_grants_all_or_nothing() {
        let granted = |pairs: &[(&'static str, &'static str)]| {
            let response = preflight(&asked(pairs));
            assert_eq!(response.status(), 204);
            assert_eq!(response.headers()[VARY], VARY_PREFLIGHT);
            response.headers().len() > 1
        };
        let origin = ("origin", "https://example.com");
        assert!(granted(&[origin, ("access-control-request-method", "POST")]));
        assert!(granted(&[
            origin,
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "accept, Content-Type")
        ]));
        assert!(!granted(&[
            origin,
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,x-weird")
        ]));
        assert!(!granted(&[origin, ("access-control-request-method", "DELETE")]));
        assert!(!granted(&[("access-control-request-method", "POST")]), "no origin");
    }
}
