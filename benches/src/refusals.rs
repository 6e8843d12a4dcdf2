//! Refused entries of a batch.

use serde::Deserialize;
use serde_json::Value;

/// Returns a text for each entry of a batch of `count` that was refused, and for each that has no
/// result.
pub(crate) fn refusals(answer: &[u8], count: usize) -> Vec<String> {
    let results = match serde_json::from_slice::<Results>(answer) {
        Ok(answer) => answer.results,
        Err(error) => return vec![format!("an answer that is no list of results: {error}"); count],
    };
    let missing = count.saturating_sub(results.len());
    let refused = results.into_iter().filter(|result| result.status != 201);
    let texts = refused.map(|result| format!("{} in a batch: {}", result.status, result.error));
    texts
        .chain(std::iter::repeat_n(
            "no result in a batch".to_owned(),
            missing,
        ))
        .collect()
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    #[serde(default)]
    error: Value,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_refused_or_missing_entry_has_a_text() {
        let taken = json!({"status": 201, "entry": {}});
        let refused =
            json!({"status": 409, "error": {"code": 409, "message": "m"}, "location": "l"});
        let results = |results: &[&Value]| json!({"results": results}).to_string().into_bytes();
        assert_eq!(refusals(&results(&[&taken, &taken]), 2), [""; 0]);
        let both = refusals(&results(&[&taken, &refused]), 3);
        assert_eq!(
            both,
            [
                r#"409 in a batch: {"code":409,"message":"m"}"#,
                "no result in a batch"
            ]
        );
        assert_eq!(refusals(b"[]", 2).len(), 2);
    }
}
