//! The form in which TUF documents are signed: canonical JSON as OLPC once described it.

use serde_json::Value;

/// The canonical form; none where a number is not whole, as that form knows no other.
///
/// As go-tuf makes it: numbers pass through 64-bit floating point, and in strings only quote and backslash are escaped.
pub(super) fn signed_form(value: &Value) -> Option<Vec<u8>> {
    let mut form = Vec::new();
    write(value, &mut form).then_some(form)
}

fn write(value: &Value, form: &mut Vec<u8>) -> bool {
    match value {
        Value::Null => form.extend_from_slice(b"null"),
        Value::Bool(truth) => form.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Number(number) => {
            let text = number.as_f64().map(|number| number.to_string()).filter(|text| text.parse::<i64>().is_ok());
            let Some(text) = text else { return false };
            form.extend_from_slice(text.as_bytes());
        }
        Value::String(text) => write_string(text, form),
        Value::Array(elements) => {
            form.push(b'[');
            for (position, element) in elements.iter().enumerate() {
                if position > 0 {
                    form.push(b',');
                }
                if !write(element, form) {
                    return false;
                }
            }
            form.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| name.as_bytes());
            form.push(b'{');
            for (position, (name, member)) in members.into_iter().enumerate() {
                if position > 0 {
                    form.push(b',');
                }
                write_string(name, form);
                form.push(b':');
                if !write(member, form) {
                    return false;
                }
            }
            form.push(b'}');
        }
    }
    true
}

fn write_string(text: &str, form: &mut Vec<u8>) {
    form.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            form.push(b'\\');
        }
        form.push(byte);
    }
    form.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(json: &str) -> Option<String> {
        signed_form(&serde_json::from_str(json).unwrap()).map(|form| String::from_utf8(form).unwrap())
    }

    #[test]
    fn members_are_sorted_and_little_is_escaped() {
        let json = r#"{ "b" : [1, -2, null, true, {}], "a": "\"\\\n\u00fc", "B": [] }"#;
        assert_eq!(form(json).unwrap(), "{\"B\":[],\"a\":\"\\\"\\\\\nü\",\"b\":[1,-2,null,true,{}]}");
    }

    #[test]
    fn numbers_are_whole_as_go_writes_them() {
        for (json, text) in [("1.0", "1"), ("1e3", "1000"), ("9007199254740993", "9007199254740992"), ("-0", "-0")] {
            assert_eq!(form(json).as_deref(), Some(text), "{json}");
        }
        for json in ["1.5", "[1e21]", "{\"a\":1e-7}", "9223372036854775808"] {
            assert_eq!(form(json), None, "{json}");
        }
    }
}
