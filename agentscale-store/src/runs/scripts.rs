//! What is asked of Redis: one script each, so that each is atomic and one round trip.
//!
//! A run has two keys under the namespace: a stream with its events, whose ids are the packed epoch and the number, and a
//! hash (`:head`) with the epoch of its owner, the number of that owner's last event, the id up to which nothing is kept,
//! bytes and count of what is, and whether it has ended. Where Redis evicted one of both, all before is gone.

use agentscale_core::runs::{
    AppendEvents, Epoch, EventId, NewEvent, OpenRun, RunEvent, RunId, RunStreamLimits,
};
use agentscale_core::{Error, ErrorKind, Result};
use redis::{Cmd, Value, cmd};

use super::pack;

/// `KEYS[1]` is the head, `KEYS[2]` the stream.
const HEAD: &str = r"
local function lower(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function digits(number) return string.format('%.0f', number) end
local head = redis.call('HMGET', KEYS[1], 'epoch', 'number', 'floor', 'bytes', 'count', 'ended')
local epoch, number, floor = head[1], tonumber(head[2]), head[3]
local bytes, count, ended = tonumber(head[4]), tonumber(head[5]), head[6]
if epoch and count > 0 and redis.call('EXISTS', KEYS[2]) == 0 then
  floor, bytes, count = epoch .. '-' .. digits(number), 0, 0
end
";

/// `ARGV[1]` is the owner's epoch, `ARGV[2]` the milliseconds that a stream is kept.
const OWNER: &str = r"
if epoch and lower(ARGV[1], epoch) then return {'stale', epoch} end
local function begin(last)
  redis.call('DEL', KEYS[2])
  epoch, number, bytes, count, ended = ARGV[1], last, 0, 0, '0'
  floor = epoch .. '-' .. digits(last)
end
local function keep()
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'number', digits(number), 'floor', floor,
    'bytes', digits(bytes), 'count', digits(count), 'ended', ended)
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
";

const OPEN: &str = r"
if not epoch then begin(0) end
if epoch ~= ARGV[1] then epoch, number = ARGV[1], 0 end
ended = '0'
keep()
return {'done', digits(number + 1)}
";

/// `ARGV[3]` and `ARGV[4]` are how many events and bytes a stream holds, `ARGV[5]` is the first number; of each event
/// follow its name, its data, and whether it ends the stream.
const APPEND: &str = r"
local first, most, most_bytes = tonumber(ARGV[5]), tonumber(ARGV[3]), tonumber(ARGV[4])
if not epoch then begin(first - 1) end
if epoch ~= ARGV[1] then epoch, number, ended = ARGV[1], 0, '0' end
if ended == '1' and first + (#ARGV - 5) / 3 - 1 > number then return {'ended', ''} end
for at = 6, #ARGV, 3 do
  local own = first + (at - 6) / 3
  if own > number then
    local name, data = ARGV[at], ARGV[at + 1]
    redis.call('XADD', KEYS[2], epoch .. '-' .. digits(own), 'n', name, 'd', data, 'e', ARGV[at + 2])
    number, bytes, count, ended = own, bytes + #name + #data, count + 1, ARGV[at + 2]
    if ended == '1' then break end
  end
end
while count > most or bytes > most_bytes do
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 64)
  if #oldest == 0 then bytes, count = 0, 0 end
  for _, entry in ipairs(oldest) do
    if count <= most and bytes <= most_bytes then break end
    floor, count, bytes = entry[1], count - 1, bytes - #entry[2][2] - #entry[2][4]
  end
  local owner, last = string.match(floor, '^(%d+)-(%d+)$')
  redis.call('XTRIM', KEYS[2], 'MINID', '=', owner .. '-' .. digits(tonumber(last) + 1))
end
keep()
return {'done', digits(number + 1)}
";

const RENEW: &str = r"
if not epoch then return {'gone', ''} end
keep()
return {'done', digits(number + 1)}
";

/// `ARGV[1]` is the id behind which events are read, or empty, `ARGV[2]` how many.
const READ: &str = r"
if not epoch then return false end
local from = '-'
if ARGV[1] ~= '' then from = '(' .. ARGV[1] end
return {epoch .. '-' .. digits(number), floor, ended, redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', ARGV[2])}
";

pub(super) struct Scripts {
    prefix: String,
    ttl: u64,
    events: usize,
    bytes: usize,
    open: String,
    append: String,
    renew: String,
    read: String,
}

/// Where a run stands.
pub(super) struct Place {
    head: String,
    pub(super) events: String,
}

/// What became of an owner's request.
pub(super) enum Answer {
    /// The number of the next event.
    Done(u64),
    Stale(Epoch),
    Ended,
    Gone,
}

/// A stream, behind an id.
pub(super) struct Found {
    pub(super) last: EventId,
    pub(super) floor: EventId,
    pub(super) ended: bool,
    pub(super) events: Vec<RunEvent>,
}

type Entry = (String, Vec<Vec<u8>>);

/// As the script gives it.
pub(super) type Read = (String, String, String, Vec<Entry>);

impl Scripts {
    pub(super) fn new(namespace: &str, limits: &RunStreamLimits) -> Self {
        let owner = |script: &str| [HEAD, OWNER, script].concat();
        Self {
            prefix: format!("{namespace}:run:"),
            ttl: u64::try_from(limits.ttl.as_millis()).unwrap_or(u64::MAX),
            events: limits.events,
            bytes: limits.bytes,
            open: owner(OPEN),
            append: owner(APPEND),
            renew: owner(RENEW),
            read: [HEAD, READ].concat(),
        }
    }

    pub(super) fn place(&self, run: &RunId) -> Place {
        let mut hasher = blake3::Hasher::new();
        // Names have no control characters; the turn, which may, comes last.
        for part in [run.agent.tenant.as_str(), run.agent.agent_type.as_str(), run.agent.key.as_str()] {
            hasher.update(part.as_bytes()).update(b"\0");
        }
        let hash = hasher.update(run.turn.0.as_bytes()).finalize();
        let events = format!("{}{}", self.prefix, hash.to_hex());
        Place { head: format!("{events}:head"), events }
    }

    pub(super) fn open(&self, request: &OpenRun) -> Result<Cmd> {
        let (place, epoch) = (self.place(&request.run), pack::epoch(request.epoch)?);
        let mut command = script(&self.open, &place);
        command.arg(epoch).arg(self.ttl);
        Ok(command)
    }

    pub(super) fn append(&self, request: &AppendEvents) -> Result<Cmd> {
        let (place, epoch) = (self.place(&request.run), pack::epoch(request.epoch)?);
        let mut command = script(&self.append, &place);
        command.arg(epoch).arg(self.ttl).arg(self.events).arg(self.bytes).arg(request.first);
        for event in &request.events {
            command.arg(event.name.as_str()).arg(&event.data[..]).arg(u8::from(event.ends));
        }
        Ok(command)
    }

    pub(super) fn renew(&self, run: &RunId, epoch: Epoch) -> Result<Cmd> {
        let (place, epoch) = (self.place(run), pack::epoch(epoch)?);
        let mut command = script(&self.renew, &place);
        command.arg(epoch).arg(self.ttl);
        Ok(command)
    }

    pub(super) fn read(&self, place: &Place, after: Option<EventId>, limit: usize) -> Cmd {
        let mut command = script(&self.read, place);
        command.arg(after.map_or_else(String::new, pack::after)).arg(limit.max(1));
        command
    }
}

pub(super) fn answer(answer: (String, String)) -> Result<Answer> {
    let (what, value) = answer;
    let number = || value.parse::<u64>().map_err(|_| corrupt());
    match what.as_str() {
        "done" => Ok(Answer::Done(number()?)),
        "stale" => Ok(Answer::Stale(pack::unpack(number()?, 0).epoch)),
        "ended" => Ok(Answer::Ended),
        _ => Ok(Answer::Gone),
    }
}

pub(super) fn decode(found: Read) -> Result<Found> {
    let (last, floor, ended, entries) = found;
    let id = |text: &str| pack::id(text).ok_or_else(corrupt);
    let event = |(text, fields): Entry| {
        let Ok([_, name, _, data, _, ends]) = <[Vec<u8>; 6]>::try_from(fields) else {
            return Err(corrupt());
        };
        let name = String::from_utf8(name).map_err(|_| corrupt())?;
        let event = NewEvent::new(name.try_into()?, data);
        let event = if ends == b"1" { event.ending() } else { event };
        Ok(RunEvent::new(id(&text)?, event))
    };
    let events = entries.into_iter().map(event).collect::<Result<_>>()?;
    Ok(Found { last: id(&last)?, floor: id(&floor)?, ended: ended == "1", events })
}

fn script(script: &str, place: &Place) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(script).arg(2).arg(&place.head).arg(&place.events);
    command
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "read a run stream")
}

/// The names of the streams that gave something.
pub(super) fn streams(reply: Value) -> Vec<(String, Option<String>)> {
    let pairs = match reply {
        Value::Map(pairs) => pairs,
        Value::Array(pairs) => pairs.into_iter().filter_map(pair).collect(),
        _ => Vec::new(),
    };
    let text = |value: &Value| redis::from_redis_value_ref::<String>(value).ok();
    let first_id = |entries: &Value| match entries {
        Value::Array(entries) => match entries.first() {
            Some(Value::Array(entry)) => entry.first().and_then(text),
            _ => None,
        },
        _ => None,
    };
    pairs.iter().filter_map(|(name, entries)| Some((text(name)?, first_id(entries)))).collect()
}

fn pair(value: Value) -> Option<(Value, Value)> {
    match value {
        Value::Array(pair) => <[Value; 2]>::try_from(pair).ok().map(|[name, entries]| (name, entries)),
        _ => None,
    }
}
