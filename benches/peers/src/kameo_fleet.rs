use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use agentscale_core::{Address, AgentKey, AgentMessage, Body, MessageKind};
use kameo::prelude::*;

use crate::support::fleet::{Envelopes, Fleet, Handled, address, key};

/// Actors of kameo, in a map by key.
pub(crate) struct KameoFleet {
    envelopes: Arc<Envelopes>,
    handled: Handled,
    agents: Mutex<HashMap<AgentKey, ActorRef<Adder>>>,
    held: Vec<(Address, ActorRef<Adder>)>,
}

#[derive(Actor)]
struct Adder {
    sum: u64,
    envelopes: Arc<Envelopes>,
    handled: Handled,
}

struct Tell(AgentMessage);
struct Ask(AgentMessage);

#[derive(Reply)]
struct Answer(AgentMessage);

impl Adder {
    fn add(&mut self, message: &AgentMessage) {
        self.sum += *message.body::<u64>().expect("a number");
        self.handled.one();
    }
}

impl Message<Tell> for Adder {
    type Reply = ();

    async fn handle(&mut self, Tell(message): Tell, _: &mut Context<Self, ()>) {
        self.add(&message);
    }
}

impl Message<Ask> for Adder {
    type Reply = Answer;

    async fn handle(&mut self, Ask(message): Ask, _: &mut Context<Self, Answer>) -> Answer {
        self.add(&message);
        Answer(message.reply(Body::new(self.sum), self.envelopes.stamp()))
    }
}

impl Fleet for KameoFleet {
    const NAME: &'static str = "kameo";

    async fn start(handled: Handled) -> Self {
        let envelopes = Arc::new(Envelopes::new());
        Self { envelopes, handled, agents: Mutex::default(), held: Vec::new() }
    }

    async fn wake(&self, agent: usize) {
        let (envelopes, handled) = (self.envelopes.clone(), self.handled.clone());
        let actor = Adder::spawn(Adder { sum: 0, envelopes, handled });
        let address = address(agent);
        self.agents.lock().expect("the map").insert(address.key.clone(), actor.clone());
        let message = self.envelopes.message(MessageKind::Event, &address, 1);
        actor.tell(Tell(message)).await.expect("told");
    }

    fn hold(&mut self, agents: usize) {
        let map = self.agents.lock().expect("the map");
        self.held = (0..agents).map(|agent| (address(agent), map[&key(agent)].clone())).collect();
    }

    async fn tell(&self, agent: usize, what: u64) {
        let (address, actor) = &self.held[agent];
        let message = self.envelopes.message(MessageKind::Event, address, what);
        actor.tell(Tell(message)).await.expect("told");
    }

    async fn ask(&self, agent: usize, what: u64) -> u64 {
        let (address, actor) = &self.held[agent];
        let message = self.envelopes.message(MessageKind::Request, address, what);
        let Answer(reply) = actor.ask(Ask(message)).await.expect("an answer");
        reply.into_body().take().expect("a number")
    }

    async fn stop(self) {}
}
