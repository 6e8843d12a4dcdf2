//! A value of a JSON document with its place.

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine as _};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Most items of a list that are looked at.
const MAX_ITEMS: usize = 256;

/// Reads base64 with and without padding, as Go's reader of protocol buffers does.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A value and its JSON pointer.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub value: &'a Value,
    pub place: String,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        let place = String::new();
        Self { value, place }
    }

    /// Returns a member. A member that is `null` counts as absent, as in ProtoJSON.
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Node {
            value,
            place: self.at(name),
        })
    }

    /// Returns the member at the end of a path such as `logId/keyId`.
    pub(super) fn walk(&self, path: &str) -> Option<Node<'a>> {
        let mut node = self.clone();
        for name in path.split('/') {
            node = node.get(name)?;
        }
        Some(node)
    }

    /// Returns the JSON pointer of a member, whether it is there or not.
    pub(super) fn at(&self, name: &str) -> String {
        let name = name.replace('~', "~0").replace('/', "~1");
        format!("{}/{name}", self.place)
    }

    /// Returns the items of a member that is a list.
    pub(super) fn items(&self, name: &str) -> Vec<Node<'a>> {
        self.get(name)
            .map(|list| list.elements())
            .unwrap_or_default()
    }

    /// Returns the items of a list.
    pub(super) fn elements(&self) -> Vec<Node<'a>> {
        let items = self.value.as_array().map_or(&[][..], Vec::as_slice);
        let node = |(number, value)| Node {
            value,
            place: format!("{}/{number}", self.place),
        };
        items.iter().take(MAX_ITEMS).enumerate().map(node).collect()
    }

    /// Returns the text of a member.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.value.get(name)?.as_str()
    }

    /// Returns the text at the end of a path.
    pub(super) fn text_at(&self, path: &str) -> Option<&'a str> {
        self.walk(path)?.value.as_str()
    }

    /// Returns the bytes at the end of a path, where they are base64 of any form and not empty.
    pub(super) fn bytes_at(&self, path: &str) -> Option<Vec<u8>> {
        let bytes = base64(self.text_at(path)?)?;
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Returns the whole number at the end of a path, which may be a text.
    pub(super) fn number_at(&self, path: &str) -> Option<i64> {
        let node = self.walk(path)?;
        match node.value {
            Value::String(text) => text.parse().ok(),
            other => other.as_i64(),
        }
    }

    /// Returns the time at the end of a path, in Unix seconds.
    pub(super) fn time_at(&self, path: &str) -> Option<i64> {
        unix_time(self.text_at(path)?)
    }
}

/// Reads an RFC 3339 time.
pub(super) fn unix_time(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(time.unix_timestamp())
}

/// Reads base64 of either alphabet, with or without padding.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let standard = text.replace('-', "+").replace('_', "/");
    LENIENT.decode(standard).ok()
}
