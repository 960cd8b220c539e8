use serde::{Deserialize, Serialize};
use std::borrow::Cow;

use crate::{Address, MAX_NAME_BYTES, Stamp, TaskName, Tenant, TraceId};

/// The most fields that an observation has.
pub const MAX_FIELDS: usize = 16;

/// The longest text of a field in bytes.
pub const MAX_FIELD_BYTES: usize = 256;

/// How much an observation matters, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservationLevel {
    /// For who looks for a fault; the first to be dropped.
    Debug,
    /// The usual course.
    Info,
    /// Something was made good.
    Warning,
    /// Something failed.
    Error,
}

impl ObservationLevel {
    /// All of them, least first.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warning, Self::Error];

    /// Its name, as it is serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that happened. Small by construction: no prompt, no answer and no secret belongs in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Observation {
    /// How much it matters.
    pub level: ObservationLevel,
    /// What happened: one of few names, such as `turn_committed`.
    pub name: Cow<'static, str>,
    /// When, in causal order.
    pub stamp: Stamp,
    /// Whose it is; `None` where it belongs to no tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// The agent that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Address>,
    /// The message, job or run that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskName>,
    /// The trace that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceId>,
    /// Details, [`MAX_FIELDS`] at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(Cow<'static, str>, FieldValue)>,
    /// Whether a field was cut or left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl Observation {
    /// An observation without details.
    pub fn new(level: ObservationLevel, name: impl Into<Cow<'static, str>>, stamp: Stamp) -> Self {
        Self {
            level,
            name: name.into(),
            stamp,
            tenant: None,
            agent: None,
            task: None,
            trace: None,
            fields: Vec::new(),
            truncated: false,
        }
    }

    /// Says whose it is.
    #[must_use]
    pub fn with_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Says which agent it is about.
    #[must_use]
    pub fn with_agent(mut self, agent: Address) -> Self {
        self.agent = Some(agent);
        self
    }

    /// Says which piece of work it is part of.
    #[must_use]
    pub fn with_task(mut self, task: TaskName) -> Self {
        self.task = Some(task);
        self
    }

    /// Says which trace it is part of.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceId) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Adds a detail. Text is cut at [`MAX_FIELD_BYTES`]; what comes after [`MAX_FIELDS`] is left out.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<FieldValue>) -> Self {
        if self.fields.len() == MAX_FIELDS {
            self.truncated = true;
            return self;
        }
        let mut value = value.into();
        self.truncated |= value.shorten();
        self.fields.push((name.into(), value));
        self
    }

    /// Cuts what was put in past the bounds of [`with_field`](Self::with_field), and names to [`MAX_NAME_BYTES`].
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let mut truncated = self.fields.len() > MAX_FIELDS;
        if truncated {
            self.fields.truncate(MAX_FIELDS);
            self.fields.shrink_to_fit();
        }
        truncated |= shorten_name(&mut self.name);
        for (name, value) in &mut self.fields {
            truncated |= shorten_name(name);
            truncated |= value.shorten();
        }
        self.truncated |= truncated;
        self
    }

    /// About how many bytes it takes in memory.
    pub fn size_hint(&self) -> usize {
        let fields = self.fields.iter().map(|(name, value)| {
            let text = if let FieldValue::Text(text) = value { text.len() } else { 0 };
            size_of::<(Cow<'static, str>, FieldValue)>() + name.len() + text
        });
        size_of::<Self>() + self.name.len() + fields.sum::<usize>()
    }

    /// What may be shown to everybody: without tenant, agent, task and texts; numbers and the trace stay.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        (self.tenant, self.agent, self.task) = (None, None, None);
        self.fields.retain(|(_, value)| !matches!(value, FieldValue::Text(_)));
        self
    }
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum FieldValue {
    /// Yes or no.
    Bool(bool),
    /// A count or a size.
    Integer(i64),
    /// A measure.
    Float(f64),
    /// A short text: a kind, an id.
    Text(String),
}

impl FieldValue {
    /// Whether a text was longer than [`MAX_FIELD_BYTES`].
    fn shorten(&mut self) -> bool {
        let Self::Text(text) = self else { return false };
        if text.len() <= MAX_FIELD_BYTES {
            return false;
        }
        text.truncate(text.floor_char_boundary(MAX_FIELD_BYTES));
        text.shrink_to_fit();
        true
    }
}

fn shorten_name(name: &mut Cow<'static, str>) -> bool {
    if name.len() <= MAX_NAME_BYTES {
        return false;
    }
    let cut = name.floor_char_boundary(MAX_NAME_BYTES);
    *name = Cow::Owned(name[..cut].to_owned());
    true
}

impl From<bool> for FieldValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for FieldValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

/// Counts beyond the largest signed number read as that.
impl From<u64> for FieldValue {
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for FieldValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<String> for FieldValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for FieldValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
