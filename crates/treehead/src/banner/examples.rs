//! Lines that log a first entry, for each log that there is.

use std::net::SocketAddr;

use host::PublicUrl;
use ledger::{Api, V1, V2};

/// Creates a throw-away key and a signature in a folder of their own.
const SIGNED: &str = r#"(cd "$(mktemp -d)" && date > hello.txt &&
 openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out hello.key &&
 openssl pkey -in hello.key -pubout -out hello.pub &&
 openssl dgst -sha256 -sign hello.key -out hello.sig hello.txt &&"#;

/// Returns ways to log an entry in each of the logs. Each block can be pasted into any shell as it
/// is, and needs no network but the server. cosign signs where the trust material sends it: at
/// `public_url`.
pub(crate) fn examples(api: SocketAddr, public_url: &PublicUrl, logs: &[&Api]) -> String {
    let url = client_url(api);
    let mut blocks = vec![format!(
        "Try it: paste any of these blocks into a shell. cosign signs at {public_url}.\n\n"
    )];
    if logs.contains(&&V1) {
        blocks.push(curl_v1(&url));
        blocks.push(rekor_cli(&url));
    }
    if logs.contains(&&V2) {
        blocks.push(curl_v2(&url));
    }
    blocks.push(cosign(&url));
    blocks.concat()
}

fn curl_v1(url: &str) -> String {
    format!(
        r#"With curl, by Rekor v1:

{SIGNED}
 printf '{{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{{"data":{{"hash":{{"algorithm":"sha256","value":"%s"}}}},"signature":{{"content":"%s","publicKey":{{"content":"%s"}}}}}}}}' \
  "$(openssl dgst -sha256 -r hello.txt | cut -c1-64)" "$(openssl base64 -A -in hello.sig)" "$(openssl base64 -A -in hello.pub)" |
 curl -sS -H 'Content-Type: application/json' --data-binary @- {url}/api/v1/log/entries)

"#
    )
}

fn rekor_cli(url: &str) -> String {
    format!(
        r#"With rekor-cli:

{SIGNED}
 rekor-cli upload --rekor_server {url} --artifact hello.txt --signature hello.sig --public-key hello.pub --pki-format x509)

"#
    )
}

fn curl_v2(url: &str) -> String {
    format!(
        r#"With curl, by Rekor v2:

{SIGNED}
 printf '{{"hashedRekordRequestV002":{{"digest":"%s","signature":{{"content":"%s","verifier":{{"publicKey":{{"rawBytes":"%s"}},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}}}}}' \
  "$(openssl dgst -sha256 -binary hello.txt | openssl base64 -A)" "$(openssl base64 -A -in hello.sig)" \
  "$(openssl pkey -pubin -in hello.pub -outform DER | openssl base64 -A)" |
 curl -sS -H 'Content-Type: application/json' --data-binary @- {url}/api/v2/log/entries)

"#
    )
}

fn cosign(url: &str) -> String {
    format!(
        r#"With cosign 3:

(cd "$(mktemp -d)" && date > hello.txt && export COSIGN_PASSWORD= &&
 curl -sS -O {url}/trust/signing_config.v0.2.json -O {url}/trust/trusted_root.json &&
 cosign generate-key-pair &&
 cosign sign-blob --yes --key cosign.key --signing-config signing_config.v0.2.json --trusted-root trusted_root.json \
  --bundle hello.bundle hello.txt &&
 cosign verify-blob --key cosign.pub --trusted-root trusted_root.json --bundle hello.bundle hello.txt)
"#
    )
}

/// Returns the URL for clients on this machine. They compare the ledger's name with the host of
/// the URL, so a server on this machine is `localhost`.
fn client_url(api: SocketAddr) -> String {
    let ip = api.ip();
    let is_here = ip.is_loopback() || ip.is_unspecified();
    if is_here {
        format!("http://localhost:{}", api.port())
    } else {
        format!("http://{api}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_a_host_that_they_can_reach() {
        for (api, url) in [
            ("127.0.0.1:3000", "http://localhost:3000"),
            ("0.0.0.0:3001", "http://localhost:3001"),
            ("[::]:3000", "http://localhost:3000"),
            ("192.0.2.7:3000", "http://192.0.2.7:3000"),
            ("[2001:db8::1]:3000", "http://[2001:db8::1]:3000"),
        ] {
            assert_eq!(client_url(api.parse().unwrap()), url);
        }
    }

    #[test]
    fn examples_fit_the_logs_that_there_are() {
        let public_url = PublicUrl::https("log.example.org");
        let api = "127.0.0.1:3210".parse().unwrap();
        for (logs, urls) in [(&[&V1, &V2][..], 5), (&[&V1], 4), (&[&V2], 3)] {
            let text = examples(api, &public_url, logs);
            assert_eq!(text.matches("http://localhost:3210").count(), urls);
            assert!(text.contains("signs at https://log.example.org.\n"));
            let has = |log: &Api, words: &str| logs.contains(&log) == text.contains(words);
            assert!(
                has(&V1, "rekor-cli upload") && has(&V1, "/api/v1/"),
                "{text}"
            );
            assert!(has(&V2, "/api/v2/log/entries"), "{text}");
        }
    }
}
