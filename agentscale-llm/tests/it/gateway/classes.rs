use agentscale_core::Priority;
use agentscale_core::llm::LlmProvider;
use agentscale_core::testkit::ScriptedProvider;
use agentscale_llm::gateway::{Gateway, GatewayModel, KeyLimits, KeyPool, ProviderKey};

use super::scene::{answering, ask_as, builder, calls};

fn gateway(fast: &ScriptedProvider, batch: &ScriptedProvider) -> Gateway {
    let two = KeyLimits::new().with_requests(2);
    builder()
        .pool(KeyPool::new("fast").key(ProviderKey::new("f", fast.clone())))
        .pool(KeyPool::new("batch").key(ProviderKey::new("b", batch.clone()).with_limits(two)))
        .model(GatewayModel::new("m").via("fast", "m").cheaper_for(Priority::Scheduled, "batch", "m-flex"))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn low_classes_take_the_cheaper_way_while_it_has_room_and_higher_ones_never() {
    let (fast, batch) = (answering(), answering());
    let gateway = gateway(&fast, &batch);
    for class in [Priority::Incident, Priority::Supervised, Priority::Conversation] {
        gateway.complete(ask_as("acme", class)).await.unwrap();
    }
    assert_eq!((calls(&fast), calls(&batch)), (3, 0));
    for class in [Priority::Scheduled, Priority::Evaluation, Priority::Consolidation] {
        gateway.complete(ask_as("acme", class)).await.unwrap();
    }
    assert_eq!((calls(&fast), calls(&batch)), (4, 2), "without room there the third goes as all others");
    assert_eq!(batch.requests()[0].model, "m-flex");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_whose_way_is_dead_does_not_take_the_cheaper_one() {
    let (dead, batch) = (super::scene::failing(agentscale_core::ErrorKind::Unavailable), answering());
    let gateway = gateway(&dead, &batch);
    gateway.complete(ask_as("acme", Priority::Conversation)).await.unwrap_err();
    assert_eq!(gateway.complete(ask_as("acme", Priority::Evaluation)).await.unwrap().text(), "ten seconds");
    assert_eq!((calls(&dead), calls(&batch)), (1, 1));
}
