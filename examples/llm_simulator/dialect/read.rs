//! Reading of what several APIs share.

use serde_json::Value;

/// A field that is there and not `null`.
pub(crate) fn given<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| !value.is_null())
}

pub(crate) fn items<'v>(object: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    object[name].as_array().into_iter().flatten()
}

/// One text, or several.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// A text as it stands in JSON.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
