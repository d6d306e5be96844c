//! 64-bit numbers as decimal strings: JSON readers that keep numbers as floats lose digits.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A `u64` that travels as a decimal string without sign, spaces or leading zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DecimalU64(pub u64);

impl DecimalU64 {
    /// Reads the one spelling that is allowed; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_digit())
            && (text.len() == 1 || !text.starts_with('0'));
        if !canonical {
            return None;
        }
        text.parse().ok().map(DecimalU64)
    }
}

impl Serialize for DecimalU64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DecimalU64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = DecimalU64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal string such as \"2048\", below 2^64")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<DecimalU64, E> {
                DecimalU64::parse(text)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::DecimalU64;

    #[test]
    fn only_the_canonical_spelling_is_read() {
        assert_eq!(
            DecimalU64::parse("18446744073709551615"),
            Some(DecimalU64(u64::MAX))
        );
        assert_eq!(DecimalU64::parse("0"), Some(DecimalU64(0)));
        for wrong in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "18446744073709551616",
        ] {
            assert_eq!(DecimalU64::parse(wrong), None, "{wrong:?}");
        }
    }
}
