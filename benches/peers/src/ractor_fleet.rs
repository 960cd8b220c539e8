use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use agentscale_core::{Address, AgentKey, AgentMessage, Body, MessageKind};
use ractor::{Actor, ActorProcessingErr, ActorRef, ActorRuntime, RpcReplyPort};

use crate::support::fleet::{Envelopes, Fleet, Handled, address, key};

/// Actors of ractor, in a map by key. Their mailboxes have no bound.
pub(crate) struct RactorFleet {
    envelopes: Arc<Envelopes>,
    handled: Handled,
    agents: Mutex<HashMap<AgentKey, ActorRef<Letter>>>,
    held: Vec<(Address, ActorRef<Letter>)>,
}

struct Adder {
    envelopes: Arc<Envelopes>,
    handled: Handled,
}

enum Letter {
    Tell(AgentMessage),
    Ask(AgentMessage, RpcReplyPort<AgentMessage>),
}

impl Actor for Adder {
    type Msg = Letter;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Letter>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<Letter>,
        letter: Letter,
        sum: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        let (message, asker) = match letter {
            Letter::Tell(message) => (message, None),
            Letter::Ask(message, asker) => (message, Some(asker)),
        };
        *sum += *message.body::<u64>()?;
        self.handled.one();
        if let Some(asker) = asker {
            asker.send(message.reply(Body::new(*sum), self.envelopes.stamp()))?;
        }
        Ok(())
    }
}

impl Fleet for RactorFleet {
    const NAME: &'static str = "ractor";

    async fn start(handled: Handled) -> Self {
        let envelopes = Arc::new(Envelopes::new());
        Self { envelopes, handled, agents: Mutex::default(), held: Vec::new() }
    }

    async fn wake(&self, agent: usize) {
        let (envelopes, handled) = (self.envelopes.clone(), self.handled.clone());
        let (actor, _) =
            ActorRuntime::spawn_instant(None, Adder { envelopes, handled }, ()).expect("an actor");
        let address = address(agent);
        self.agents.lock().expect("the map").insert(address.key.clone(), actor.clone());
        let message = self.envelopes.message(MessageKind::Event, &address, 1);
        actor.cast(Letter::Tell(message)).expect("told");
    }

    fn hold(&mut self, agents: usize) {
        let map = self.agents.lock().expect("the map");
        self.held = (0..agents).map(|agent| (address(agent), map[&key(agent)].clone())).collect();
    }

    async fn tell(&self, agent: usize, what: u64) {
        let (address, actor) = &self.held[agent];
        let message = self.envelopes.message(MessageKind::Event, address, what);
        actor.cast(Letter::Tell(message)).expect("told");
    }

    async fn ask(&self, agent: usize, what: u64) -> u64 {
        let (address, actor) = &self.held[agent];
        let message = self.envelopes.message(MessageKind::Request, address, what);
        let answer = actor.call(|asker| Letter::Ask(message, asker), None).await.expect("asked");
        answer.expect("an answer").into_body().take().expect("a number")
    }

    async fn stop(self) {
        for (_, actor) in self.agents.into_inner().expect("the map") {
            actor.stop(None);
        }
    }
}
