use crate::Json;
use crate::llm::{CompletionRequest, Image, Message, ResponseFormat, ToolChoice, ToolSpec};

/// Stands in prompts whose errors are looked through.
pub(super) const MARK: &str = "prompt-mark-7Q";

pub(super) fn question() -> CompletionRequest {
    let rules = Message::system(format!("Answer in one sentence. {MARK}"));
    let question = Message::user("How long does a lease last?");
    CompletionRequest::new(vec![rules, question.with_document("leases.md:3", "A lease lasts ten seconds.")])
}

pub(super) fn demanding_a_tool() -> CompletionRequest {
    let mut request = question().with_tools(vec![find_tool()]);
    request.tool_choice = ToolChoice::Tool("find".to_owned());
    request
}

pub(super) fn find_tool() -> ToolSpec {
    ToolSpec {
        name: "find".to_owned(),
        description: "Finds passages about leases.".to_owned(),
        parameters: json(
            r#"{"type":"object","properties":{"words":{"type":"string"}},"required":["words"],"additionalProperties":false}"#,
        ),
    }
}

pub(super) fn demanding_json() -> CompletionRequest {
    let schema = json(
        r#"{"type":"object","properties":{"seconds":{"type":"integer"}},"required":["seconds"],"additionalProperties":false}"#,
    );
    question().with_response_format(ResponseFormat::JsonSchema { name: "lease".to_owned(), schema })
}

pub(super) fn demanding_an_object() -> CompletionRequest {
    let mut request = question().with_response_format(ResponseFormat::JsonObject);
    request.messages.push(Message::user("Answer with a JSON object."));
    request
}

/// One transparent pixel.
pub(super) fn pixel() -> Image {
    const PNG: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\x0bIDATx\xdac`\x00\x02\x00\x00\x05\x00\x01\xe9\xfa\xdc\xd8\x00\x00\x00\x00IEND\xaeB`\x82";
    Image::inline("image/png", PNG)
}

pub(super) fn json(text: &str) -> Json {
    Json::parse(text).expect("the suite's texts are json")
}
