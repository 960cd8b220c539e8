//! Gemini's `cachedContents`: prompts' beginnings that have a name.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::dialect::{
    gemini_error, gemini_field as field, gemini_invalid as invalid, parse_gemini, read_gemini,
};
use crate::prompt::{Caching, Prompt, Segment, Tool};
use crate::refusal::Refusal;

/// As many exist at a time.
const MOST: usize = 10_000;
const DEFAULT_TTL: Duration = Duration::from_secs(3_600);

#[derive(Debug, Default)]
pub(crate) struct Resources {
    all: Mutex<HashMap<String, Resource>>,
}

#[derive(Debug)]
struct Resource {
    organization: String,
    model: String,
    display_name: Value,
    segments: Vec<Segment>,
    tools: Vec<Tool>,
    created: Duration,
    updated: Duration,
    expires: Duration,
}

impl Resources {
    pub(crate) fn create(
        &self,
        organization: &str,
        body: &[u8],
        least_tokens: u64,
        now: Duration,
    ) -> Result<Value, Refusal> {
        let body = parse_gemini(body)?;
        let model = body["model"].as_str().and_then(|model| model.strip_prefix("models/"));
        let model = model
            .ok_or_else(|| invalid("* CreateCachedContentRequest.model: unexpected model name format"))?;
        let mut prompt = Prompt { model: model.to_owned(), ..Prompt::default() };
        read_gemini(&body, &mut prompt, "CreateCachedContentRequest")?;
        let tokens = prompt.input_tokens();
        if tokens < least_tokens {
            return Err(invalid(&format!(
                "Cached content is too small. total_token_count={tokens}, min_total_token_count={least_tokens}"
            )));
        }
        let mut all = self.fresh(now);
        if all.len() >= MOST {
            return Err(Refusal::new(429, gemini_error(429, "Too many cached contents.")));
        }
        let hash = blake3::Hash::from(prompt.digest(all.len() as u64)).to_hex();
        let name = format!("cachedContents/{}", &hash[..24]);
        let resource = Resource {
            organization: organization.to_owned(),
            model: prompt.model,
            display_name: field(&body, "displayName").clone(),
            segments: prompt.segments,
            tools: prompt.tools,
            created: now,
            updated: now,
            expires: now + ttl(&body)?.unwrap_or(DEFAULT_TTL),
        };
        let shown = resource.shown(&name);
        all.insert(name, resource);
        Ok(shown)
    }

    pub(crate) fn list(&self, organization: &str, now: Duration) -> Value {
        let all = self.fresh(now);
        let mine = all.iter().filter(|(_, resource)| resource.organization == organization);
        json!({"cachedContents": mine.map(|(name, resource)| resource.shown(name)).collect::<Vec<_>>()})
    }

    /// Changes how long a resource lives, where a body says so, and shows it.
    pub(crate) fn update(
        &self,
        organization: &str,
        name: &str,
        body: &[u8],
        now: Duration,
    ) -> Result<Value, Refusal> {
        let ttl = if body.is_empty() { None } else { ttl(&parse_gemini(body)?)? };
        let mut all = self.fresh(now);
        let resource =
            all.get_mut(name).filter(|resource| resource.organization == organization).ok_or_else(missing)?;
        if let Some(ttl) = ttl {
            (resource.updated, resource.expires) = (now, now + ttl);
        }
        Ok(resource.shown(name))
    }

    pub(crate) fn delete(&self, organization: &str, name: &str, now: Duration) -> Result<Value, Refusal> {
        let mut all = self.fresh(now);
        match all.get(name).is_some_and(|resource| resource.organization == organization) {
            true => {
                all.remove(name);
                Ok(json!({}))
            }
            false => Err(missing()),
        }
    }

    /// Puts the resource that a prompt names before it.
    pub(crate) fn continue_from(
        &self,
        organization: &str,
        prompt: &mut Prompt,
        now: Duration,
    ) -> Result<(), Refusal> {
        let Some(name) = prompt.resource.take() else { return Ok(()) };
        let all = self.fresh(now);
        let resource =
            all.get(&name).filter(|resource| resource.organization == organization).ok_or_else(missing)?;
        if resource.model != prompt.model {
            return Err(invalid(&format!(
                "Model used by GenerateContent request (models/{}) and CachedContent (models/{}) has to be the same.",
                prompt.model, resource.model
            )));
        }
        let copied = |segment: &Segment| Segment {
            bytes: segment.bytes.clone(),
            tokens: segment.tokens,
            breakpoint: segment.breakpoint,
        };
        prompt.segments.splice(..0, resource.segments.iter().map(copied));
        let tool = |tool: &Tool| Tool { name: tool.name.clone(), schema: tool.schema.clone() };
        prompt.tools.extend(resource.tools.iter().map(tool));
        prompt.caching = Caching::Resource { segments: resource.segments.len() };
        Ok(())
    }

    pub(crate) fn reset(&self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn fresh(&self, now: Duration) -> MutexGuard<'_, HashMap<String, Resource>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, resource| resource.expires > now);
        all
    }
}

impl Resource {
    fn shown(&self, name: &str) -> Value {
        let tokens: u64 = self.segments.iter().map(|segment| segment.tokens).sum();
        let mut shown = json!({
            "name": name,
            "model": format!("models/{}", self.model),
            "createTime": rfc3339(self.created),
            "updateTime": rfc3339(self.updated),
            "expireTime": rfc3339(self.expires),
            "usageMetadata": {"totalTokenCount": tokens},
        });
        if !self.display_name.is_null() {
            shown["displayName"] = self.display_name.clone();
        }
        shown
    }
}

fn ttl(body: &Value) -> Result<Option<Duration>, Refusal> {
    let Some(text) = body["ttl"].as_str() else { return Ok(None) };
    let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse::<f64>().ok());
    match seconds.filter(|seconds| (0.0..1e9).contains(seconds)) {
        Some(seconds) => Ok(Some(Duration::from_secs_f64(seconds))),
        None => Err(invalid(
            "Invalid value at 'cached_content.ttl' (type.googleapis.com/google.protobuf.Duration)",
        )),
    }
}

fn missing() -> Refusal {
    Refusal::new(403, gemini_error(403, "CachedContent not found (or permission denied)"))
}
