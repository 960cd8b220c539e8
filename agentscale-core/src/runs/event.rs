use bytes::Bytes;
use serde::Serialize;

use super::{EventId, EventName};
use crate::{Error, ErrorKind, Result};

/// An event to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewEvent {
    /// What sort of event it is.
    pub name: EventName,
    /// What it says.
    pub data: Bytes,
    /// Whether it ends the stream.
    pub ends: bool,
}

impl NewEvent {
    /// An event of any bytes.
    pub fn new(name: EventName, data: impl Into<Bytes>) -> Self {
        Self { name, data: data.into(), ends: false }
    }

    /// An event whose data is JSON, without a line break.
    ///
    /// # Errors
    /// `invalid_input` for a value that JSON cannot hold.
    pub fn json<T: Serialize + ?Sized>(name: EventName, value: &T) -> Result<Self> {
        let data = serde_json::to_vec(value)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "encode event").with_source(error))?;
        Ok(Self::new(name, data))
    }

    /// Makes it the last event of its stream.
    #[must_use]
    pub fn ending(mut self) -> Self {
        self.ends = true;
        self
    }

    /// What it weighs against the limits: its name and data.
    pub fn size(&self) -> usize {
        self.name.as_str().len() + self.data.len()
    }
}

/// An event as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunEvent {
    /// Names it.
    pub id: EventId,
    /// What sort of event it is.
    pub name: EventName,
    /// What it says.
    pub data: Bytes,
    /// Whether its owner ended the stream with it. A later owner may have gone on.
    pub ends: bool,
}

impl RunEvent {
    /// An event that was appended under this id.
    pub fn new(id: EventId, event: NewEvent) -> Self {
        let NewEvent { name, data, ends } = event;
        Self { id, name, data, ends }
    }
}
