//! Refuses JSON in which an object has a field twice: readers differ on which one counts.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Any JSON value without repeated fields.
pub struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<Once>()?;
            if let Some(twice) = seen.replace(key) {
                return Err(A::Error::custom(format!(
                    "field {twice:?} stands there twice"
                )));
            }
        }
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Once, A::Error> {
        while list.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Once, D::Error> {
        IgnoredAny::deserialize(inner).map(|_| Once)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_str<E>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once)
    }
}

#[cfg(test)]
mod tests {
    use super::Once;

    #[test]
    fn a_field_given_twice_is_found_at_any_depth() {
        let read = |text: &str| serde_json::from_str::<Once>(text).is_ok();
        assert!(read(
            r#"{"a": [1, -1, 0.5, null, true, "x", {}], "b": {"a": 1}}"#
        ));
        assert!(!read(r#"{"a": 1, "a": 1}"#));
        assert!(!read(r#"{"a": [{"b": {"c": 1, "c": 2}}]}"#));
    }
}
