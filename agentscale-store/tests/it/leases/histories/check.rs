//! Whether what a lease store answered could have been answered by one that does a thing at a time (Wing and Gong).

use std::collections::HashSet;

/// What was asked. Times are those of the store's clock, in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Acquire { id: u128, holder: String, ttl: u64 },
    Renew { epoch: u64, ttl: u64 },
    Release { epoch: u64 },
    Read,
}

/// What was answered, as far as a caller goes by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted(u64),
    /// The holder's name.
    Refused(String),
    Fenced,
    Released,
    Read(u64, Option<String>),
}

/// One operation, between two moments of one order of all events.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) ask: Ask,
    pub(crate) asked: u64,
    /// When the store read its clock, and what it read; an operation that never came there is not part of a history.
    pub(crate) clock: u64,
    /// When the answer arrived, or else when the store was done with it.
    pub(crate) ended: u64,
    /// `None` where it got lost.
    pub(crate) answer: Option<Answer>,
}

/// What a lease is, told anew: the store under test has words of its own for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Model {
    epoch: u64,
    id: Option<u128>,
    /// Name, time, end.
    held: Option<(String, u64, u64)>,
}

impl Model {
    fn apply(&mut self, ask: &Ask, now: u64) -> Answer {
        if let Some((_, ttl, until)) = &mut self.held
            && !matches!(ask, Ask::Read | Ask::Release { .. })
        {
            *until = (*until).min(now + *ttl);
        }
        let is_over = self.held.as_ref().is_some_and(|(_, _, until)| *until <= now);
        match ask {
            Ask::Read => {
                let held = self.held.as_ref().filter(|_| !is_over);
                return Answer::Read(self.epoch, held.map(|(holder, ..)| holder.clone()));
            }
            Ask::Release { epoch } if *epoch == self.epoch => {
                self.held = None;
                return Answer::Released;
            }
            Ask::Release { .. } => return Answer::Fenced,
            _ if is_over => self.held = None,
            _ => {}
        }
        match (ask, &mut self.held) {
            (Ask::Acquire { id, .. }, Some(_)) if self.id == Some(*id) => Answer::Granted(self.epoch),
            (Ask::Acquire { .. }, Some((holder, ..))) => Answer::Refused(holder.clone()),
            (Ask::Acquire { id, .. }, None) if self.id == Some(*id) => Answer::Fenced,
            (Ask::Acquire { id, holder, ttl }, held) => {
                *held = Some((holder.clone(), *ttl, now + ttl));
                self.id = Some(*id);
                self.epoch += 1;
                Answer::Granted(self.epoch)
            }
            (Ask::Renew { epoch, ttl }, Some((_, kept, until))) if *epoch == self.epoch => {
                (*kept, *until) = (*ttl, now + ttl);
                Answer::Granted(self.epoch)
            }
            _ => Answer::Fenced,
        }
    }
}

/// # Panics
/// For more operations than 128.
pub(crate) fn is_linearizable(history: &[Operation]) -> bool {
    assert!(history.len() <= 128, "{} operations", history.len());
    let goal = u128::MAX.checked_shr(128 - u32::try_from(history.len()).expect("they are few")).unwrap_or(0);
    let mut seen = HashSet::new();
    let mut open = vec![(0_u128, Model::default())];
    while let Some((done, model)) = open.pop() {
        if done == goal {
            return true;
        }
        let left = || (0..history.len()).filter(|at| done & 1 << at == 0);
        // Nothing comes before an operation that ended before it was asked.
        let first_end = left().map(|at| history[at].ended).min().unwrap_or(u64::MAX);
        for at in left().filter(|at| history[*at].asked < first_end) {
            let operation = &history[at];
            let mut model = model.clone();
            let answer = model.apply(&operation.ask, operation.clock);
            let fits = operation.answer.as_ref().is_none_or(|told| *told == answer);
            let next = (done | 1 << at, model);
            if fits && seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acquire(id: u128, asked: u64, ended: u64, answer: Answer) -> Operation {
        let ask = Ask::Acquire { id, holder: id.to_string(), ttl: 100 };
        Operation { ask, asked, clock: 10, ended, answer: Some(answer) }
    }

    #[test]
    fn two_grants_of_one_lease_are_found_whatever_the_order() {
        let first = acquire(1, 0, 9, Answer::Granted(1));
        let second = acquire(2, 1, 8, Answer::Granted(2));
        assert!(!is_linearizable(&[first.clone(), second]));
        assert!(is_linearizable(&[first, acquire(2, 1, 8, Answer::Refused("1".into()))]));
    }

    #[test]
    fn an_answer_that_was_true_before_it_was_asked_is_found() {
        let granted = acquire(1, 0, 1, Answer::Granted(1));
        let free = Answer::Read(0, None);
        let read =
            |asked| Operation { ask: Ask::Read, asked, clock: 10, ended: 9, answer: Some(free.clone()) };
        assert!(!is_linearizable(&[granted.clone(), read(2)]));
        assert!(is_linearizable(&[granted, read(0)]));
    }

    #[test]
    fn what_got_no_answer_has_happened_all_the_same() {
        let lost = Operation { answer: None, ..acquire(1, 0, 1, Answer::Fenced) };
        assert!(is_linearizable(&[lost.clone(), acquire(2, 2, 3, Answer::Refused("1".into()))]));
        assert!(!is_linearizable(&[lost, acquire(2, 2, 3, Answer::Granted(1))]));
    }
}
