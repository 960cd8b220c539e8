//! What is asked of Redis: one script each, so that what it compares is what it gives, in one round trip.
//!
//! Under the namespace stand the number of the last change (`changes`), a version for each tag (`tag:` and its hash) and
//! the entries (the cache and the hash of the key). A version has 20 digits, so that texts compare as numbers do. The count
//! begins at the microseconds of Redis' clock: one that was emptied does not repeat itself.

use std::time::Duration;

use redis::{Cmd, cmd};

use crate::cache::shared::Place;
use crate::cache::tag::TagId;

/// Numbers that Redis' scripts reckon with exactly.
const MOST: u64 = 1 << 52;

/// `ARGV[1]` is the namespace, `ARGV[2]` how many seconds a version is kept.
const COUNT: &str = r"
local changes = ARGV[1] .. 'changes'
local function last()
  local number = redis.call('GET', changes)
  if not number then
    local now = redis.call('TIME')
    number = string.format('%.0f', now[1] * 1000000 + now[2])
    redis.call('SET', changes, number)
  end
  return string.format('%020.0f', number)
end
";

/// Whether each tag of an entry has the version that the entry was made at.
const CURRENT: &str = r"
local function current(entry)
  local count = tonumber(string.sub(entry, 2, 5))
  if not count then return false end
  for at = 6, 5 + count * 84, 84 do
    local version = redis.call('GET', ARGV[1] .. 'tag:' .. string.sub(entry, at, at + 63))
    if version ~= string.sub(entry, at + 64, at + 83) then return false end
  end
  return true
end
";

/// `KEYS[1]` is the entry, or empty; the tags follow in `ARGV`.
const LOOK: &str = r"
local refused = 0
if KEYS[1] ~= '' then
  local entry = redis.call('GET', KEYS[1])
  if entry then
    if current(entry) then return {entry, redis.call('PTTL', KEYS[1])} end
    refused = 1
  end
end
local versions = {refused}
for at = 3, #ARGV do
  local tag = ARGV[1] .. 'tag:' .. ARGV[at]
  local version = redis.call('GET', tag)
  if not version then
    version = last()
    redis.call('SET', tag, version, 'EX', ARGV[2])
  end
  versions[at - 1] = version
end
return versions
";

/// `ARGV[3]` is the entry, `ARGV[4]` how many milliseconds it is held.
const HOLD: &str = r"
if not current(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
";

const CHANGE: &str = r"
local first = last() + 1
for at = 3, #ARGV do
  redis.call('SET', ARGV[1] .. 'tag:' .. ARGV[at], string.format('%020.0f', first + at - 3), 'EX', ARGV[2])
end
redis.call('SET', changes, string.format('%.0f', first + #ARGV - 3))
return string.format('%.0f', first)
";

const LAST: &str = "return last()";

/// `KEYS[1]` names the counter, `ARGV[3]` is what is added, `ARGV[4]` the milliseconds of a window. What would not fit
/// into a number of Redis stays as it was.
const ADD: &str = r"
local now = redis.call('TIME')
local millis = now[1] * 1000 + math.floor(now[2] / 1000)
local window = tonumber(ARGV[4])
local number = math.floor(millis / window)
local name = KEYS[1] .. ':' .. string.format('%.0f', number)
local added = redis.pcall('INCRBY', name, ARGV[3])
if type(added) == 'table' then added = redis.call('GET', name) end
redis.call('PEXPIRE', name, string.format('%.0f', 2 * window))
local before = redis.call('GET', KEYS[1] .. ':' .. string.format('%.0f', number - 1))
return {added, before or 0, millis - number * window}
";

/// The commands of one namespace.
pub(super) struct Scripts {
    prefix: String,
    tag_seconds: u64,
    look: String,
    hold: String,
    change: String,
    last: String,
}

impl Scripts {
    pub(super) fn new(namespace: &str, tag_ttl: Duration) -> Self {
        Self {
            prefix: format!("{namespace}:cache:"),
            tag_seconds: tag_ttl.as_secs(),
            look: [COUNT, CURRENT, LOOK].concat(),
            hold: [CURRENT, HOLD].concat(),
            change: [COUNT, CHANGE].concat(),
            last: [COUNT, LAST].concat(),
        }
    }

    /// The name of an entry.
    pub(super) fn place(&self, place: &Place) -> String {
        format!("{}entry:{}:{}", self.prefix, place.cache, hex(&place.key.hash))
    }

    pub(super) fn look(&self, name: Option<&str>, tags: &[TagId]) -> Cmd {
        let mut command = self.script(&self.look, Some(name.unwrap_or("")));
        for tag in tags {
            command.arg(hex(&tag.0));
        }
        command
    }

    pub(super) fn hold(&self, name: &str, entry: &[u8], ttl: Duration) -> Cmd {
        let mut command = self.script(&self.hold, Some(name));
        // A fraction of a millisecond is one.
        command.arg(entry).arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1));
        command
    }

    pub(super) fn versions(&self, tags: &[TagId]) -> Cmd {
        let mut command = cmd("MGET");
        for tag in tags {
            command.arg(format!("{}tag:{}", self.prefix, hex(&tag.0)));
        }
        command
    }

    pub(super) fn change(&self, tags: &[TagId]) -> Cmd {
        let mut command = self.script(&self.change, None);
        for tag in tags {
            command.arg(hex(&tag.0));
        }
        command
    }

    pub(super) fn last_change(&self) -> Cmd {
        self.script(&self.last, None)
    }

    pub(super) fn count(&self, name: &str, n: u64, window: Duration) -> Cmd {
        let mut command = self.script(ADD, Some(name));
        let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        command.arg(n.min(MOST)).arg(millis.clamp(1, MOST));
        command
    }

    fn script(&self, script: &str, key: Option<&str>) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(script).arg(key.iter().len());
        if let Some(key) = key {
            command.arg(key);
        }
        command.arg(&self.prefix).arg(self.tag_seconds);
        command
    }
}

pub(super) fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from(*hash).to_string()
}
