//! The keys and raw values of one JSON object.
//!
//! Owns the rule for repeated keys and the reading of single values. Knows no entity. A value
//! of an unexpected type counts as absent.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::MAX_ID;

/// An object as a list, so that no repeated key is lost.
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(32));
                while let Some(Key(key)) = map.next_key()? {
                    pairs.push((key, map.next_value()?));
                }
                Ok(Fields(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

fn typed<T: DeserializeOwned>(raw: &RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

impl<'a> Fields<'a> {
    /// Splits one object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| super::describe(&error))
    }

    /// Returns the values of a key that are not null, the last first.
    fn all(&self, key: &str) -> impl DoubleEndedIterator<Item = &'a RawValue> {
        self.0
            .iter()
            .rev()
            .filter(move |(name, raw)| name == key && raw.get() != "null")
            .map(|(_, raw)| *raw)
    }

    fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        typed(self.all(key).next()?)
    }

    /// Returns the object's own id.
    pub(crate) fn id(&self) -> Result<u64, String> {
        let raw = self.all("id").next().ok_or("there is no id")?;
        match typed::<u64>(raw) {
            Some(id) if id <= MAX_ID => Ok(id),
            Some(_) => Err("the id is too large".into()),
            None => Err("the id is not a whole number".into()),
        }
    }

    /// Returns the id under another key.
    pub(crate) fn id_at(&self, key: &str) -> Option<u64> {
        self.u64(key).filter(|id| *id <= MAX_ID)
    }

    /// Returns a whole number.
    pub(crate) fn u64(&self, key: &str) -> Option<u64> {
        self.get(key)
    }

    /// Returns a number.
    pub(crate) fn f64(&self, key: &str) -> Option<f64> {
        self.get::<f64>(key).filter(|number| number.is_finite())
    }

    /// Returns a truth value.
    pub(crate) fn bool(&self, key: &str) -> Option<bool> {
        self.get(key)
    }

    /// Returns a text.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.get(key)
    }

    /// Returns an instant, given with any offset.
    pub(crate) fn time(&self, key: &str) -> Option<Timestamp> {
        self.text(key)?.parse().ok()
    }

    /// Returns an inner object.
    pub(crate) fn object(&self, key: &str) -> Option<Fields<'a>> {
        Fields::parse(self.all(key).next()?.get()).ok()
    }

    /// Returns the elements of the first list under the key that has any.
    ///
    /// Documented answers hold `artifacts` twice, the second time empty.
    pub(crate) fn list(&self, key: &str) -> Vec<&'a RawValue> {
        self.all(key)
            .rev()
            .filter_map(|raw| serde_json::from_str::<Vec<&'a RawValue>>(raw.get()).ok())
            .find(|elements| !elements.is_empty())
            .unwrap_or_default()
    }

    /// Returns the texts of a list.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        self.list(key).into_iter().filter_map(typed).collect()
    }
}
