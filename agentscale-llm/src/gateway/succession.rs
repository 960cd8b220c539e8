//! What goes on when a gateway is set up anew: keys from those of their names, and quotas from those of their keys.

use std::collections::HashMap;
use std::sync::Arc;

use agentscale_core::time::Monotonic;

use super::KeyLimits;
use super::key::Key;
use super::quota::Quota;
use super::table::Table;

/// A key as it is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) id: &'a str,
    /// The quota that it shares with others of its pool.
    pub(super) shares: Option<&'a str>,
    pub(super) limits: &'a KeyLimits,
}

/// The keys of one quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Group<'a> {
    Sharing(&'a str),
    Alone(&'a str),
}

impl<'a> Wanted<'a> {
    fn group(&self) -> Group<'a> {
        self.shares.map_or(Group::Alone(self.id), Group::Sharing)
    }
}

/// The quota of each key, in their order; its limits are those of its first key. A quota that keeps its limits, and its keys
/// among themselves, is the same as it was; another goes on from all those that its keys had.
pub(super) fn quotas(keys: &[Wanted<'_>], before: &[Arc<Key>]) -> Vec<Arc<Quota>> {
    let known: HashMap<_, _> = before.iter().map(|key| (&**key.id(), key.quota())).collect();
    let (mut befores, mut heirs) = (HashMap::<_, Vec<&Arc<Quota>>>::new(), HashMap::<_, u32>::new());
    for key in keys {
        let of_group = befores.entry(key.group()).or_default();
        let Some(quota) = known.get(key.id) else { continue };
        if !of_group.iter().any(|other| Arc::ptr_eq(other, quota)) {
            of_group.push(quota);
            *heirs.entry(address(quota)).or_default() += 1;
        }
    }
    let mut made = HashMap::<_, Arc<Quota>>::with_capacity(befores.len());
    let mut quotas = Vec::with_capacity(keys.len());
    for key in keys {
        let new = || match befores.get(&key.group()).map_or(&[][..], Vec::as_slice) {
            [same] if same.has_limits(key.limits) && heirs.get(&address(same)) == Some(&1) => {
                Arc::clone(same)
            }
            before => Arc::new(Quota::behind(before, key.limits)),
        };
        quotas.push(Arc::clone(made.entry(key.group()).or_insert_with(new)));
    }
    quotas
}

/// `table` is used from now on in the place of `before`: each quota holds no more than those that it goes on from, and
/// calls that began there end here.
pub(super) fn take_place(table: &Table, before: &Table, now: Monotonic) {
    let (mut heirs, mut following) = (HashMap::<_, (_, Vec<_>)>::new(), Vec::new());
    for quota in table.pools().flat_map(|pool| pool.keys()).map(|key| key.quota()) {
        let befores = quota.take_befores();
        for before in &befores {
            let (_, heirs) = heirs.entry(address(before)).or_insert_with(|| (Arc::clone(before), Vec::new()));
            heirs.push(Arc::clone(quota));
        }
        following.push((quota, befores));
    }
    // First, so that no call ends unseen.
    heirs.into_values().for_each(|(before, heirs)| before.is_succeeded_by(heirs));
    following.into_iter().for_each(|(quota, befores)| quota.follow(&befores, now));
    for pool in table.pools() {
        let Some(before) = before.pool(pool.health().pool()) else { continue };
        let olds: HashMap<_, _> = before.keys().iter().map(|key| (key.id(), key)).collect();
        for key in pool.keys() {
            if let Some(old) = olds.get(key.id()) {
                old.is_succeeded_by(key);
            }
        }
    }
}

fn address(quota: &Arc<Quota>) -> usize {
    Arc::as_ptr(quota).addr()
}
