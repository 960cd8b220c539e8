use agentscale_core::llm::{CompletionRequest, Content, ResponseFormat};

const BYTES_A_TOKEN: usize = 4;

/// Tokens of a text where no tokenizer is at hand: its bytes in UTF-8 divided by four, rounded up.
///
/// Four characters a token is OpenAI's rule of thumb for English; other languages and code take more.
pub fn estimate_tokens(text: &str) -> u64 {
    text.len().div_ceil(BYTES_A_TOKEN) as u64
}

pub(crate) fn estimate_input(request: &CompletionRequest) -> u64 {
    let parts = request.messages.iter().flat_map(|message| &message.content);
    parts.map(estimate_part).sum()
}

fn estimate_part(part: &Content) -> u64 {
    match part {
        Content::Text { text } | Content::ToolResult { text, .. } => estimate_tokens(text),
        Content::Document { citation, text } => estimate_tokens(citation) + estimate_tokens(text),
        Content::ToolCall(call) => estimate_tokens(&call.name) + estimate_tokens(call.arguments.as_str()),
        _ => 0,
    }
}

/// What an image stands for beside bytes of text: providers charge up to 1,600 tokens for one.
const IMAGE_BYTES: usize = 6_400;

/// What providers put around a request, and around each of its messages, stands for bytes of text too: some eight tokens
/// of the shortest request. Without them short requests would teach that each byte takes several tokens.
const REQUEST_BYTES: usize = 16;
const MESSAGE_BYTES: usize = 16;

/// The bytes of everything that a model reads of a request.
pub(crate) fn request_bytes(request: &CompletionRequest) -> u64 {
    let around = REQUEST_BYTES + MESSAGE_BYTES * request.messages.len();
    let parts = request.messages.iter().flat_map(|message| &message.content).map(part_bytes);
    let tools = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + tool.parameters.as_str().len());
    let schema = match &request.response_format {
        ResponseFormat::JsonSchema { schema, .. } => schema.as_str().len(),
        _ => 0,
    };
    (parts.chain(tools).sum::<usize>() + schema + around) as u64
}

pub(crate) fn part_bytes(part: &Content) -> usize {
    match part {
        Content::Text { text } | Content::ToolResult { text, .. } => text.len(),
        Content::Document { citation, text } => citation.len() + text.len(),
        Content::ToolCall(call) => call.name.len() + call.arguments.as_str().len(),
        Content::Reasoning(reasoning) => reasoning.text.len(),
        Content::Image(_) => IMAGE_BYTES,
        _ => 0,
    }
}

/// The longest start of `text` that [`estimate_tokens`] takes for at most `tokens`.
pub(crate) fn start_of(text: &str, tokens: u32) -> &str {
    let limit = usize::try_from(tokens).unwrap_or(usize::MAX).saturating_mul(BYTES_A_TOKEN);
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_fits_its_tokens_and_stays_utf8() {
        assert_eq!(start_of("a lease", 1), "a le");
        assert_eq!(start_of("äöü", 1), "äö");
        assert_eq!(start_of("short", 100), "short");
        assert_eq!(estimate_tokens(start_of("größenordnung", 2)), 2);
    }
}
