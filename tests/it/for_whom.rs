//! A model's call is made for whom the turn is: a gateway counts and queues by it.

use std::time::Duration;

use agentscale::core::llm::CallContext;
use agentscale::core::testkit::ScriptedProvider;
use agentscale::core::{Account, Priority};
use agentscale::prelude::*;

struct Reader;

#[async_trait]
impl Agent for Reader {
    type State = ();

    async fn handle(&self, turn: &mut Turn<'_, ()>, message: &AgentMessage) -> Result<Outcome> {
        let mut request = CompletionRequest::new(vec![Message::user("tell me")]);
        if *message.body::<bool>()? {
            request = request.with_context(CallContext::new().with_tenant(Tenant::new("other")?));
        }
        Ok(turn.reply(turn.llm().complete(request).await?.text()))
    }
}

#[tokio::test]
async fn a_call_names_the_tenant_account_priority_deadline_and_agent_of_its_turn() {
    let provider = ScriptedProvider::new().with_answer("one").repeating();
    let builder = Runtime::builder().llm(provider.clone());
    let runtime = builder.pool("reader", Reader, Pool::volatile()).start().await.unwrap();
    let alice = runtime.agent(&Tenant::new("acme").unwrap(), "reader", "alice").unwrap();
    let alice = alice
        .with_priority(Priority::Scheduled)
        .with_account(Account::new("research").unwrap())
        .with_timeout(Duration::from_secs(20));
    for names_another in [false, true] {
        alice.ask::<_, String>(names_another).await.unwrap();
    }

    let [ours, named] = &provider.requests()[..] else { panic!("two calls") };
    let context = &ours.context;
    assert_eq!(context.tenant, Some(Tenant::new("acme").unwrap()));
    assert_eq!(context.account, Some(Account::new("research").unwrap()));
    assert_eq!((context.priority, context.session.as_deref()), (Priority::Scheduled, Some("reader/alice")));
    assert!(context.deadline.is_some());
    assert_eq!(named.context, CallContext::new().with_tenant(Tenant::new("other").unwrap()));
}
