//! JSON that fits a JSON schema, or Gemini's dialect of one.

use serde_json::{Map, Value, json};

use crate::generate::sentences;

/// Below it lists are empty and what is optional is left out, so that schemas that hold themselves come to an end.
const DEEP: usize = 6;
/// No schema is followed further.
const DEEPEST: usize = 24;

pub(crate) fn instance(schema: &Value, draws: &mut fastrand::Rng) -> Value {
    Maker { root: schema, draws }.make(schema, 0)
}

struct Maker<'a> {
    root: &'a Value,
    draws: &'a mut fastrand::Rng,
}

impl Maker<'_> {
    fn make(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(values) = schema["enum"].as_array().filter(|values| !values.is_empty()) {
            return values[self.draws.usize(..values.len())].clone();
        }
        if let Some(target) =
            schema["$ref"].as_str().and_then(|path| self.root.pointer(path.trim_start_matches('#')))
        {
            let target = target.clone();
            return self.make(&target, depth + 1);
        }
        if let Some(choices) = list(schema, "anyOf").or_else(|| list(schema, "oneOf")) {
            let plain = choices.iter().find(|choice| depth > DEEP && choice["type"] == "null");
            let chosen = plain.unwrap_or(&choices[0]);
            return self.make(chosen, depth + 1);
        }
        if let Some(parts) = list(schema, "allOf") {
            let made: Vec<_> = parts.iter().map(|part| self.make(part, depth + 1)).collect();
            return merged(made);
        }
        match kind(schema).as_str() {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "integer" => json!(self.integer(schema)),
            "number" => json!(self.number(schema)),
            "boolean" => json!(self.draws.bool()),
            "null" => Value::Null,
            _ => json!(self.string(schema)),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if depth < DEEP || required.contains(&name.as_str()) {
                object.insert(name.clone(), self.make(property, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &Value, depth: usize) -> Value {
        if let Some(items) = list(schema, "prefixItems") {
            return items.iter().map(|item| self.make(item, depth + 1)).collect();
        }
        let least = bound(schema, "minItems").unwrap_or(if depth < DEEP { 1.0 } else { 0.0 });
        let most = bound(schema, "maxItems").unwrap_or(f64::MAX);
        let length = least.min(most).clamp(0.0, 1_000.0) as usize;
        (0..length).map(|_| self.make(&schema["items"], depth + 1)).collect()
    }

    fn integer(&mut self, schema: &Value) -> i64 {
        let least =
            bound(schema, "minimum").or(bound(schema, "exclusiveMinimum").map(|bound| bound.floor() + 1.0));
        let most =
            bound(schema, "maximum").or(bound(schema, "exclusiveMaximum").map(|bound| bound.ceil() - 1.0));
        let (least, most) = range(least.map(f64::ceil), most.map(f64::floor));
        let step = bound(schema, "multipleOf").filter(|step| *step >= 1.0).map_or(1, |step| step as i64);
        let drawn = self.draws.i64(least as i64..=(most as i64).max(least as i64));
        let rounded = drawn.div_euclid(step) * step;
        if rounded < least as i64 { rounded.saturating_add(step) } else { rounded }
    }

    fn number(&mut self, schema: &Value) -> f64 {
        if bound(schema, "multipleOf").is_some() {
            return self.integer(schema) as f64;
        }
        let least = bound(schema, "minimum").or(bound(schema, "exclusiveMinimum"));
        let (least, most) = range(least, bound(schema, "maximum").or(bound(schema, "exclusiveMaximum")));
        // The bounds themselves may be excluded.
        least + (most - least) * (0.25 + self.draws.f64() / 2.0)
    }

    fn string(&mut self, schema: &Value) -> String {
        match schema["format"].as_str() {
            Some("date") => return format!("2025-{:02}-{:02}", self.draws.u8(1..=12), self.draws.u8(1..=28)),
            Some("date-time") => return format!("2025-{:02}-01T12:00:00Z", self.draws.u8(1..=12)),
            Some("time") => return format!("{:02}:00:00Z", self.draws.u8(0..=23)),
            Some("duration") => return format!("PT{}S", self.draws.u8(1..=59)),
            Some("email") => return format!("user{}@example.com", self.draws.u16(..)),
            Some("uri") => return format!("https://example.com/{}", self.draws.u16(..)),
            Some("hostname") => return "example.com".to_owned(),
            Some("ipv4") => return format!("192.0.2.{}", self.draws.u8(..)),
            Some("ipv6") => return format!("2001:db8::{:x}", self.draws.u16(..)),
            Some("uuid") => return format!("00000000-0000-4000-8000-{:012x}", self.draws.u64(..1 << 48)),
            _ => {}
        }
        let mut text = sentences(self.draws, 3).concat();
        while (text.chars().count() as f64) < bound(schema, "minLength").unwrap_or(0.0).min(1e5) {
            text.push_str(" more");
        }
        let most = bound(schema, "maxLength").unwrap_or(f64::MAX);
        text.chars().take(most as usize).collect()
    }
}

fn list<'s>(schema: &'s Value, name: &str) -> Option<&'s Vec<Value>> {
    schema[name].as_array().filter(|list| !list.is_empty())
}

fn bound(schema: &Value, name: &str) -> Option<f64> {
    // Gemini's own schemas carry these as text.
    schema[name].as_f64().or_else(|| schema[name].as_str().and_then(|text| text.parse().ok()))
}

fn range(least: Option<f64>, most: Option<f64>) -> (f64, f64) {
    match (least, most) {
        (Some(least), Some(most)) => (least, most),
        (Some(least), None) => (least, least + 100.0),
        (None, Some(most)) => (most - 100.0, most),
        (None, None) => (0.0, 100.0),
    }
}

/// Gemini writes types in capitals; a list of types may hold `null`.
fn kind(schema: &Value) -> String {
    let named = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null").and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match named {
        Some(kind) => kind.to_ascii_lowercase(),
        None if schema.get("properties").is_some() => "object".to_owned(),
        None if schema.get("items").is_some() => "array".to_owned(),
        None => "string".to_owned(),
    }
}

fn merged(parts: Vec<Value>) -> Value {
    let mut whole = Map::new();
    let mut last = Value::Null;
    for part in parts {
        match part {
            Value::Object(fields) => whole.extend(fields),
            other => last = other,
        }
    }
    if whole.is_empty() { last } else { Value::Object(whole) }
}
