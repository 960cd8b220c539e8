use agentscale_core::llm::{CompletionRequest, Content, EmbeddingRequest, Image, ResponseFormat};

/// The most tokens that a call can be billed.
///
/// A token of a text is one byte at least, whatever the model's tokenizer. What providers put around the texts, they do not tell: the
/// allowances below are above all that was seen of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

/// Around a conversation.
const REQUEST: u64 = 64;
/// Around a message or a part of one: its role, its separators.
const PART: u64 = 16;
/// What a model is told of tools as such. Anthropic lists up to 804 tokens.
const TOOLS: u64 = 1_536;
/// Around one tool or schema.
const TOOL: u64 = 96;
/// The longest input of any model that stores contents under a name, as Gemini does: their length is not known here.
const LONGEST_INPUT: u64 = 2_097_152;

impl Bound {
    /// Of a completion that ends by `max_output` tokens where it names no end of its own.
    pub(crate) fn of(request: &CompletionRequest, max_output: u32, image_tokens: u64) -> Self {
        let mut input = REQUEST;
        for message in &request.messages {
            let parts = message.content.iter().map(|part| PART + part_tokens(part, image_tokens));
            input = parts.fold(input + PART, u64::saturating_add);
        }
        if !request.tools.is_empty() {
            input += TOOLS;
        }
        for tool in &request.tools {
            input += TOOL + bytes([&tool.name, &tool.description, tool.parameters.as_str()]);
        }
        if let ResponseFormat::JsonSchema { name, schema } = &request.response_format {
            input += TOOLS + TOOL + bytes([name, schema.as_str()]);
        }
        if request.prompt_cache.stored.is_some() {
            input += LONGEST_INPUT;
        }
        Self { input, output: u64::from(request.max_tokens.unwrap_or(max_output)) }
    }

    /// Of vectors.
    pub(crate) fn of_vectors(request: &EmbeddingRequest) -> Self {
        let texts = request.texts.iter().map(|text| PART + text.len() as u64);
        Self { input: texts.fold(REQUEST, u64::saturating_add), output: 0 }
    }

    pub(crate) fn tokens(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

fn part_tokens(part: &Content, image_tokens: u64) -> u64 {
    match part {
        Content::Text { text } => bytes([text]),
        Content::Document { citation, text } => bytes([citation, text]),
        Content::ToolResult { call_id, text, .. } => bytes([call_id, text]),
        Content::ToolCall(call) => {
            let signature = call.signature.as_deref().unwrap_or_default();
            bytes([&call.id, &call.name, call.arguments.as_str(), signature])
        }
        Content::Reasoning(reasoning) => {
            let opaque = reasoning.opaque.as_ref().map_or("", |opaque| opaque.content.as_str());
            bytes([&reasoning.text, opaque])
        }
        Content::Image(Image::Url(_) | Image::Inline { .. }) => image_tokens,
        // A part or an image that this version does not know: no model takes more.
        _ => LONGEST_INPUT,
    }
}

fn bytes<const N: usize>(texts: [&str; N]) -> u64 {
    texts.into_iter().map(|text| text.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use agentscale_core::Json;
    use agentscale_core::llm::{Message, PromptCache, Reasoning, Role, ToolCall, ToolSpec};

    use super::*;

    fn input(request: &CompletionRequest) -> u64 {
        Bound::of(request, 100, 50_000).input
    }

    #[test]
    fn each_byte_that_is_sent_can_be_a_token() {
        let text = "x".repeat(1_000);
        let plain = CompletionRequest::new(vec![Message::user(&text)]);
        assert!((1_000..1_200).contains(&input(&plain)));
        let json = Json::parse(format!("{{\"a\":\"{text}\"}}")).unwrap();
        let reasoning = Reasoning::new(&text).with_opaque("anthropic", json.clone());
        let call = ToolCall::new("id", "tool", json.clone()).with_signature(&text);
        let result = Content::ToolResult { call_id: "id".to_owned(), text: text.clone(), failed: false };
        let parts = vec![Content::Reasoning(reasoning), Content::ToolCall(call), result];
        let more = CompletionRequest::new(vec![Message::new(Role::Assistant, parts)]);
        assert!(input(&more) >= 5_000, "thoughts, what stands for them, arguments, a signature, a result");
        let tool = ToolSpec { name: "t".to_owned(), description: text, parameters: json.clone() };
        assert!(input(&plain.clone().with_tools(vec![tool])) >= 3_000 + TOOLS);
        let schema = ResponseFormat::JsonSchema { name: "s".to_owned(), schema: json };
        assert!(input(&plain.with_response_format(schema)) >= 2_000 + TOOLS);
    }

    #[test]
    fn what_is_not_a_text_has_its_own_bound() {
        let image = Message::user("").with_image(Image::inline("image/png", &[0; 10]));
        assert!(input(&CompletionRequest::new(vec![image])) >= 50_000);
        let stored = CompletionRequest::new(vec![Message::user("")])
            .with_prompt_cache(PromptCache::new().with_stored("cachedContents/1"));
        assert!(input(&stored) >= 1_048_576);
    }

    #[test]
    fn the_longest_answer_is_the_requests_or_the_models() {
        let request = CompletionRequest::new(vec![Message::user("x")]);
        assert_eq!(Bound::of(&request, 100, 0).output, 100);
        assert_eq!(Bound::of(&request.with_max_tokens(7), 100, 0).output, 7);
        let vectors = Bound::of_vectors(&EmbeddingRequest::new(vec!["x".repeat(500); 3]));
        assert!(vectors.input >= 1_500 && vectors.output == 0);
    }
}
