//! What is known of a thread: enough to say that the shared store can only take its next commit.

use std::collections::{HashMap, HashSet};

use agentscale_core::checkpoint::{
    Checkpoint, Claim, Commit, Epoch, Field, FieldWrite, StateLimits, Version,
};
use agentscale_core::{IdempotencyKey, MAX_NAME_BYTES};

/// Idempotency keys that are remembered of a thread, at most.
const KEYS: usize = 256;
/// What a decorator in between may add to a value.
const SEAL: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) epoch: Epoch,
    pub(super) version: Version,
    /// Bytes of each field, what a decorator may add included.
    sizes: HashMap<String, usize>,
    keys: Keys,
}

/// Which idempotency keys are not recorded with another request.
#[derive(Clone, Debug)]
enum Keys {
    /// All but those: the thread began with this owner.
    AllBut(HashMap<IdempotencyKey, [u8; 32]>),
    /// Those, for which the shared store was asked.
    Only(HashSet<IdempotencyKey>),
}

impl Head {
    pub(super) fn claimed(claim: &Claim) -> Self {
        match &claim.tip {
            Some(tip) => Self::at(claim.epoch, tip),
            None => Self {
                epoch: claim.epoch,
                version: Version(0),
                sizes: HashMap::new(),
                keys: Keys::AllBut(HashMap::new()),
            },
        }
    }

    /// The owner of `epoch` stands at this tip.
    pub(super) fn at(epoch: Epoch, tip: &Checkpoint) -> Self {
        let bytes = |field: &Field| {
            let values = field.value.iter().chain(&field.appended);
            values.map(|value| value.len() + SEAL).sum()
        };
        let sizes = tip.fields.iter().map(|field| (field.name.clone(), bytes(field))).collect();
        Self { epoch, version: tip.info.version, sizes, keys: Keys::Only(HashSet::new()) }
    }

    /// Whether the shared store can only take this commit: nothing that it alone knows could make it refuse.
    pub(super) fn vouches_for(&self, commit: &Commit, limits: &StateLimits) -> bool {
        self.epoch == commit.epoch
            && self.version == commit.expected
            && commit.settles.is_none()
            && names_are_plain(commit)
            && commit_bytes(commit) <= limits.commit_bytes
            && self.state_bytes_after(commit) <= limits.state_bytes
            && commit
                .outcome
                .as_ref()
                .is_none_or(|outcome| self.keys.allow(&outcome.key, &outcome.request_hash))
    }

    /// Behind a commit.
    pub(super) fn advance(&mut self, commit: &Commit) {
        self.version = Version(commit.expected.0 + 1);
        for write in &commit.fields {
            match write {
                FieldWrite::Replace { name, value } => {
                    self.sizes.insert(name.clone(), value.len() + SEAL);
                }
                FieldWrite::Append { name, items } => {
                    *self.sizes.entry(name.clone()).or_default() += items.len() + SEAL;
                }
                FieldWrite::Remove { name } => {
                    self.sizes.remove(name);
                }
            }
        }
        if let Some(outcome) = &commit.outcome {
            self.keys.use_up(&outcome.key, outcome.request_hash);
        }
    }

    /// The shared store was asked for the result of this key, and has none.
    pub(super) fn key_is_free(&mut self, key: &IdempotencyKey) {
        if let Keys::Only(free) = &mut self.keys {
            if free.len() >= KEYS {
                free.clear();
            }
            free.insert(key.clone());
        }
    }

    /// At most: what is replaced and appended to by one commit counts for both.
    fn state_bytes_after(&self, commit: &Commit) -> usize {
        let gone = |write: &FieldWrite| match write {
            FieldWrite::Append { .. } => 0,
            _ => self.sizes.get(write.name()).copied().unwrap_or(0),
        };
        let mut names = HashSet::new();
        let gone: usize = commit.fields.iter().filter(|write| names.insert(write.name())).map(gone).sum();
        let bytes: usize = self.sizes.values().sum();
        bytes - gone + commit.fields.iter().map(|write| write.len() + SEAL).sum::<usize>()
    }
}

impl Keys {
    fn allow(&self, key: &IdempotencyKey, request_hash: &[u8; 32]) -> bool {
        match self {
            Self::AllBut(used) => used.get(key).is_none_or(|hash| hash == request_hash),
            Self::Only(free) => free.contains(key),
        }
    }

    fn use_up(&mut self, key: &IdempotencyKey, request_hash: [u8; 32]) {
        match self {
            Self::AllBut(used) if used.len() < KEYS => {
                used.insert(key.clone(), request_hash);
            }
            Self::AllBut(_) => *self = Self::Only(HashSet::new()),
            Self::Only(free) => {
                free.remove(key);
            }
        }
    }
}

/// Some stores refuse other names, which they are left to say.
fn names_are_plain(commit: &Commit) -> bool {
    let is_plain = |name: &str| name.len() <= MAX_NAME_BYTES && !name.contains('\0');
    is_plain(commit.header.codec.as_str())
        && commit.turn.as_ref().is_none_or(|turn| is_plain(&turn.0))
        && commit.tags.iter().all(|tag| is_plain(tag))
        && commit.fields.iter().all(|write| is_plain(write.name()))
}

fn commit_bytes(commit: &Commit) -> usize {
    let fields = commit.fields.iter().map(|write| write.len() + SEAL);
    let outbox = commit.outbox.iter().map(|sent| sent.message.len() + SEAL);
    let reply = commit.outcome.as_ref().and_then(|outcome| outcome.reply.as_ref());
    fields.chain(outbox).chain(reply.map(|reply| reply.len() + SEAL)).sum()
}

#[cfg(test)]
mod tests {
    use agentscale_core::checkpoint::{CommitId, RecordedOutcome, StateHeader};
    use agentscale_core::{AgentId, MessageId, Tenant};

    use super::*;

    const EPOCH: Epoch = Epoch { incarnation: 0, counter: 3 };
    const LIMITS: StateLimits = StateLimits { commit_bytes: 1_000, state_bytes: 2_000 };

    fn new() -> Head {
        Head::claimed(&Claim::new(EPOCH, None))
    }

    fn commit(expected: u64, fields: Vec<FieldWrite>) -> Commit {
        let thread = AgentId::new(&Tenant::new("acme").unwrap(), "note", "a").unwrap();
        let id = CommitId(*MessageId::new(1).as_uuid());
        let mut commit = Commit::new(id, thread, EPOCH, Version(expected), StateHeader::json(1));
        commit.fields = fields;
        commit
    }

    fn replace(bytes: usize) -> FieldWrite {
        FieldWrite::Replace { name: "plan".into(), value: vec![0; bytes].into() }
    }

    fn append(bytes: usize) -> FieldWrite {
        FieldWrite::Append { name: "notes".into(), items: vec![0; bytes].into() }
    }

    #[test]
    fn another_epoch_version_or_a_settlement_is_the_shared_stores() {
        let head = new();
        assert!(head.vouches_for(&commit(0, vec![]), &LIMITS));
        assert!(!head.vouches_for(&commit(1, vec![]), &LIMITS));
        let mut other = commit(0, vec![]);
        other.epoch.counter += 1;
        assert!(!head.vouches_for(&other, &LIMITS));
        let mut settling = commit(0, vec![]);
        settling.settles = Some(MessageId::new(1));
        assert!(!head.vouches_for(&settling, &LIMITS));
        let mut odd = commit(0, vec![]);
        odd.tags.push("\0".into());
        assert!(!head.vouches_for(&odd, &LIMITS));
    }

    #[test]
    fn sizes_follow_what_is_written() {
        let mut head = new();
        assert!(!head.vouches_for(&commit(0, vec![replace(937)]), &LIMITS));
        for expected in 0..9 {
            let next = commit(expected, vec![replace(936)]);
            assert!(head.vouches_for(&next, &LIMITS));
            head.advance(&next);
        }
        let next = commit(9, vec![append(936)]);
        assert!(head.vouches_for(&next, &LIMITS));
        head.advance(&next);
        assert!(!head.vouches_for(&commit(10, vec![append(1)]), &LIMITS));
        let smaller = commit(10, vec![replace(1), append(800)]);
        assert!(head.vouches_for(&smaller, &LIMITS));
        head.advance(&smaller);
        let twice = commit(11, vec![replace(500), replace(500)]);
        assert!(!head.vouches_for(&twice, &LIMITS));
        let gone = commit(11, vec![FieldWrite::Remove { name: "notes".into() }, replace(800)]);
        assert!(head.vouches_for(&gone, &LIMITS));
    }

    #[test]
    fn a_key_is_vouched_for_where_it_is_known() {
        let key = IdempotencyKey::new("k").unwrap();
        let with = |expected: u64, hash: u8| {
            let mut commit = commit(expected, vec![]);
            commit.outcome = Some(RecordedOutcome::new(key.clone(), [hash; 32], None));
            commit
        };
        let mut head = new();
        assert!(head.vouches_for(&with(0, 1), &LIMITS));
        head.advance(&with(0, 1));
        assert!(head.vouches_for(&with(1, 1), &LIMITS));
        assert!(!head.vouches_for(&with(1, 2), &LIMITS));

        head.keys = Keys::Only(HashSet::new());
        assert!(!head.vouches_for(&with(1, 1), &LIMITS));
        head.key_is_free(&key);
        assert!(head.vouches_for(&with(1, 1), &LIMITS));
        head.advance(&with(1, 1));
        assert!(!head.vouches_for(&with(2, 1), &LIMITS));
    }

    #[test]
    fn more_keys_than_are_remembered_are_the_shared_stores() {
        let mut head = new();
        for number in 0..=KEYS as u64 {
            let mut next = commit(number, vec![]);
            let key = IdempotencyKey::new(format!("k{number}")).unwrap();
            next.outcome = Some(RecordedOutcome::new(key, [1; 32], None));
            assert!(head.vouches_for(&next, &LIMITS));
            head.advance(&next);
        }
        assert!(matches!(&head.keys, Keys::Only(free) if free.is_empty()));
    }
}
