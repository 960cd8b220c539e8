use super::*;

const OK: Outcome = Outcome { failed: false, slow: false };
const FAILED: Outcome = Outcome { failed: true, slow: false };
const BOTH: Outcome = Outcome { failed: true, slow: true };

#[test]
fn a_full_word_keeps_its_rates_and_its_generation() {
    let generation = Word(u64::MAX).next_generation().next_generation();
    let mut word = generation;
    for call in 0..MOST {
        word = word.with(if call % 4 == 0 { BOTH } else { OK });
    }
    assert_eq!(word.counts(), Counts { calls: MOST, failures: MOST.div_ceil(4), slow: MOST.div_ceil(4) });
    let more = word.with(FAILED);
    let (calls, quarter) = (MOST / 2 + 1, MOST.div_ceil(4) / 2);
    assert_eq!(more.counts(), Counts { calls, failures: quarter + 1, slow: quarter });
    assert_eq!(more.0 >> GENERATION, generation.0 >> GENERATION);
}

#[test]
fn the_next_generation_counts_from_nothing_and_comes_round() {
    let counted = Word(0).with(BOTH).with(OK);
    let next = counted.next_generation();
    assert_eq!((next.counts(), next == counted), (Counts::default(), false));
    let round = (0..1 << (u64::BITS - GENERATION)).fold(next, |word: Word, _| word.next_generation());
    assert_eq!(round, next);
}
