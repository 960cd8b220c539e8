use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use agentscale_core::{Address, AgentKey, AgentMessage, Body, MessageKind};
use tokio::sync::{mpsc, oneshot};

use super::fleet::{Envelopes, Fleet, Handled, address, key};

/// What a host writes without a runtime: a task and a bounded channel for each agent, in a map by key.
pub(crate) struct TaskFleet {
    envelopes: Arc<Envelopes>,
    handled: Handled,
    agents: Mutex<HashMap<AgentKey, mpsc::Sender<Letter>>>,
    held: Vec<(Address, mpsc::Sender<Letter>)>,
}

enum Letter {
    Tell(AgentMessage),
    Ask(AgentMessage, oneshot::Sender<AgentMessage>),
}

async fn adder(mut letters: mpsc::Receiver<Letter>, envelopes: Arc<Envelopes>, handled: Handled) {
    let mut sum = 0_u64;
    while let Some(letter) = letters.recv().await {
        let (message, asker) = match letter {
            Letter::Tell(message) => (message, None),
            Letter::Ask(message, asker) => (message, Some(asker)),
        };
        sum += *message.body::<u64>().expect("a number");
        handled.one();
        if let Some(asker) = asker {
            asker.send(message.reply(Body::new(sum), envelopes.stamp())).expect("the asker waits");
        }
    }
}

impl Fleet for TaskFleet {
    const NAME: &'static str = "tokio task + mpsc";

    async fn start(handled: Handled) -> Self {
        let envelopes = Arc::new(Envelopes::new());
        Self { envelopes, handled, agents: Mutex::default(), held: Vec::new() }
    }

    async fn wake(&self, agent: usize) {
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(adder(receiver, self.envelopes.clone(), self.handled.clone()));
        let address = address(agent);
        self.agents.lock().expect("the map").insert(address.key.clone(), sender.clone());
        let message = self.envelopes.message(MessageKind::Event, &address, 1);
        sender.send(Letter::Tell(message)).await.expect("told");
    }

    fn hold(&mut self, agents: usize) {
        let map = self.agents.lock().expect("the map");
        self.held = (0..agents).map(|agent| (address(agent), map[&key(agent)].clone())).collect();
    }

    async fn tell(&self, agent: usize, what: u64) {
        let (address, sender) = &self.held[agent];
        let message = self.envelopes.message(MessageKind::Event, address, what);
        sender.send(Letter::Tell(message)).await.expect("told");
    }

    async fn ask(&self, agent: usize, what: u64) -> u64 {
        let (address, sender) = &self.held[agent];
        let message = self.envelopes.message(MessageKind::Request, address, what);
        let (asker, answer) = oneshot::channel();
        sender.send(Letter::Ask(message, asker)).await.expect("asked");
        answer.await.expect("an answer").into_body().take().expect("a number")
    }

    async fn stop(self) {}
}
