//! What a turn emits is followed while it runs; streams that cannot be reached hold up no turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentscale::core::runs::{
    AppendEvents, Epoch, InProcessRunStreams, OpenRun, ReadEvents, RunFollower, RunId, RunItem, RunPage,
    RunStreamLimits, RunStreams,
};
use agentscale::prelude::*;
use agentscale::runtime::{RuntimeBuilder, RuntimeConfig};
use agentscale::store::InMemoryCheckpointStore;
use tokio::sync::Semaphore;

/// Emits what it is told, one after the other, each once it may.
struct Speaker(Arc<Semaphore>);

#[async_trait]
impl Agent for Speaker {
    type State = u64;

    async fn handle(&self, turn: &mut Turn<'_, u64>, message: &AgentMessage) -> Result<Outcome> {
        for word in message.body::<Vec<String>>()?.iter() {
            self.0.acquire().await.expect("it is never closed").forget();
            match word.as_str() {
                "fail" => return Err(Error::new(ErrorKind::Internal, "speak")),
                word => turn.emit("word", word)?,
            }
        }
        Ok(turn.reply(turn.run().turn.0))
    }
}

/// Streams that are gone for a while.
#[derive(Clone, Debug, Default)]
struct Flaky(InProcessRunStreams, Arc<AtomicBool>);

impl Flaky {
    fn check(&self) -> Result<()> {
        let gone = self.1.load(Ordering::SeqCst);
        if gone { Err(Error::new(ErrorKind::Unavailable, "ask streams")) } else { Ok(()) }
    }
}

#[async_trait]
impl RunStreams for Flaky {
    fn limits(&self) -> &RunStreamLimits {
        self.0.limits()
    }
    async fn open(&self, request: OpenRun) -> Result<u64> {
        self.check()?;
        self.0.open(request).await
    }
    async fn append(&self, request: AppendEvents) -> Result<()> {
        self.check()?;
        self.0.append(request).await
    }
    async fn renew(&self, run: &RunId, epoch: Epoch) -> Result<()> {
        self.check()?;
        self.0.renew(run, epoch).await
    }
    async fn read(&self, request: ReadEvents) -> Result<RunPage> {
        self.0.read(request).await
    }
}

async fn start(may: &Arc<Semaphore>, builder: RuntimeBuilder, pool: Pool) -> Runtime {
    let store = InMemoryCheckpointStore::new();
    builder.checkpoints(store).pool("speaker", Speaker(may.clone()), pool).start().await.unwrap()
}

fn speaker(runtime: &Runtime) -> (AgentRef, RunId) {
    let tenant = Tenant::new("acme").unwrap();
    let agent = runtime.agent(&tenant, "speaker", "alice").unwrap();
    let agent = agent.with_idempotency_key(IdempotencyKey::new("q-1").unwrap());
    let run = agent.run().unwrap();
    (agent, run)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The epoch, name and data of the next item; a gap has no name.
async fn next(follower: &mut RunFollower) -> Option<(Epoch, String, String)> {
    follower.next().await.unwrap().map(|item| match item {
        RunItem::Event(event) => {
            let data = String::from_utf8(event.data.to_vec()).unwrap();
            (event.id.epoch, event.name.to_string(), data)
        }
        RunItem::Gap { until, .. } => (until.epoch, "gap".to_owned(), until.number.to_string()),
    })
}

async fn shown(follower: &mut RunFollower) -> (String, String) {
    let (_, name, data) = next(follower).await.expect("it goes on");
    (name, data)
}

fn word(text: &str) -> (String, String) {
    ("word".to_owned(), format!("{text:?}"))
}

fn end(text: &str) -> (String, String) {
    ("end".to_owned(), text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn what_a_turn_emits_is_followed_while_it_runs_and_ends_with_it() {
    for pool in [Pool::stateful(), Pool::volatile()] {
        let may = Arc::new(Semaphore::new(0));
        let runtime = start(&may, Runtime::builder(), pool).await;
        let (agent, run) = speaker(&runtime);
        let mut follower = runtime.follow(run.clone(), None);
        let asked = tokio::spawn(async move { agent.ask::<_, String>(words(&["one", "two"])).await });
        for text in ["one", "two"] {
            may.add_permits(1);
            assert_eq!(shown(&mut follower).await, word(text));
        }
        assert_eq!(asked.await.unwrap().unwrap(), "q-1");
        assert_eq!(shown(&mut follower).await, end(r#"{"outcome":"completed"}"#));
        assert_eq!(next(&mut follower).await, None);
        let mut late = runtime.follow(run, follower.position());
        assert_eq!(next(&mut late).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_failed_ends_its_run_and_one_that_is_repeated_goes_on_under_a_higher_epoch() {
    let may = Arc::new(Semaphore::new(100));
    let runtime = start(&may, Runtime::builder(), Pool::stateful()).await;
    let (agent, run) = speaker(&runtime);
    agent.ask::<_, String>(words(&["one", "fail"])).await.unwrap_err();
    let mut follower = runtime.follow(run.clone(), None);
    let (first, _, _) = next(&mut follower).await.unwrap();
    assert_eq!(shown(&mut follower).await, end(r#"{"outcome":"failed","kind":"internal"}"#));
    assert_eq!(next(&mut follower).await, None);
    agent.ask::<_, String>(words(&["one", "two"])).await.unwrap();
    let mut follower = runtime.follow(run, follower.position());
    let (second, name, _) = next(&mut follower).await.unwrap();
    assert!(second > first && name == "word");
    assert_eq!(shown(&mut follower).await, word("two"));
    assert_eq!(shown(&mut follower).await, end(r#"{"outcome":"completed"}"#));
}

/// An event is tried again: its run ends with the last attempt.
#[tokio::test(start_paused = true)]
async fn a_run_ends_with_its_last_attempt() {
    let may = Arc::new(Semaphore::new(100));
    let runtime = start(&may, Runtime::builder(), Pool::stateful()).await;
    let (agent, run) = speaker(&runtime);
    agent.tell(words(&["one", "fail"])).await.unwrap();
    let mut follower = runtime.follow(run, None);
    let mut epochs = Vec::new();
    while let Some((epoch, name, data)) = next(&mut follower).await {
        epochs.push(epoch);
        match name.as_str() {
            "word" => assert_eq!(data, r#""one""#),
            name => assert_eq!((name, data.as_str()), ("end", r#"{"outcome":"failed","kind":"internal"}"#)),
        }
    }
    // Five attempts, and the end under the epoch of the last one.
    assert_eq!(epochs.len(), 6);
    assert!(epochs.is_sorted() && epochs[3] < epochs[4] && epochs[4] == epochs[5]);
}

#[tokio::test(start_paused = true)]
async fn streams_that_are_gone_hold_up_no_turn_and_what_had_no_room_is_a_gap() {
    let (may, streams) = (Arc::new(Semaphore::new(1_000)), Flaky::default());
    let config = RuntimeConfig { max_emitted_events: 10, ..RuntimeConfig::default() };
    let builder = Runtime::builder().config(config).run_streams(streams.clone());
    let runtime = start(&may, builder, Pool::stateful()).await;
    let (agent, run) = speaker(&runtime);
    streams.1.store(true, Ordering::SeqCst);
    let all: Vec<_> = (1..=50).map(|number| number.to_string()).collect();
    // It ends while the streams are gone.
    agent.ask::<_, String>(all).await.unwrap();
    assert_eq!(runtime.stats().events_dropped, 41);
    tokio::time::sleep(Duration::from_secs(3)).await;
    streams.1.store(false, Ordering::SeqCst);
    let mut follower = runtime.follow(run, None);
    assert_eq!(shown(&mut follower).await, ("gap".to_owned(), "41".to_owned()));
    for number in 42..=50 {
        assert_eq!(shown(&mut follower).await, word(&number.to_string()));
    }
    assert_eq!(shown(&mut follower).await, end(r#"{"outcome":"completed"}"#));
}

#[tokio::test(start_paused = true)]
async fn events_are_given_up_some_time_after_their_turn() {
    let (may, streams) = (Arc::new(Semaphore::new(1_000)), Flaky::default());
    let builder = Runtime::builder().run_streams(streams.clone());
    let runtime = start(&may, builder, Pool::stateful()).await;
    let (agent, run) = speaker(&runtime);
    streams.1.store(true, Ordering::SeqCst);
    agent.ask::<_, String>(words(&["one", "two"])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    streams.1.store(false, Ordering::SeqCst);
    assert_eq!(runtime.stats().events_dropped, 3);
    assert_eq!(runtime.follow(run, None).next().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_kept_while_its_turn_runs_and_its_time_after() {
    let may = Arc::new(Semaphore::new(1));
    let config = RuntimeConfig { turn_timeout: Duration::from_secs(7_200), ..RuntimeConfig::default() };
    let runtime = start(&may, Runtime::builder().config(config), Pool::volatile()).await;
    let (agent, run) = speaker(&runtime);
    agent.tell(words(&["one", "two"])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let mut follower = runtime.follow(run.clone(), None);
    assert_eq!(shown(&mut follower).await, word("one"));
    may.add_permits(1);
    assert_eq!(shown(&mut follower).await, word("two"));
    assert_eq!(shown(&mut follower).await, end(r#"{"outcome":"completed"}"#));
    tokio::time::sleep(Duration::from_secs(500)).await;
    assert_eq!(shown(&mut runtime.follow(run.clone(), None)).await, word("one"));
    tokio::time::sleep(Duration::from_secs(101)).await;
    assert_eq!(runtime.follow(run, None).next().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_event_that_no_stream_takes_is_refused_to_the_turn() {
    struct Loud;

    #[async_trait]
    impl Agent for Loud {
        type State = u64;

        async fn handle(&self, turn: &mut Turn<'_, u64>, _: &AgentMessage) -> Result<Outcome> {
            let kind = |answer: Result<()>| answer.unwrap_err().kind();
            assert_eq!(kind(turn.emit("word", &"x".repeat(70_000))), ErrorKind::TooLarge);
            assert_eq!(kind(turn.emit("", "x")), ErrorKind::InvalidInput);
            assert_eq!(kind(turn.emit("a\nb", "x")), ErrorKind::InvalidInput);
            Ok(turn.reply(1_u64))
        }
    }

    let runtime = Runtime::builder().pool("loud", Loud, Pool::volatile()).start().await.unwrap();
    let agent = runtime.agent(&Tenant::new("acme").unwrap(), "loud", "alice").unwrap();
    assert_eq!(agent.ask::<_, u64>(0_u64).await.unwrap(), 1);
}
