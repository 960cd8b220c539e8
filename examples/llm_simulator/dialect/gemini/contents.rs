use serde_json::Value;

use super::{field, invalid, tools};
use crate::prompt::{Prompt, Segment};
use crate::refusal::Refusal;

/// Tools, instructions and contents, in the order in which they are cached.
pub(crate) fn read(body: &Value, prompt: &mut Prompt, request: &str) -> Result<(), Refusal> {
    tools(body, prompt)?;
    for part in field(body, "systemInstruction")["parts"].as_array().into_iter().flatten() {
        prompt.segments.push(Segment::text("system", part["text"].as_str().unwrap_or_default()));
    }
    let contents = body["contents"].as_array().map_or(&[][..], Vec::as_slice);
    if contents.is_empty() {
        return Err(invalid(&format!("* {request}.contents: contents is not specified\n")));
    }
    let mut called = 0;
    for (place, content) in contents.iter().enumerate() {
        let role = match content["role"].as_str() {
            None => "user",
            Some(role @ ("user" | "model" | "function")) => role,
            Some(_) => return Err(invalid("Please use a valid role: user, model.")),
        };
        let parts = content["parts"].as_array().map_or(&[][..], Vec::as_slice);
        if parts.is_empty() {
            let message = format!("* {request}.contents[{place}].parts: contents.parts must not be empty.\n");
            return Err(invalid(&message));
        }
        let count = |name: &str| parts.iter().filter(|part| !field(part, name).is_null()).count();
        let answered = count("functionResponse");
        check_turns(called, answered)?;
        called = count("functionCall");
        prompt.after_tool = answered > 0;
        for part in parts {
            prompt.segments.push(segment(part, role, request, place)?);
        }
    }
    Ok(())
}

/// A call's turn is followed by as many results.
fn check_turns(called: usize, answered: usize) -> Result<(), Refusal> {
    match (called, answered) {
        (called, answered) if called == answered => Ok(()),
        (0, _) => Err(invalid(
            "Please ensure that function response turn comes immediately after a function call turn.",
        )),
        _ => Err(invalid(
            "Please ensure that the number of function response parts is equal to the number of function call parts \
             of the function call turn.",
        )),
    }
}

fn segment(part: &Value, role: &str, request: &str, place: usize) -> Result<Segment, Refusal> {
    if let Some(text) = part["text"].as_str() {
        return Ok(Segment::text(role, text));
    }
    for name in ["functionCall", "functionResponse"] {
        let value = field(part, name);
        if value["name"].is_string() {
            return Ok(Segment::json(role, value));
        }
        if !value.is_null() {
            return Err(invalid(&format!(
                "* {request}.contents[{place}].parts: {name}.name must not be empty."
            )));
        }
    }
    for name in ["inlineData", "fileData"] {
        let value = field(part, name);
        if !value.is_null() {
            return Ok(Segment::media(role, value));
        }
    }
    let message = format!(
        "* {request}.contents[{place}].parts: contents.parts[].data: required oneof field 'data' must have one \
         initialized field"
    );
    Err(invalid(&message))
}
