//! What happens inside, told to whoever watches, at no risk to what happens.

use std::fmt::Debug;
use std::sync::Arc;

mod buffer;
mod observation;
mod sinks;

pub use buffer::{DroppedObservations, ObservationBatch, ObservationBuffer};
pub use observation::{FieldValue, MAX_FIELD_BYTES, MAX_FIELDS, Observation, ObservationLevel};
pub use sinks::{AnonymousObserver, FanOutObserver, NullObserver, TracingObserver};

/// Is told of observations.
///
/// # For implementors
/// `emit` is called in the middle of the work that it reports. It returns at once, whatever the state of the place where
/// observations end: it waits for no consumer, no disk and no network, and it neither fails nor panics. What there is no
/// room for is dropped and counted, as [`ObservationBuffer`] does.
pub trait Observer: Debug + Send + Sync + 'static {
    /// Takes an observation.
    fn emit(&self, observation: Observation);
}

macro_rules! forward {
    ($($pointer:ident)*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<T: Observer + ?Sized> Observer for $pointer<T> {
            fn emit(&self, observation: Observation) {
                (**self).emit(observation);
            }
        }
    )*};
}

forward!(Arc Box);
