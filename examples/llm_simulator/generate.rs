//! Answers from a seed and a prompt: equal ones have equal answers.

use serde_json::Value;

use crate::answer::{Answer, Call, Finish, Usage};
use crate::prompt::{Choice, Format, Prompt, Thinking, Tool};
use crate::schema;
use crate::script::Answers;

const WORDS: &str = "the lease owner holds a record until its term ends and every writer checks the epoch before it \
    commits so that no reader sees half of a change while the queue drains in order each node keeps a short log of \
    what it sent where the other side may ask again after a break the cost of one more copy is small against the \
    time that a lost message takes to find most answers begin with a guess that later facts correct under load the \
    slowest path decides how long people wait";

pub(crate) fn answer(seed: u64, prompt: &Prompt, settings: &Answers) -> Answer {
    let digest = prompt.digest(seed);
    let mut draws = fastrand::Rng::with_seed(first_u64(&digest));
    let id = blake3::Hash::from(digest).to_hex()[..24].to_owned();
    let thinking = match prompt.thinking {
        Thinking::Off => Vec::new(),
        Thinking::Hidden | Thinking::Shown => sentences(&mut draws, settings.thinking_tokens),
    };
    let tools = called_tools(prompt, settings, &mut draws);
    let mut answer = Answer {
        model: prompt.model.clone(),
        thinking,
        text: Vec::new(),
        calls: Vec::new(),
        finish: Finish::Stop,
        usage: Usage { input: prompt.input_tokens(), ..Usage::default() },
        id,
    };
    if tools.is_empty() {
        answer.text = text(prompt, settings, &mut draws);
        cut_at_stop(&mut answer, &prompt.stop);
    } else {
        answer.finish = Finish::Tools;
        answer.calls = calls(&tools, &answer.id, &mut draws);
    }
    let called: usize = answer.calls.iter().map(|call| call.fragments().len()).sum();
    answer.usage.thinking = answer.thinking.len() as u64;
    answer.usage.output = answer.usage.thinking + (answer.text.len() + called) as u64;
    if let Some(most) = prompt.max_tokens {
        cut_at_length(&mut answer, most);
    }
    if prompt.thinking == Thinking::Hidden {
        answer.thinking.clear();
    }
    answer
}

fn called_tools<'p>(prompt: &'p Prompt, settings: &Answers, draws: &mut fastrand::Rng) -> Vec<&'p Tool> {
    let count = if prompt.one_call { 1 } else { settings.tool_calls as usize };
    let first = |tools: &'p [Tool], draws: &mut fastrand::Rng| {
        let from = draws.usize(..tools.len().max(1));
        tools.iter().cycle().skip(from).take(if tools.is_empty() { 0 } else { count }).collect()
    };
    match &prompt.choice {
        Choice::None => Vec::new(),
        Choice::Named(name) => prompt.tools.iter().filter(|tool| tool.name == *name).take(1).collect(),
        Choice::Required => first(&prompt.tools, draws),
        Choice::Auto if prompt.after_tool => Vec::new(),
        Choice::Auto => match draws.f64() < settings.tool_call_probability {
            true => first(&prompt.tools, draws),
            false => Vec::new(),
        },
    }
}

fn calls(tools: &[&Tool], id: &str, draws: &mut fastrand::Rng) -> Vec<Call> {
    let call = |(place, tool): (usize, &&Tool)| Call {
        id: format!("{}{place:02}", &id[..22]),
        name: tool.name.clone(),
        arguments: match schema::instance(&tool.schema, draws) {
            object @ Value::Object(_) => object.to_string(),
            _ => "{}".to_owned(),
        },
    };
    tools.iter().enumerate().map(call).collect()
}

fn text(prompt: &Prompt, settings: &Answers, draws: &mut fastrand::Rng) -> Vec<String> {
    match &prompt.format {
        _ if prompt.is_empty => Vec::new(),
        Format::Text => {
            let length = draws.u64(settings.min_tokens..=settings.max_tokens);
            sentences(draws, length)
        }
        Format::Object => pieces(&serde_json::json!({"answer": sentences(draws, 8).concat()}).to_string()),
        Format::Schema(schema) => pieces(&schema::instance(schema, draws).to_string()),
    }
}

/// As many tokens, a word each.
pub(crate) fn sentences(draws: &mut fastrand::Rng, tokens: u64) -> Vec<String> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut text = Vec::with_capacity(tokens as usize);
    let mut left = 0;
    for place in 0..tokens {
        let word = words[draws.usize(..words.len())];
        let space = if place == 0 { "" } else { " " };
        let begins = left == 0;
        if begins {
            left = draws.u64(6..=14);
        }
        left -= 1;
        let end = if left == 0 || place + 1 == tokens { "." } else { "" };
        let word = if begins { capital(word) } else { word.to_owned() };
        text.push(format!("{space}{word}{end}"));
    }
    text
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn pieces(text: &str) -> Vec<String> {
    Call { id: String::new(), name: String::new(), arguments: text.to_owned() }.fragments()
}

fn cut_at_stop(answer: &mut Answer, stop: &[String]) {
    let whole = answer.text();
    let found = stop.iter().filter(|text| !text.is_empty());
    let first = found.filter_map(|text| whole.find(text.as_str()).map(|at| (at, text))).min();
    let Some((at, sequence)) = first else { return };
    answer.finish = Finish::StopSequence(sequence.clone());
    let mut left = at;
    answer.text.retain_mut(|token| {
        let kept = left.min(token.len());
        left -= kept;
        token.truncate(kept);
        kept > 0
    });
}

/// Thinking counts first. Calls that do not fit are left out, as a model that is cut off has not made them.
fn cut_at_length(answer: &mut Answer, most: u64) {
    if answer.usage.output <= most {
        return;
    }
    answer.finish = Finish::Length;
    answer.calls.clear();
    answer.thinking.truncate(most as usize);
    answer.usage.thinking = answer.thinking.len() as u64;
    answer.text.truncate((most - answer.usage.thinking) as usize);
    answer.usage.output = answer.usage.thinking + answer.text.len() as u64;
}

fn first_u64(digest: &[u8; 32]) -> u64 {
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
