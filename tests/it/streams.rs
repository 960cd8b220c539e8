//! A streamed answer is relayed as it comes, and journaled as one step.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale::core::testkit::ScriptedProvider;
use agentscale::prelude::*;
use agentscale::store::InMemoryCheckpointStore;

/// Streams an answer, shows its parts, and waits where it is told to.
struct Reader {
    shown: Arc<Mutex<Vec<String>>>,
    hangs: bool,
}

#[async_trait]
impl Agent for Reader {
    type State = String;

    async fn handle(&self, turn: &mut Turn<'_, String>, _: &AgentMessage) -> Result<Outcome> {
        let request = CompletionRequest::new(vec![Message::user("tell me")]);
        let shown = self.shown.clone();
        let answer =
            turn.llm().stream(request, move |text| shown.lock().unwrap().push(text.to_owned())).await?;
        if self.hangs {
            std::future::pending::<()>().await;
        }
        *turn.state_mut() = answer.text();
        Ok(turn.reply(answer.text()))
    }
}

async fn reader(
    store: &InMemoryCheckpointStore,
    provider: ScriptedProvider,
    hangs: bool,
) -> (Runtime, Shown) {
    let shown = Shown::default();
    let agent = Reader { shown: shown.clone(), hangs };
    let builder = Runtime::builder().checkpoints(store.clone()).llm(provider);
    (builder.pool("reader", agent, Pool::stateful()).start().await.unwrap(), shown)
}

type Shown = Arc<Mutex<Vec<String>>>;

fn alice(runtime: &Runtime) -> AgentRef {
    let alice = runtime.agent(&Tenant::new("acme").unwrap(), "reader", "alice").unwrap();
    alice.with_idempotency_key(IdempotencyKey::new("once").unwrap())
}

#[tokio::test]
async fn parts_are_shown_as_they_come_and_a_repeated_turn_shows_the_journaled_text_without_a_call() {
    let store = InMemoryCheckpointStore::new();
    let text = "one two three four five six seven eight";
    let (dying, shown) = reader(&store, ScriptedProvider::new().with_answer(text), true).await;
    let asked = alice(&dying).with_timeout(Duration::from_millis(300)).ask::<_, String>(()).await;
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(shown.lock().unwrap().concat(), text);
    assert!(shown.lock().unwrap().len() > 1, "the answer came in one part");
    drop(dying);

    let silent = ScriptedProvider::new();
    let (runtime, shown) = reader(&store, silent.clone(), false).await;
    assert_eq!(alice(&runtime).ask::<_, String>(()).await.unwrap(), text);
    assert_eq!(*shown.lock().unwrap(), [text]);
    assert!(silent.requests().is_empty());
    assert_eq!(runtime.stats().replayed_steps, 1);
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error_and_nothing_is_journaled() {
    let store = InMemoryCheckpointStore::new();
    let broken = Error::new(ErrorKind::Unavailable, "read stream");
    let provider = ScriptedProvider::new().with_broken_stream("half of it", broken).with_answer("all of it");
    let (runtime, _) = reader(&store, provider.clone(), false).await;
    let failed = alice(&runtime).ask::<_, String>(()).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    assert_eq!(alice(&runtime).ask::<_, String>(()).await.unwrap(), "all of it");
    assert_eq!(provider.requests().len(), 2);
}
