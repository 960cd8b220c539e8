use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::reply::Reply;
use super::{Call, Trouble};
use crate::dialect::{self, Dialect};
use crate::generate;
use crate::limits::Load;
use crate::prompt::Prompt;
use crate::wire::Wire;

/// What is taken for the longest answer where the request names none.
const UNNAMED_OUTPUT: u64 = 16;

impl Call {
    pub(super) async fn complete(&self, wire: &dyn Wire, key: &str, body: &Bytes) -> Result<Reply, Trouble> {
        let simulator = &self.simulator;
        let mut prompt = wire.read(body)?;
        if !simulator.knows_model(&prompt.model) {
            return Err(dialect::unknown_model(self.dialect, &prompt.model).into());
        }
        let account = simulator.account(self.dialect, key, &prompt.model);
        simulator.resources.continue_from(&account.organization, &mut prompt, simulator.clock.now())?;
        self.check_length(&prompt)?;
        let fault = self.fault(key, &prompt.model, prompt.stream);
        self.befall(fault).await?;

        let now = simulator.clock.now();
        let found = simulator.prefixes.find(&account, &prompt, now);
        let load = Load {
            input: prompt.input_tokens(),
            cached: found.cached,
            most_output: prompt.max_tokens.unwrap_or(UNNAMED_OUTPUT),
        };
        let (headers, admitted) = simulator.limits.admit(&account, load, now);
        if let Err(refusal) = admitted {
            return Err(refusal.with_headers(headers).into());
        }
        let slot = self.slot().await?;
        simulator.prefixes.keep(&found, now);

        let mut answer = generate::answer(simulator.seed, &prompt, &simulator.script.answers);
        answer.usage.cached = found.cached.min(answer.usage.input);
        answer.usage.written = found.written;
        answer.usage.written_for_long = found.written_for_long;
        let mut booking = self.booking(account, key, answer.usage);
        booking.slot = slot;
        let reply = match prompt.stream {
            true => self.stream(wire, answer, &prompt, fault, booking).await,
            false => {
                let body = Bytes::from(wire.whole(&answer, &prompt).to_string());
                self.whole(body, fault, booking).await
            }
        };
        Ok(reply.with_headers(headers))
    }

    /// A place to run, where the dialect has only so many.
    async fn slot(&self) -> Result<Option<OwnedSemaphorePermit>, Trouble> {
        let slots = self.simulator.slots.as_ref().filter(|_| self.dialect == Dialect::Ollama);
        match slots {
            None => Ok(None),
            Some(slots) => match slots.acquire().await {
                None => Err(dialect::of_status(Dialect::Ollama, 503).into()),
                slot => Ok(slot),
            },
        }
    }

    fn check_length(&self, prompt: &Prompt) -> Result<(), Trouble> {
        let limit = self.simulator.model(&prompt.model).and_then(|model| model.context_tokens);
        match limit {
            Some(limit) if prompt.input_tokens() > limit => {
                Err(dialect::too_long(self.dialect, limit, prompt.input_tokens()).into())
            }
            _ => Ok(()),
        }
    }
}
