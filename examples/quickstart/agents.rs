//! The agents: researchers that read their share of the documents, and a coordinator that asks them all.

use agentscale::core::knowledge::Filter;
use agentscale::llm::NOTHING_FOUND;
use agentscale::prelude::*;
use serde::{Deserialize, Serialize};

pub(crate) const COORDINATOR: &str = "coordinator";
pub(crate) const RESEARCHER: &str = "researcher";
pub(crate) const ANSWERS: &str = "answers";

/// How many passages a researcher reads at most.
const RECALLED: usize = 4;

const INSTRUCTIONS: &str = "Answer the question from the documents alone. Quote the sentences that answer it, each on a \
    line of its own with its citation as [file:line] behind it.";

/// The question as a researcher gets it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Research {
    pub(crate) question: String,
    pub(crate) shard: u32,
    pub(crate) coordinator: Address,
}

/// What a researcher found, if anything.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) shard: u32,
    pub(crate) quotes: Option<String>,
}

/// What the coordinator can be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Begins a run, or goes on with one that was not shown to the end.
    Begin {
        question: String,
        agents: u32,
    },
    Found(Found),
    /// The answer was shown: the next `Begin` starts anew.
    Shown,
}

/// How a run stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) generation: u32,
    pub(crate) answer: Option<String>,
}

pub(crate) struct Researcher;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Notes {
    found: Option<String>,
}

#[async_trait]
impl Agent for Researcher {
    type State = Notes;

    fn recall(&self, message: &AgentMessage) -> Option<KnowledgeQuery> {
        let research = message.body::<Research>().ok()?;
        let query = KnowledgeQuery::text(message.tenant.clone(), research.question.clone());
        Some(query.with_filter(Filter::eq("shard", i64::from(research.shard))).with_limit(RECALLED))
    }

    async fn handle(&self, turn: &mut Turn<'_, Notes>, message: &AgentMessage) -> Result<Outcome> {
        let research = message.body::<Research>()?;
        let passages =
            turn.recalled().iter().map(|hit| (hit.entry.entry.id.as_str(), hit.entry.entry.text.as_str()));
        let found = match ask(&research.question, passages) {
            Some(request) => Some(turn.llm().complete(request).await?.text()),
            None => None,
        };
        let quotes = found.filter(|answer| answer.trim() != NOTHING_FOUND);
        turn.state_mut().found.clone_from(&quotes);
        turn.send(&research.coordinator, Order::Found(Found { shard: research.shard, quotes }));
        Ok(Outcome::Done)
    }
}

pub(crate) struct Coordinator;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Run {
    generation: u32,
    question: String,
    agents: u32,
    findings: Vec<Found>,
    answer: Option<String>,
    shown: bool,
}

#[async_trait]
impl Agent for Coordinator {
    type State = Run;

    async fn handle(&self, turn: &mut Turn<'_, Run>, message: &AgentMessage) -> Result<Outcome> {
        match &*message.body::<Order>()? {
            Order::Begin { question, agents } => self.begin(turn, question, *agents)?,
            Order::Found(found) => self.gather(turn, found).await?,
            Order::Shown => turn.state_mut().shown = true,
        }
        let run = turn.state();
        Ok(turn.reply(Standing { generation: run.generation, answer: run.answer.clone() }))
    }
}

impl Coordinator {
    fn begin(&self, turn: &mut Turn<'_, Run>, question: &str, agents: u32) -> Result<()> {
        let run = turn.state();
        if run.generation > 0 && !run.shown {
            return Ok(());
        }
        let generation = run.generation + 1;
        let me = turn.agent();
        *turn.state_mut() = Run { generation, question: question.to_owned(), agents, ..Run::default() };
        for shard in 0..agents {
            let researcher = Address::new(RESEARCHER, &researcher_key(me.key.as_str(), generation, shard))?;
            let question = question.to_owned();
            turn.send(&researcher, Research { question, shard, coordinator: Address::from(&me) });
        }
        Ok(())
    }

    async fn gather(&self, turn: &mut Turn<'_, Run>, found: &Found) -> Result<()> {
        turn.state_mut().findings.push(found.clone());
        let run = turn.state();
        if run.findings.len() < run.agents as usize {
            return Ok(());
        }
        let quotes: Vec<_> =
            run.findings.iter().filter_map(|found| found.quotes.as_deref()).flat_map(cited).collect();
        let answer = match ask(&run.question, quotes.into_iter()) {
            Some(request) => turn.llm().complete(request).await?.text(),
            None => NOTHING_FOUND.to_owned(),
        };
        turn.state_mut().answer = Some(answer.clone());
        turn.publish(&Topic::new(ANSWERS)?, answer);
        Ok(())
    }
}

pub(crate) fn researcher_key(run: &str, generation: u32, shard: u32) -> String {
    format!("{run}.{generation}.{shard}")
}

/// The lines of an answer with the citation at their end, as `(citation, text)`.
pub(crate) fn cited(answer: &str) -> impl Iterator<Item = (&str, &str)> {
    answer.lines().filter_map(|line| {
        let (text, citation) = line.trim().strip_suffix(']')?.rsplit_once('[')?;
        citation.contains(':').then_some((citation, text.trim()))
    })
}

fn ask<'a>(question: &str, passages: impl Iterator<Item = (&'a str, &'a str)>) -> Option<CompletionRequest> {
    let mut asked = Message::user(question);
    for (citation, text) in passages {
        asked = asked.with_document(citation, text);
    }
    let has_documents = asked.content.len() > 1;
    let instructions = format!("{INSTRUCTIONS} Where nothing answers it, say exactly: {NOTHING_FOUND}");
    has_documents
        .then(|| CompletionRequest::new(vec![Message::system(instructions), asked]).with_temperature(0.0))
}
