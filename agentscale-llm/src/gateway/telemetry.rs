//! Metrics and spans of the gateway. Those of calls have the names of OpenTelemetry's conventions for generative AI
//! (<https://github.com/open-telemetry/semantic-conventions-genai>, still in development), written as OpenMetrics has
//! them: dots are underscores, and a unit ends the name.

pub(crate) mod span;

use std::time::Duration;

use agentscale_core::llm::Usage;
use agentscale_core::metrics::{Counter, Gauge, Histogram, Metric, Metrics};
use agentscale_core::{Error, Result};

/// `gen_ai.client.operation.duration`, by operation, model, provider (the pool) and, for those that failed, the kind.
const DURATION: Metric =
    Metric::new("gen_ai_client_operation_duration_seconds", "time from sending a call to its last part")
        .in_seconds();

/// `gen_ai.client.operation.time_to_first_chunk`.
const FIRST_CHUNK: Metric = Metric::new(
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "time from sending a streamed call to its first part",
)
.in_seconds();

/// `gen_ai.client.token.usage`, by the kind of token.
const TOKENS: Metric = Metric::new("gen_ai_client_token_usage", "tokens of a call");

const WAITING: Metric = Metric::new("agentscale_gateway_waiting_calls", "calls in the gateway's line");

const WAIT: Metric =
    Metric::new("agentscale_gateway_wait_seconds", "time in the gateway's line of calls that got a place")
        .in_seconds();

const REFUSED: Metric =
    Metric::new("agentscale_gateway_refused_total", "calls that got no place, by kind of error");

const BUDGET_REFUSED: Metric =
    Metric::new("agentscale_gateway_budget_refused_total", "calls that got no budget, by kind of error");

const BUDGET_EXCHANGE: Metric =
    Metric::new("agentscale_gateway_budget_exchange_seconds", "time of exchanges with the budget ledger")
        .in_seconds();

const BUDGET_FAILED: Metric = Metric::new(
    "agentscale_gateway_budget_failed_exchanges_total",
    "exchanges that the budget ledger did not answer, by kind of error",
);

const BUDGET_FORFEITED: Metric = Metric::new(
    "agentscale_gateway_budget_forfeits_total",
    "times that the ledger had not heard of this gateway for so long that all its grants were lost",
);

/// What one target of a model records.
#[derive(Clone, Debug)]
pub(crate) struct TargetMetrics {
    metrics: Metrics,
    model: String,
    pool: String,
    chat: Histogram,
    embeddings: Histogram,
    first_chunk: Histogram,
    input_tokens: Histogram,
    output_tokens: Histogram,
}

/// What the line records.
#[derive(Clone, Debug)]
pub(crate) struct LineMetrics {
    metrics: Metrics,
    pub(crate) waiting: Gauge,
    pub(crate) wait: Histogram,
}

/// What a call does, as the conventions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Chat,
    Embeddings,
}

impl TargetMetrics {
    pub(crate) fn new(metrics: &Metrics, model: &str, pool: &str) -> Result<Self> {
        let of = |operation: Operation| {
            [("gen_ai_operation_name", operation.as_str()), model_label(model), provider_label(pool)]
        };
        let duration = |operation| {
            let [name, model, provider] = of(operation);
            metrics.histogram(&DURATION, &[name, model, provider, ("error_type", "")])
        };
        let tokens = |kind| {
            metrics
                .histogram(&TOKENS, &[("gen_ai_token_type", kind), model_label(model), provider_label(pool)])
        };
        Ok(Self {
            chat: duration(Operation::Chat)?,
            embeddings: duration(Operation::Embeddings)?,
            first_chunk: metrics.histogram(&FIRST_CHUNK, &of(Operation::Chat))?,
            input_tokens: tokens("input")?,
            output_tokens: tokens("output")?,
            metrics: metrics.clone(),
            model: model.to_owned(),
            pool: pool.to_owned(),
        })
    }

    pub(crate) fn succeeded(&self, operation: Operation, took: Duration, usage: Usage) {
        match operation {
            Operation::Chat => self.chat.record_duration(took),
            Operation::Embeddings => self.embeddings.record_duration(took),
        }
        self.input_tokens.record(usage.input_tokens);
        if operation == Operation::Chat {
            self.output_tokens.record(usage.output_tokens);
        }
    }

    pub(crate) fn pool(&self) -> &str {
        &self.pool
    }

    pub(crate) fn first_chunk(&self, took: Duration) {
        self.first_chunk.record_duration(took);
    }

    pub(crate) fn failed(&self, operation: Operation, took: Duration, error: &Error) {
        let labels = [
            ("gen_ai_operation_name", operation.as_str()),
            model_label(&self.model),
            provider_label(&self.pool),
            ("error_type", error.kind().as_str()),
        ];
        // The same name and labels were taken when this was made.
        if let Ok(duration) = self.metrics.histogram(&DURATION, &labels) {
            duration.record_duration(took);
        }
    }
}

impl LineMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self> {
        let (waiting, wait) = (metrics.gauge(&WAITING, &[])?, metrics.histogram(&WAIT, &[])?);
        refused(metrics, "overloaded")?;
        Ok(Self { metrics: metrics.clone(), waiting, wait })
    }

    pub(crate) fn refused(&self, error: &Error) {
        // The same name and label were taken when this was made.
        if let Ok(refused) = refused(&self.metrics, error.kind().as_str()) {
            refused.increment();
        }
    }
}

/// What the budgets record.
#[derive(Clone, Debug)]
pub(crate) struct BudgetMetrics {
    metrics: Metrics,
    exchange: Histogram,
    forfeits: Counter,
}

impl BudgetMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self> {
        metrics.counter(&BUDGET_REFUSED, &[("error_type", "budget_exceeded")])?;
        metrics.counter(&BUDGET_FAILED, &[("error_type", "unavailable")])?;
        Ok(Self {
            metrics: metrics.clone(),
            exchange: metrics.histogram(&BUDGET_EXCHANGE, &[])?,
            forfeits: metrics.counter(&BUDGET_FORFEITED, &[])?,
        })
    }

    pub(crate) fn refused(&self, error: &Error) {
        self.count(&BUDGET_REFUSED, error);
    }

    pub(crate) fn failed(&self, error: &Error) {
        self.count(&BUDGET_FAILED, error);
    }

    pub(crate) fn exchanged(&self, took: Duration) {
        self.exchange.record_duration(took);
    }

    pub(crate) fn forfeited(&self) {
        self.forfeits.increment();
    }

    fn count(&self, metric: &Metric, error: &Error) {
        // The same name and label were taken when this was made.
        if let Ok(counter) = self.metrics.counter(metric, &[("error_type", error.kind().as_str())]) {
            counter.increment();
        }
    }
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
        }
    }
}

fn model_label(model: &str) -> (&'static str, &str) {
    ("gen_ai_request_model", model)
}

fn provider_label(pool: &str) -> (&'static str, &str) {
    ("gen_ai_provider_name", pool)
}

fn refused(metrics: &Metrics, kind: &str) -> Result<Counter> {
    metrics.counter(&REFUSED, &[("error_type", kind)])
}
