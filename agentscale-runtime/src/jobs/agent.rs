use agentscale_core::{Address, Error, ErrorKind, IdempotencyKey, Json, Result};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::handler::{JobEnd, JobHandler, JobRun};
use crate::Runtime;

/// A job that is a question to an agent: the payload that [`AgentJobs`] reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentJob {
    /// The agent, among those of the job's tenant.
    pub to: Address,
    /// What it is asked.
    pub question: Json,
}

impl AgentJob {
    /// A question to an agent.
    ///
    /// # Errors
    /// `invalid_input` for a question that JSON cannot hold.
    pub fn new<T: Serialize + ?Sized>(to: Address, question: &T) -> Result<Self> {
        Ok(Self { to, question: Json::encode(question)? })
    }

    /// As a job carries it.
    ///
    /// # Errors
    /// `internal` where it cannot be encoded.
    pub fn payload(&self) -> Result<Bytes> {
        serde_json::to_vec(self)
            .map(Bytes::from)
            .map_err(|error| Error::new(ErrorKind::Internal, "encode job of agent").with_source(error))
    }
}

/// Asks agents of a runtime what jobs say, and waits for their answers: the result is the answer as JSON.
///
/// The question carries the job's id as its idempotency key, so that an agent with durable turns that is asked again, as the
/// job ran twice, gives the answer that it gave before. It has the job's priority and trace, and ends with the job's time.
#[derive(Clone, Debug)]
pub struct AgentJobs {
    runtime: Runtime,
}

impl AgentJobs {
    /// Asks agents of this runtime.
    pub fn new(runtime: Runtime) -> Self {
        Self { runtime }
    }
}

#[async_trait]
impl JobHandler for AgentJobs {
    async fn handle(&self, run: JobRun) -> Result<JobEnd> {
        let AgentJob { to, question } = run.payload()?;
        let job = run.job();
        let agent = self
            .runtime
            .agent(&job.tenant, to.agent_type.as_str(), to.key.as_str())?
            .with_idempotency_key(IdempotencyKey::new(job.id.to_string())?)
            .with_priority(job.priority)
            .with_timeout(run.time_limit());
        let agent = match &job.trace {
            Some(trace) => agent.with_trace(trace.clone()),
            None => agent,
        };
        let answer: Json = agent.ask(question).await?;
        Ok(JobEnd::Done(answer.as_str().to_owned().into()))
    }
}
