use bytes::Bytes;

use super::reply::Reply;
use super::{Call, Trouble};
use crate::answer::Usage;
use crate::dialect;
use crate::embeddings::Embeddings;
use crate::limits::Load;
use crate::prompt::tokens;

/// The longest vectors that may be asked for.
const MOST_DIMENSIONS: u64 = 8_192;

impl Call {
    pub(super) async fn embed(
        &self,
        embeddings: &dyn Embeddings,
        key: &str,
        body: &Bytes,
    ) -> Result<Reply, Trouble> {
        let input = embeddings.read(body)?;
        if !self.simulator.knows_model(&input.model) {
            return Err(dialect::unknown_model(self.dialect, &input.model).into());
        }
        let fault = self.fault(key, &input.model, false);
        self.befall(fault).await?;
        let account = self.simulator.account(self.dialect, key, &input.model);
        let usage = Usage { input: input.texts.iter().map(|text| tokens(text)).sum(), ..Usage::default() };
        let load = Load { input: usage.input, ..Load::default() };
        let (headers, admitted) = self.simulator.limits.admit(&account, load, self.simulator.clock.now());
        if let Err(refusal) = admitted {
            return Err(refusal.with_headers(headers).into());
        }
        let dimensions = match input.dimensions {
            Some(asked) => asked.min(MOST_DIMENSIONS) as usize,
            None => self.simulator.script.answers.dimensions,
        };
        let booking = self.booking(account, key, usage);
        let body = Bytes::from(embeddings.whole(&input, dimensions).to_string());
        Ok(self.whole(body, fault, booking).await.with_headers(headers))
    }
}
