//! What bounds turns: permits while they run, room while they wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentscale::core::testkit::ScriptedProvider;
use agentscale::core::transport::MailboxLimits;
use agentscale::prelude::*;
use agentscale::runtime::RuntimeConfig;
use agentscale::store::InMemoryCheckpointStore;
use futures::future::join_all;

use crate::scene::{Do, Sum, Worker, World, acme, describe, quick, stores, worker};

fn at_once(turns: usize) -> RuntimeConfig {
    RuntimeConfig { max_concurrent_turns: turns, ..quick() }
}

#[tokio::test]
async fn agents_that_ask_agents_end_with_a_single_permit() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let runtime = describe(store, &World::default()).config(at_once(1)).start().await.unwrap();
        let deep =
            vec![Do::Ask("b".into(), vec![Do::Ask("c".into(), vec![Do::Ask("d".into(), vec![Do::Add(1)])])])];
        assert_eq!(worker(&runtime, "a").ask::<_, Sum>(deep).await.unwrap().sum, 1);

        let keys: Vec<_> = (0..100).map(|n| format!("leaf-{n}")).collect();
        let wide = vec![Do::AskAll(keys, vec![Do::Model("why".into()), Do::Add(1)])];
        assert_eq!(worker(&runtime, "root").ask::<_, Sum>(wide).await.unwrap().sum, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn turns_that_wait_for_models_wait_together() {
    let provider =
        ScriptedProvider::new().with_delay(Duration::from_secs(10)).with_answer("said").repeating();
    let runtime = describe(InMemoryCheckpointStore::new(), &World::default())
        .config(at_once(1))
        .llm(provider)
        .start()
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    let agents: Vec<_> = (0..100).map(|n| worker(&runtime, &n.to_string())).collect();
    let answers = join_all(agents.iter().map(|it| it.ask::<_, Sum>(vec![Do::Model("why".into())]))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(began.elapsed(), Duration::from_secs(10));
}

struct Counting {
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    order: Arc<std::sync::Mutex<Vec<String>>>,
}

#[async_trait]
impl Agent for Counting {
    type State = ();

    async fn handle(&self, turn: &mut Turn<'_, ()>, message: &AgentMessage) -> Result<Outcome> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.order.lock().unwrap().push(turn.agent().key.to_string());
        if *message.body::<bool>()? {
            turn.sleep(Duration::from_millis(150)).await?;
            self.order.lock().unwrap().push(format!("{} resumed", turn.agent().key));
        }
        Ok(Outcome::Done)
    }
}

#[tokio::test(start_paused = true)]
async fn turns_beyond_the_permits_wait_urgent_ones_go_first_and_resumed_ones_before_all() {
    let (running, most, order) = (Arc::default(), Arc::<AtomicUsize>::default(), Arc::default());
    let agent = Counting { running, most: most.clone(), order: Arc::clone(&order) };
    let runtime = Runtime::builder()
        .config(at_once(1))
        .pool("counting", agent, Pool::volatile())
        .start()
        .await
        .unwrap();
    let tell = async |key: &str, priority, resumes: bool| {
        let agent = runtime.agent(&acme(), "counting", key).unwrap().with_priority(priority);
        agent.tell(resumes).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    tell("sleeper", Priority::Evaluation, true).await;
    tell("evaluation", Priority::Evaluation, false).await;
    tell("scheduled", Priority::Scheduled, false).await;
    tell("conversation", Priority::Conversation, false).await;
    tell("incident", Priority::Incident, false).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(
        *order.lock().unwrap(),
        ["sleeper", "incident", "conversation", "sleeper resumed", "scheduled", "evaluation"]
    );
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_runtime_refuses_by_count_and_by_bytes_and_takes_again_afterwards() {
    let limits = [
        RuntimeConfig { max_waiting_turns: 3, ..quick() },
        RuntimeConfig { max_waiting_bytes: 3 * 2_000, ..quick() },
    ];
    for config in limits {
        let runtime =
            describe(InMemoryCheckpointStore::new(), &World::default()).config(config).start().await.unwrap();
        let order = vec![
            Do::Sleep(Duration::from_secs(1)),
            Do::Publish("x".repeat(200)),
            Do::Publish("x".repeat(800)),
        ];
        for n in 0..3 {
            worker(&runtime, &n.to_string()).tell(order.clone()).await.unwrap();
        }
        let mut refused = 0;
        for n in 3..6 {
            let full = worker(&runtime, &n.to_string()).tell(order.clone()).await;
            refused += usize::from(full.is_err_and(|error| error.kind() == ErrorKind::Overloaded));
        }
        assert!(refused >= 2, "{refused}");
        assert_eq!(runtime.stats().refused, refused as u64);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(runtime.stats().waiting, 0);
        worker(&runtime, "9").tell(order).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_by_count_and_by_bytes_while_other_agents_take() {
    for limits in [MailboxLimits::new(2, 1 << 20), MailboxLimits::new(100, 2_500)] {
        let runtime = describe(InMemoryCheckpointStore::new(), &World::default())
            .pool("small", Worker(World::default()), Pool::stateful().with_mailbox(limits))
            .start()
            .await
            .unwrap();
        let small = |key: &str| runtime.agent(&acme(), "small", key).unwrap();
        let order = vec![Do::Sleep(Duration::from_secs(1)), Do::Publish("x".repeat(200)), Do::Add(1)];
        let mut taken = 0;
        let full = loop {
            match small("a").tell(order.clone()).await {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::Overloaded);
        assert!((2..=8).contains(&taken), "{taken}");
        small("b").tell(order.clone()).await.unwrap();
        let huge = small("c").tell(vec![Do::Model("x".repeat(2 << 20))]).await.unwrap_err();
        assert_eq!(huge.kind(), ErrorKind::TooLarge);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(small("a").ask::<_, Sum>(Vec::<Do>::new()).await.unwrap().sum, taken);
    }
}

struct Blocking(Arc<AtomicUsize>, Arc<AtomicUsize>);

#[async_trait]
impl Agent for Blocking {
    type State = ();

    async fn handle(&self, turn: &mut Turn<'_, ()>, _: &AgentMessage) -> Result<Outcome> {
        let (running, most) = (self.0.clone(), self.1.clone());
        let work = move || {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            running.fetch_sub(1, Ordering::SeqCst);
        };
        turn.blocking(work).await?;
        Ok(Outcome::Done)
    }
}

#[tokio::test]
async fn blocking_work_has_so_many_threads() {
    let most = Arc::<AtomicUsize>::default();
    let agent = Blocking(Arc::default(), most.clone());
    let runtime = Runtime::builder()
        .config(RuntimeConfig { blocking_threads: 3, ..quick() })
        .pool("blocking", agent, Pool::volatile())
        .start()
        .await
        .unwrap();
    let agents: Vec<_> =
        (0..30).map(|n| runtime.agent(&acme(), "blocking", &n.to_string()).unwrap()).collect();
    let done = join_all(agents.iter().map(|agent| agent.ask::<_, ()>(()))).await;
    assert!(done.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}
