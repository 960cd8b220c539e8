//! Whole answers.

use futures::future::join_all;

use super::scene::question;
use crate::llm::{CompletionRequest, FinishReason, LlmProvider, Message, Role};
use crate::{Error, ErrorKind};

/// The answer is a message of the assistant with something in it, and names its model.
pub async fn a_question_is_answered_by_the_assistant<P: LlmProvider>(provider: &P) {
    let answer = provider.complete(question()).await.expect("an answer");
    assert_eq!(answer.message.role, Role::Assistant);
    assert!(!answer.text().is_empty(), "{answer:?}");
    assert!(!answer.model.is_empty(), "{answer:?}");
    assert!(matches!(answer.finish_reason, FinishReason::Stop | FinishReason::Length), "{answer:?}");
}

/// A conversation with instructions, an earlier answer and documents is taken.
pub async fn documents_and_earlier_turns_are_taken<P: LlmProvider>(provider: &P) {
    let messages = vec![
        Message::system("Answer from the documents."),
        Message::user("Who holds a lease?").with_document("leases.md:1", "An owner holds a lease."),
        Message::assistant("An owner. [leases.md:1]"),
        Message::user("How long does a lease last?")
            .with_document("leases.md:3", "A lease lasts ten seconds."),
    ];
    provider.complete(CompletionRequest::new(messages)).await.expect("an answer");
}

/// Input tokens include the cached ones.
pub async fn usage_counts_cached_tokens_within_input_tokens<P: LlmProvider>(provider: &P) {
    let usage = provider.complete(question()).await.expect("an answer").usage;
    assert!(usage.cached_input_tokens <= usage.input_tokens, "{usage:?}");
}

/// A request without messages is refused.
pub async fn no_messages_are_invalid_input<P: LlmProvider>(provider: &P) {
    let answer = provider.complete(CompletionRequest::new(Vec::new())).await;
    assert_eq!(answer.as_ref().map_err(Error::kind).err(), Some(ErrorKind::InvalidInput), "{answer:?}");
}

/// One provider serves several calls at a time.
pub async fn calls_run_side_by_side<P: LlmProvider>(provider: &P) {
    for answer in join_all((0..8).map(|_| provider.complete(question()))).await {
        answer.expect("an answer");
    }
}

/// A provider behind a reference, an `Arc` or a `Box` says the same of itself.
pub async fn a_pointer_to_a_provider_is_that_provider<P: LlmProvider>(provider: &P) {
    let object: &dyn LlmProvider = provider;
    assert_eq!(object.capabilities(), provider.capabilities());
    assert_eq!(object.models(), provider.models());
    object.complete(question()).await.expect("an answer");
}

/// Each known model answers under its name, unless it is one for embeddings alone. Who knows its models refuses others.
pub async fn known_models_answer_and_unknown_ones_are_not_found<P: LlmProvider>(provider: &P) {
    let models = provider.models();
    for (place, model) in models.iter().enumerate() {
        assert!(!model.name.is_empty());
        assert!(models[..place].iter().all(|other| other.name != model.name), "{} stands twice", model.name);
    }
    if let Some(model) = models.first() {
        provider.complete(question().with_model(&model.name)).await.expect("an answer");
        let unknown = provider.complete(question().with_model("no-such-model-7Q")).await;
        assert_eq!(unknown.as_ref().map_err(Error::kind).err(), Some(ErrorKind::NotFound), "{unknown:?}");
    }
}
