use agentscale_core::llm::{CompletionEvent, ToolCall};
use agentscale_core::{Error, ErrorKind, Json, Result};

/// How the ids begin that are made here, where an API gives none.
pub(crate) const OWN_ID: &str = "call_";

/// A tool call as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct CallDraft {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(super) signature: Option<String>,
    /// Its place among the calls of the answer, from 0.
    pub(super) index: u32,
    pub(super) arguments: String,
    /// The id under which its start was told, which it keeps.
    started_as: Option<String>,
}

impl CallDraft {
    pub(super) fn at(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    pub(super) fn has_started(&self) -> bool {
        self.started_as.is_some()
    }

    /// Whether any of its arguments have come.
    pub(crate) fn has_arguments(&self) -> bool {
        !self.arguments.is_empty()
    }

    /// Tells that it has started, with the arguments that came before its name; nothing without a name or once told.
    pub(super) fn start(&mut self, first_call: u32, events: &mut Vec<CompletionEvent>) {
        if self.name.is_empty() || self.started_as.is_some() {
            return;
        }
        let (index, id) = (self.index, self.id_or_own(first_call));
        self.started_as = Some(id.clone());
        let (name, signature) = (self.name.clone(), self.signature.clone());
        events.push(CompletionEvent::ToolCallStarted { index, id, name, signature });
        if self.has_arguments() {
            events.push(CompletionEvent::ToolArguments { index, fragment: self.arguments.clone() });
        }
    }

    fn id_or_own(&self, first_call: u32) -> String {
        match &self.started_as {
            Some(id) => id.clone(),
            None if self.id.is_empty() => format!("{OWN_ID}{}", first_call.saturating_add(self.index)),
            None => self.id.clone(),
        }
    }

    pub(super) fn corrupt(&self, reason: &'static str) -> Error {
        Error::new(ErrorKind::Corrupt, "read tool call")
            .with_context("reason", reason)
            .with_context("index", self.index)
    }

    pub(super) fn finish(&self, first_call: u32) -> Result<ToolCall> {
        if self.name.is_empty() {
            return Err(self.corrupt("no name"));
        }
        let text = if self.arguments.trim().is_empty() { "{}" } else { &self.arguments };
        // The parser's error is left out: it may quote the arguments.
        let arguments = Json::parse(text).map_err(|_| self.corrupt("the arguments are no json"))?;
        let call = ToolCall::new(self.id_or_own(first_call), &self.name, arguments);
        Ok(match &self.signature {
            Some(signature) => call.with_signature(signature),
            None => call,
        })
    }
}
