use agentscale_core::Result;
use futures::future::{BoxFuture, Either, select};
use tokio::time::timeout;
use tracing::Instrument;
use tracing::instrument::Instrumented;

use super::call::{Attempt, Call, To};

/// An attempt under way.
struct Running<T> {
    attempt: Attempt,
    answer: Instrumented<BoxFuture<'static, Result<T>>>,
}

impl<T> Running<T> {
    fn new(answer: BoxFuture<'static, Result<T>>, attempt: Attempt) -> Self {
        Self { answer: answer.instrument(attempt.span.clone()), attempt }
    }
}

impl Call {
    /// The answer of the first attempt that gives one, with the attempt; `send` makes one.
    ///
    /// Where an attempt is silent for longer than answers take, another is made beside it, and the first answer counts: a
    /// provider that hangs is left as one that refuses is, and one that is only slow loses nothing.
    pub(super) async fn answered<T>(
        &mut self,
        mut send: impl FnMut(To<'_>) -> BoxFuture<'static, Result<T>>,
    ) -> Result<(T, Attempt)> {
        self.race(&mut send).await.inspect_err(|error| self.tell_failed(error))
    }

    /// The same, where the call does not end with the error.
    pub(super) async fn race<T>(
        &mut self,
        send: &mut impl FnMut(To<'_>) -> BoxFuture<'static, Result<T>>,
    ) -> Result<(T, Attempt)> {
        let mut first = self.start(send).await?;
        loop {
            let ended = match timeout(self.patience(&first.attempt), &mut first.answer).await {
                Ok(ended) => ended,
                Err(_) => match self.place_beside(&first.attempt) {
                    None => (&mut first.answer).await,
                    Some(attempt) => {
                        let mut second = Running::new(send(self.to(&attempt)), attempt);
                        match first_of(&mut first, &mut second).await {
                            Raced::First(Ok(answer)) => Ok(answer),
                            Raced::First(Err(error)) => {
                                self.fail(first.attempt, error)?;
                                first = second;
                                continue;
                            }
                            Raced::Second(Ok(answer)) => {
                                self.overtaken(first.attempt);
                                first = second;
                                Ok(answer)
                            }
                            Raced::Second(Err(error)) => {
                                self.fail(second.attempt, error)?;
                                continue;
                            }
                        }
                    }
                },
            };
            match ended {
                Ok(answer) => {
                    self.tell_answered(&first.attempt);
                    return Ok((answer, first.attempt));
                }
                Err(error) => {
                    self.fail(first.attempt, error)?;
                    first = self.start(send).await?;
                }
            }
        }
    }

    async fn start<T>(
        &mut self,
        send: &mut impl FnMut(To<'_>) -> BoxFuture<'static, Result<T>>,
    ) -> Result<Running<T>> {
        let attempt = self.place().await?;
        Ok(Running::new(send(self.to(&attempt)), attempt))
    }
}

/// Which of two attempts ended, and how.
enum Raced<T> {
    First(Result<T>),
    Second(Result<T>),
}

async fn first_of<T>(first: &mut Running<T>, second: &mut Running<T>) -> Raced<T> {
    match select(&mut first.answer, &mut second.answer).await {
        Either::Left((ended, _)) => Raced::First(ended),
        Either::Right((ended, _)) => Raced::Second(ended),
    }
}
