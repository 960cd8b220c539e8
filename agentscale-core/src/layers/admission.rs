use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::{Error, Result};

/// What an admitted call holds until its end: a permit, a slot, a place in a count.
///
/// A guard that is dropped unresolved belongs to a call that was cancelled: it gives back what it holds and
/// records nothing.
pub trait Guard {
    /// The call ended like this.
    fn resolve(self, result: Result<(), &Error>);
}

/// For layers that only ask at the entry.
impl Guard for () {
    fn resolve(self, _: Result<(), &Error>) {}
}

pin_project! {
    /// The future of a layer that lets a call in under a guard, or refuses it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call and, unresolved, the guard.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct AdmissionFuture<F, G> {
        #[pin]
        state: State<F, G>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F, G> {
        Admitted { #[pin] call: F, guard: Option<G> },
        Refused { error: Option<Error> },
    }
}

impl<F, G> AdmissionFuture<F, G> {
    /// The call runs and `guard` is resolved with its result.
    pub fn admitted(call: F, guard: G) -> Self {
        Self { state: State::Admitted { call, guard: Some(guard) } }
    }

    /// The call is answered with `error`.
    pub fn refused(error: Error) -> Self {
        Self { state: State::Refused { error: Some(error) } }
    }
}

impl<F, G, T> Future for AdmissionFuture<F, G>
where
    F: Future<Output = Result<T>>,
    G: Guard,
{
    type Output = Result<T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Admitted { call, guard } => {
                let result = std::task::ready!(call.poll(context));
                if let Some(guard) = guard.take() {
                    guard.resolve(result.as_ref().map(|_| ()));
                }
                Poll::Ready(result)
            }
            StateProjection::Refused { error } => {
                Poll::Ready(Err(error.take().expect("a future is not polled after its completion")))
            }
        }
    }
}
