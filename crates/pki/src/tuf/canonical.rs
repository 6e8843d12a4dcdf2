//! The canonical forms of TUF documents, written from the text of a document without a tree of it:
//! a tree takes up to a hundred times the memory of the text.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::go_json::{self, Value};
use crate::work::Work;

/// Arrays and objects in one another, which serde_json takes too. Documents in use have seven.
const MAX_NESTING: usize = 127;
/// Members of all objects of a document of any size, and for so many bytes one more. Documents in
/// use have one in thirty bytes; while an object is sorted, each takes 40.
const MAX_MEMBERS: usize = 4_096;
const BYTES_PER_MEMBER: usize = 16;

/// How a canonical form is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// RFC 8785, in which the log keeps a document.
    Rfc8785,
    /// Canonical JSON as OLPC once described it, in which a document is signed. As go-tuf makes it:
    /// numbers pass through 64-bit floating point, and in strings only quote and backslash are
    /// escaped.
    Signed,
}

/// Why a document has no canonical form.
enum Fault {
    /// The form knows no numbers that are not whole.
    Number,
    Refused(Error),
}

impl Fault {
    fn invalid(error: impl ToString) -> Self {
        Self::Refused(Error::invalid(error))
    }
}

impl From<go_json::Error> for Fault {
    fn from(error: go_json::Error) -> Self {
        Self::invalid(error)
    }
}

/// RFC 8785 of `json`.
pub(super) fn rfc8785(json: &RawValue, work: &mut Work) -> Result<Vec<u8>, Error> {
    Writer::write(json, Form::Rfc8785, work).map_err(|fault| match fault {
        Fault::Number => Error::Invalid("a number has no canonical form".to_owned()),
        Fault::Refused(refusal) => refusal,
    })
}

/// The form in which `json` is signed; none where a number is not whole, as that form knows no
/// other.
pub(super) fn signed_form(json: &RawValue, work: &mut Work) -> Result<Option<Vec<u8>>, Error> {
    match Writer::write(json, Form::Signed, work) {
        Ok(form) => Ok(Some(form)),
        Err(Fault::Number) => Ok(None),
        Err(Fault::Refused(refusal)) => Err(refusal),
    }
}

struct Writer<'w> {
    form: Form,
    nesting: usize,
    members: usize,
    most_members: usize,
    work: &'w mut Work,
    text: Vec<u8>,
}

impl<'w> Writer<'w> {
    fn write(json: &RawValue, form: Form, work: &'w mut Work) -> Result<Vec<u8>, Fault> {
        let bytes = json.get().len();
        let most_members = MAX_MEMBERS + bytes / BYTES_PER_MEMBER;
        let text = Vec::with_capacity(bytes);
        let mut writer = Self {
            form,
            nesting: 0,
            members: 0,
            most_members,
            work,
            text,
        };
        writer.value(json)?;
        Ok(writer.text)
    }

    fn value(&mut self, json: &RawValue) -> Result<(), Fault> {
        match json.get().as_bytes().first() {
            Some(b'{') => self.nested(json, Self::object),
            Some(b'[') => self.nested(json, Self::array),
            Some(b'"') => {
                let text = Value::of(json).text()?;
                self.string(&text)
            }
            Some(b'-' | b'0'..=b'9') => self.number(json),
            // null, true and false have one form.
            _ => {
                self.text.extend_from_slice(json.get().as_bytes());
                Ok(())
            }
        }
    }

    /// Writes an array or an object. What is in it is gone over once more for each level of
    /// nesting.
    fn nested(
        &mut self,
        json: &RawValue,
        write: fn(&mut Self, &RawValue) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.work
            .take_scanning(json.get().len())
            .map_err(Fault::invalid)?;
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(Fault::Refused(Error::Invalid(format!(
                "a TUF document is nested deeper than {MAX_NESTING}, the limit"
            ))));
        }
        write(self, json)?;
        self.nesting -= 1;
        Ok(())
    }

    fn array(&mut self, json: &RawValue) -> Result<(), Fault> {
        self.text.push(b'[');
        let mut is_first = true;
        Value::of(json).each_element(|element| {
            if !is_first {
                self.text.push(b',');
            }
            is_first = false;
            element.last().map_or(Ok(()), |element| self.value(element))
        })?;
        self.text.push(b']');
        Ok(())
    }

    fn object(&mut self, json: &RawValue) -> Result<(), Fault> {
        let mut members: Vec<(Cow<'_, str>, &RawValue)> = Vec::new();
        Value::of(json).each_member(|name, value| {
            self.members += 1;
            if self.members > self.most_members {
                return Err(Fault::Refused(Error::Invalid(format!(
                    "a TUF document has more than {} members for its size, the limit",
                    self.most_members
                ))));
            }
            members.push((name, value));
            Ok(())
        })?;
        // Stable, so that of equal names the last one stays last, which counts.
        match self.form {
            Form::Rfc8785 => {
                members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()))
            }
            Form::Signed => {
                members.sort_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()))
            }
        }
        self.text.push(b'{');
        let mut is_first = true;
        for (at, (name, value)) in members.iter().enumerate() {
            if members.get(at + 1).is_some_and(|(next, _)| next == name) {
                continue;
            }
            if !is_first {
                self.text.push(b',');
            }
            is_first = false;
            self.string(name)?;
            self.text.push(b':');
            self.value(value)?;
        }
        self.text.push(b'}');
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), Fault> {
        match self.form {
            // serde_json escapes what RFC 8785 section 3.2.2.2 says, and nothing else.
            Form::Rfc8785 => serde_json::to_writer(&mut self.text, text).map_err(Fault::invalid),
            Form::Signed => {
                self.text.push(b'"');
                for byte in text.bytes() {
                    if matches!(byte, b'"' | b'\\') {
                        self.text.push(b'\\');
                    }
                    self.text.push(byte);
                }
                self.text.push(b'"');
                Ok(())
            }
        }
    }

    fn number(&mut self, json: &RawValue) -> Result<(), Fault> {
        let number: serde_json::Value = serde_json::from_str(json.get()).map_err(Fault::invalid)?;
        match self.form {
            Form::Rfc8785 => {
                let text = serde_json_canonicalizer::to_vec(&number).map_err(Fault::invalid)?;
                self.text.extend_from_slice(&text);
            }
            Form::Signed => {
                let text = number.as_f64().map(|number| number.to_string());
                let text = text
                    .filter(|text| text.parse::<i64>().is_ok())
                    .ok_or(Fault::Number)?;
                self.text.extend_from_slice(text.as_bytes());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    fn signed(json: &str) -> Option<String> {
        let form = signed_form(raw(json), &mut Work::of_request(json.len())).unwrap();
        form.map(|form| String::from_utf8(form).unwrap())
    }

    fn canonical(json: &str) -> Result<String, Error> {
        rfc8785(raw(json), &mut Work::of_request(json.len()))
            .map(|form| String::from_utf8(form).unwrap())
    }

    #[test]
    fn members_are_sorted_and_little_is_escaped() {
        let json = r#"{ "b" : [1, -2, null, true, {}], "a": "\"\\\n\u00fc", "B": [] }"#;
        assert_eq!(
            signed(json).unwrap(),
            "{\"B\":[],\"a\":\"\\\"\\\\\nü\",\"b\":[1,-2,null,true,{}]}"
        );
    }

    #[test]
    fn numbers_are_whole_as_go_writes_them() {
        for (json, text) in [
            ("1.0", "1"),
            ("1e3", "1000"),
            ("9007199254740993", "9007199254740992"),
            ("-0", "-0"),
        ] {
            assert_eq!(signed(json).as_deref(), Some(text), "{json}");
        }
        for json in ["1.5", "[1e21]", "{\"a\":1e-7}", "9223372036854775808"] {
            assert_eq!(signed(json), None, "{json}");
        }
    }

    /// The crate writes from a tree.
    #[test]
    fn the_form_of_rfc_8785_is_the_one_of_the_crate() {
        for json in [
            r#"{"b":1,"a":{"":[],"\ud83d\ude00":0,"\ufb33":-0,"c":[1.5e300,"\u0001/\n\"\\é",null,true,false,{}]},"b":"x"}"#,
            "[[],{},0,-1,1e21,123456789012345678901234567890,0.1,9007199254740993]",
            r#""""#,
            "null",
            r#"{"a":1,"a":2,"a":{"a":3,"\u0061":4}}"#,
        ] {
            let tree: serde_json::Value = serde_json::from_str(json).unwrap();
            let expected = serde_json_canonicalizer::to_string(&tree).unwrap();
            assert_eq!(canonical(json), Ok(expected), "{json}");
        }
        assert!(canonical("1e999").is_err());
        assert!(canonical(r#"["\ud800"]"#).is_err());
    }

    #[test]
    fn nesting_and_members_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(canonical(&nested(MAX_NESTING)), Ok(nested(MAX_NESTING)));
        let refusal = canonical(&nested(MAX_NESTING + 1)).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "a TUF document is nested deeper than 127, the limit"
        );
        let members = |count: usize| format!("{{{}}}", vec!["\"\":0"; count].join(","));
        assert_eq!(canonical(&members(MAX_MEMBERS)), Ok("{\"\":0}".to_owned()));
        let refusal = canonical(&members(MAX_MEMBERS * 2))
            .unwrap_err()
            .to_string();
        assert!(
            refusal.starts_with("a TUF document has more than "),
            "{refusal}"
        );
    }
}
