use agentscale_core::llm::{CompletionRequest, Content, Image, ResponseFormat, ToolChoice};
use blake3::Hasher;

/// What makes two requests the same: the hash of everything that could change the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(request: &CompletionRequest) -> Self {
        Self::of_all(request, request.messages.len(), &[])
    }

    /// The same with `particulars` in the place of the last message's texts.
    pub(super) fn beside_last_text(request: &CompletionRequest, particulars: &[String]) -> Self {
        Self::of_all(request, request.messages.len().saturating_sub(1), particulars)
    }

    /// Of the messages from `beside` on what is no text.
    fn of_all(request: &CompletionRequest, beside: usize, particulars: &[String]) -> Self {
        let mut fields = Fields(Hasher::new());
        let tenant = request.context.tenant.as_ref();
        fields.option(tenant.map(|tenant| tenant.as_str().as_bytes()));
        fields.bytes(request.model.as_bytes());
        fields.count(request.messages.len());
        for (place, message) in request.messages.iter().enumerate() {
            fields.byte(message.role as u8);
            fields.count(message.content.len());
            for part in &message.content {
                match part {
                    Content::Text { .. } if place >= beside => fields.byte(TEXT_ELSEWHERE),
                    part => fields.part(part),
                }
            }
        }
        fields.count(particulars.len());
        particulars.iter().for_each(|particular| fields.bytes(particular.as_bytes()));
        fields.count(request.tools.len());
        for tool in &request.tools {
            fields.bytes(tool.name.as_bytes());
            fields.text(&tool.description);
            fields.bytes(tool.parameters.as_str().as_bytes());
        }
        fields.choice(&request.tool_choice);
        fields.format(&request.response_format);
        fields.option(request.max_tokens.map(u32::to_be_bytes));
        fields.option(request.temperature.map(f32::to_be_bytes));
        fields.option(request.top_p.map(f32::to_be_bytes));
        fields.count(request.stop.len());
        request.stop.iter().for_each(|stop| fields.bytes(stop.as_bytes()));
        fields.option(request.seed.map(u64::to_be_bytes));
        fields.option(request.reasoning_effort.map(|effort| [effort as u8]));
        fields.option(request.prompt_cache.stored.as_ref());
        Self(*fields.0.finalize().as_bytes())
    }
}

/// Stands for a text that is compared elsewhere.
const TEXT_ELSEWHERE: u8 = 255;

/// Fields one after the other, each with its length, so that no two lists of them have the same bytes.
struct Fields(Hasher);

impl Fields {
    fn byte(&mut self, byte: u8) {
        self.0.update(&[byte]);
    }

    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn option(&mut self, bytes: Option<impl AsRef<[u8]>>) {
        match bytes {
            Some(bytes) => {
                self.byte(1);
                self.bytes(bytes.as_ref());
            }
            None => self.byte(0),
        }
    }

    /// A text whose runs of white space count as one space.
    fn text(&mut self, text: &str) {
        let words = text.split_whitespace();
        let count = words.clone().count();
        self.count(count);
        words.for_each(|word| self.bytes(word.as_bytes()));
    }

    fn part(&mut self, part: &Content) {
        match part {
            Content::Text { text } => {
                self.byte(0);
                self.text(text);
            }
            Content::Document { citation, text } => {
                self.byte(1);
                self.bytes(citation.as_bytes());
                self.text(text);
            }
            Content::Image(Image::Url(url)) => {
                self.byte(2);
                self.bytes(url.as_bytes());
            }
            Content::ToolCall(call) => {
                self.byte(3);
                self.bytes(call.id.as_bytes());
                self.bytes(call.name.as_bytes());
                self.bytes(call.arguments.as_str().as_bytes());
            }
            Content::ToolResult { call_id, text, failed } => {
                self.byte(4);
                self.bytes(call_id.as_bytes());
                self.text(text);
                self.byte(u8::from(*failed));
            }
            // What this version does not know it tells apart by all that can be shown of it.
            other => {
                self.byte(5);
                self.bytes(serde_json::to_string(other).unwrap_or_else(|_| format!("{other:?}")).as_bytes());
            }
        }
    }

    fn choice(&mut self, choice: &ToolChoice) {
        let (kind, name) = match choice {
            ToolChoice::Auto => (0, ""),
            ToolChoice::None => (1, ""),
            ToolChoice::Required => (2, ""),
            ToolChoice::Tool(name) => (3, name.as_str()),
            _ => (4, ""),
        };
        self.byte(kind);
        self.bytes(name.as_bytes());
    }

    fn format(&mut self, format: &ResponseFormat) {
        let (kind, name, schema) = match format {
            ResponseFormat::Text => (0, "", ""),
            ResponseFormat::JsonSchema { name, schema } => (1, name.as_str(), schema.as_str()),
            ResponseFormat::JsonObject => (2, "", ""),
            _ => (3, "", ""),
        };
        self.byte(kind);
        self.bytes(name.as_bytes());
        self.bytes(schema.as_bytes());
    }
}
