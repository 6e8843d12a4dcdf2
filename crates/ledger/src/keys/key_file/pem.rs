//! The private key in a PEM file, as people have them: with text around it, empty lines, blanks,
//! lines of any width, or the parameters of its curve before it.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// PEM label of PKCS#8.
pub(super) const PKCS8: &str = "PRIVATE KEY";
/// PEM label of SEC 1, the older form of OpenSSL.
const SEC1: &str = "EC PRIVATE KEY";
/// All labels of private keys end in this.
const PRIVATE: &str = "PRIVATE KEY";

/// The algorithm identifier of PKCS#8 for keys on P-256 (RFC 5480), the only curve that SEC 1 files
/// are read for.
const P256_ALGORITHM: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// A block of a PEM file.
struct Block<'a> {
    label: &'a str,
    /// Lines with a colon before the data (RFC 1421), which declare traditional encryption.
    has_headers: bool,
    data: String,
}

/// The key as PKCS#8 DER, or what is wrong with the file. `shown` is the name of the file in
/// commands that mend it.
pub(super) fn private_key(text: &str, shown: &str) -> Result<Vec<u8>, String> {
    let blocks = blocks(text)?;
    let mut keys = blocks.iter().filter(|block| block.label.ends_with(PRIVATE));
    let Some(key) = keys.next() else {
        let held: Vec<&str> = blocks.iter().map(|block| block.label).collect();
        return Err(match held.as_slice() {
            [] => format!(
                "no PEM file; a key in DER becomes one with `openssl pkey -inform DER -in {shown} -out NEW-FILE`"
            ),
            held => format!("no private key in it, only {}", held.join(", ")),
        });
    };
    if keys.next().is_some() {
        return Err("more than one private key in it; leave only the one that is meant".to_owned());
    }
    match key.label {
        PKCS8 | SEC1 if key.has_headers => Err(encrypted(shown)),
        PKCS8 => data(key),
        SEC1 => pkcs8_of_sec1(&data(key)?),
        "ENCRYPTED PRIVATE KEY" => Err(encrypted(shown)),
        other => Err(format!("a key of another kind: {other}")),
    }
}

fn encrypted(shown: &str) -> String {
    format!(
        "encrypted, and nobody can be asked for its passphrase; decrypt it with `openssl pkey -in {shown} -out NEW-FILE`"
    )
}

fn data(block: &Block<'_>) -> Result<Vec<u8>, String> {
    STANDARD
        .decode(&block.data)
        .map_err(|_| format!("the base64 of its {} is damaged", block.label))
}

/// All blocks. Text outside of them is passed over.
fn blocks(text: &str) -> Result<Vec<Block<'_>>, String> {
    let mut blocks = Vec::new();
    let mut lines = text
        .split(['\n', '\r'])
        .map(|line| line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}'));
    while let Some(line) = lines.next() {
        let Some(label) = boundary(line, "-----BEGIN ") else {
            continue;
        };
        let mut block = Block {
            label,
            has_headers: false,
            data: String::new(),
        };
        loop {
            let Some(line) = lines.next() else {
                return Err(format!("its {label} has no END line"));
            };
            if boundary(line, "-----END ") == Some(label) {
                break;
            }
            if line.contains(':') {
                block.has_headers = true;
            } else {
                block
                    .data
                    .extend(line.chars().filter(|c| !c.is_whitespace()));
            }
        }
        blocks.push(block);
    }
    Ok(blocks)
}

fn boundary<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

/// Puts a SEC 1 key of P-256 into PKCS#8. What is no such key does not become one: the reader of
/// PKCS#8 finds that out.
fn pkcs8_of_sec1(sec1: &[u8]) -> Result<Vec<u8>, String> {
    let key = element(0x04, sec1)?;
    element(0x30, &[b"\x02\x01\x00", P256_ALGORITHM, &key].concat())
}

/// A DER element of at most 255 bytes: a key of P-256 has 138 with its public half.
fn element(tag: u8, content: &[u8]) -> Result<Vec<u8>, String> {
    let length = u8::try_from(content.len()).map_err(|_| "not an ECDSA P-256 key".to_owned())?;
    let head: &[u8] = if length < 0x80 {
        &[tag, length]
    } else {
        &[tag, 0x81, length]
    };
    Ok([head, content].concat())
}
