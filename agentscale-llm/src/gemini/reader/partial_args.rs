use agentscale_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::decode::{MAX_ANSWER_BYTES, corrupt};
use crate::gemini::wire::PartialArg;

/// The deepest place that a value is put at.
const MAX_DEPTH: usize = 64;

/// What a value takes of the bound beyond its text.
const VALUE_BYTES: usize = 128;

/// The arguments of a call that come piece by piece: each a value and its place, as `$.items[0].name`, or more of the
/// text that stands there.
#[derive(Debug, Default)]
pub(super) struct PartialArgs {
    root: Map<String, Value>,
    bytes: usize,
}

enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

impl PartialArgs {
    pub(super) fn add(&mut self, piece: PartialArg<'_>) -> Result<()> {
        let steps = steps(&piece.json_path).ok_or_else(|| corrupt("a path of arguments is none"))?;
        let text_bytes = piece.string_value.as_ref().map_or(0, |text| text.len());
        self.bytes += text_bytes + piece.json_path.len() + VALUE_BYTES * steps.len();
        if self.bytes > MAX_ANSWER_BYTES {
            return Err(Error::new(ErrorKind::TooLarge, "read completion")
                .with_context("limit_bytes", MAX_ANSWER_BYTES));
        }
        let value = if let Some(text) = piece.string_value {
            Value::String(text.into_string())
        } else if let Some(number) = piece.number_value {
            Value::Number(number)
        } else if let Some(truth) = piece.bool_value {
            Value::Bool(truth)
        } else if piece.null_value.is_some() {
            Value::Null
        } else {
            return Ok(());
        };
        let place = self.place(&steps).ok_or_else(|| corrupt("arguments at a place that cannot be"))?;
        match (place, value) {
            (Value::String(begun), Value::String(more)) => begun.push_str(&more),
            (place, value) => *place = value,
        }
        Ok(())
    }

    pub(super) fn into_json(self) -> String {
        Value::Object(self.root).to_string()
    }

    /// The place at the end of the steps; what is not there yet is made. An item is the next of its list or one before.
    fn place(&mut self, steps: &[Step<'_>]) -> Option<&mut Value> {
        let (Step::Field(first), rest) = steps.split_first()? else { return None };
        let mut place = self.root.entry(*first).or_insert(Value::Null);
        for step in rest {
            place = match step {
                Step::Field(name) => {
                    if place.is_null() {
                        *place = Value::Object(Map::new());
                    }
                    place.as_object_mut()?.entry(*name).or_insert(Value::Null)
                }
                Step::Item(at) => {
                    if place.is_null() {
                        *place = Value::Array(Vec::new());
                    }
                    let items = place.as_array_mut()?;
                    if *at == items.len() {
                        items.push(Value::Null);
                    }
                    items.get_mut(*at)?
                }
            };
        }
        Some(place)
    }
}

/// The steps of `$.items[0].name` or `$['items'][0]["name"]`.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() && steps.len() <= MAX_DEPTH {
        let step;
        (step, rest) = if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            (Step::Field(&name[..end]), &name[end..])
        } else if let Some(quoted) = rest.strip_prefix("['") {
            let (name, behind) = quoted.split_once("']")?;
            (Step::Field(name), behind)
        } else if let Some(quoted) = rest.strip_prefix("[\"") {
            let (name, behind) = quoted.split_once("\"]")?;
            (Step::Field(name), behind)
        } else {
            let (number, behind) = rest.strip_prefix('[')?.split_once(']')?;
            (Step::Item(number.parse().ok()?), behind)
        };
        steps.push(step);
    }
    (1..=MAX_DEPTH).contains(&steps.len()).then_some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(pieces: &str) -> Result<String> {
        let pieces: Vec<PartialArg<'_>> = serde_json::from_str(pieces).unwrap();
        let mut arguments = PartialArgs::default();
        pieces.into_iter().try_for_each(|piece| arguments.add(piece))?;
        Ok(arguments.into_json())
    }

    #[test]
    fn values_go_to_their_places() {
        let pieces = r#"[
            {"jsonPath":"$.items[0].name","stringValue":"app","willContinue":true},
            {"jsonPath":"$.items[0].name","stringValue":"le \"1\""},
            {"jsonPath":"$.items[0].name","stringValue":""},
            {"jsonPath":"$.items[0].price","numberValue":0.5},
            {"jsonPath":"$.items[1]['the name']","nullValue":"NULL_VALUE"},
            {"jsonPath":"$[\"ripe\"]","boolValue":true},
            {"jsonPath":"$.grid[0][0]","numberValue":3}
        ]"#;
        let expected = serde_json::json!({
            "items": [{"name": "apple \"1\"", "price": 0.5}, {"the name": null}], "ripe": true, "grid": [[3]]
        });
        assert_eq!(arguments(pieces).unwrap(), expected.to_string());
        assert_eq!(arguments("[]").unwrap(), "{}");
    }

    #[test]
    fn places_that_cannot_be_are_corrupt() {
        let deep = format!("${}", ".a".repeat(65));
        for path in
            ["", "$", "a", "$[0]", "$.a[1]", "$.a[x]", "$.a[99999999999999999999]", "$.a[", "$.a['b", &deep]
        {
            let piece = serde_json::json!([{"jsonPath": path, "numberValue": 1}]);
            assert_eq!(arguments(&piece.to_string()).unwrap_err().kind(), ErrorKind::Corrupt, "{path}");
        }
        let two_kinds = r#"[{"jsonPath":"$.a","numberValue":1},{"jsonPath":"$.a.b","numberValue":1}]"#;
        assert_eq!(arguments(two_kinds).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
