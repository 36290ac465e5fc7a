//! A table of a file that we wrote ourselves: its values are taken out by name, and none may be left over.
//!
//! By hand: derived readers would be a tenth of the module.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is left of a table.
pub struct Fields<'i>(DeTable<'i>);

impl<'i> Fields<'i> {
    /// The top of a file.
    pub fn parse(text: &'i str) -> Option<Fields<'i>> {
        Some(Fields(DeTable::parse(text).ok()?.into_inner()))
    }

    /// Whether all was taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A string.
    pub fn text(&mut self, key: &str) -> Option<String> {
        text(self.value(key)?)
    }

    /// A list of strings.
    pub fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        self.list(key, text)
    }

    /// A whole number in the range of its type.
    pub fn number<T: TryFrom<i64>>(&mut self, key: &str) -> Option<T> {
        let value = self.value(key)?;
        let integer = value.as_integer()?;
        let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
        T::try_from(number).ok()
    }

    /// True or false.
    pub fn truth(&mut self, key: &str) -> Option<bool> {
        self.value(key)?.as_bool()
    }

    /// A table below this one.
    pub fn table(&mut self, key: &str) -> Option<Fields<'i>> {
        table(self.value(key)?)
    }

    /// A list of tables.
    pub fn tables(&mut self, key: &str) -> Option<Vec<Fields<'i>>> {
        self.list(key, table)
    }

    fn list<T>(&mut self, key: &str, convert: impl Fn(DeValue<'i>) -> Option<T>) -> Option<Vec<T>> {
        match self.value(key)? {
            DeValue::Array(list) => list
                .into_iter()
                .map(|element| convert(element.into_inner()))
                .collect(),
            _ => None,
        }
    }

    fn value(&mut self, key: &str) -> Option<DeValue<'i>> {
        self.0.remove(key).map(Spanned::into_inner)
    }
}

fn text(value: DeValue) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.into_owned()),
        _ => None,
    }
}

fn table(value: DeValue<'_>) -> Option<Fields<'_>> {
    match value {
        DeValue::Table(table) => Some(Fields(table)),
        _ => None,
    }
}
