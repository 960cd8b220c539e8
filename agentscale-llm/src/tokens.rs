use agentscale_core::llm::{CompletionRequest, Content};

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
