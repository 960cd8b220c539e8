//! Which calls shall go to one key, so that the provider's prompt cache is found again.

use std::hash::{DefaultHasher, Hash, Hasher};

use agentscale_core::llm::{CompletionRequest, Content, Message};

/// One number for calls whose prompts begin alike: those of one session, else of one key of the prompt cache, else with
/// the same messages up to the first breakpoint. Every gateway of a fleet gives the same.
pub(crate) fn affinity(request: &CompletionRequest) -> Option<u64> {
    let context = &request.context;
    let mut hasher = DefaultHasher::new();
    context.tenant.hash(&mut hasher);
    if let Some(name) = context.session.as_ref().or(request.prompt_cache.key.as_ref()) {
        name.hash(&mut hasher);
        return Some(hasher.finish());
    }
    let breakpoint = request.messages.iter().position(|message| message.cache_breakpoint)?;
    request.messages[..=breakpoint].iter().for_each(|message| hash_texts(message, &mut hasher));
    Some(hasher.finish())
}

/// A place below `places` for a number, of which few change when places are added (Lamping and Veach, "A Fast, Minimal
/// Memory, Consistent Hash Algorithm", 2014).
pub(crate) fn jump(mut number: u64, places: usize) -> usize {
    let (mut place, mut next) = (0, 0);
    while next < places {
        place = next;
        number = number.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the algorithm's own arithmetic; a float above the largest place saturates"
        )]
        let further = ((place + 1) as f64 * ((1_u64 << 31) as f64 / ((number >> 33) + 1) as f64)) as usize;
        next = further;
    }
    place
}

fn hash_texts(message: &Message, hasher: &mut DefaultHasher) {
    for part in &message.content {
        if let Content::Text { text } = part {
            text.hash(hasher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_even_and_few_change_when_one_is_added() {
        let (mut counts, mut moved) = ([0_u32; 7], 0_u32);
        for number in 0..70_000_u64 {
            let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let place = jump(number, 7);
            counts[place] += 1;
            moved += u32::from(jump(number, 8) != place);
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert!((8_250..9_250).contains(&moved), "an eighth: {moved}");
        assert_eq!((jump(17, 1), jump(17, 0)), (0, 0));
    }

    #[test]
    fn prompts_that_begin_alike_have_one_number() {
        let asked = |question: &str| {
            let rules = Message::system("Answer briefly.").with_cache_breakpoint();
            CompletionRequest::new(vec![rules, Message::user(question)])
        };
        assert_eq!(affinity(&asked("a")), affinity(&asked("b")));
        assert_eq!(affinity(&CompletionRequest::new(vec![Message::user("a")])), None);
        let mut session = asked("a");
        session.context.session = Some("run-7".to_owned());
        assert_ne!(affinity(&session), affinity(&asked("a")));
    }
}
