use agentscale_core::ErrorKind;
use agentscale_core::llm::{CompletionRequest, LlmProvider, Message};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_llm::gateway::{Gateway, GatewayConfig, GatewayModel, KeyLimits, KeyPool, ProviderKey};

use super::scene::{answering, ask, builder, calls, pooled, tenant, tiers};

#[tokio::test(start_paused = true)]
async fn models_are_called_by_their_names_and_by_the_hints_of_a_tenant() {
    let (small, large) = (answering(), answering());
    let gateway = builder()
        .pool(KeyPool::new("small").key(ProviderKey::new("s", small.clone())))
        .pool(KeyPool::new("large").key(ProviderKey::new("l", large.clone())))
        .model(GatewayModel::new("quick").via("small", "s-1"))
        .model(GatewayModel::new("deep").via("large", "l-1"))
        .hint("fast", "quick")
        .hint_for(tenant("acme"), "fast", "deep")
        .build()
        .unwrap();
    gateway.complete(ask("other").with_model("fast")).await.unwrap();
    gateway.complete(ask("acme").with_model("fast")).await.unwrap();
    gateway.complete(ask("acme").with_model("quick")).await.unwrap();
    assert_eq!((calls(&small), calls(&large)), (2, 1));
    assert_eq!(small.requests()[0].model, "s-1");
    let names: Vec<_> = gateway.models().into_iter().map(|model| model.name).collect();
    assert_eq!(names, ["deep", "quick"]);
    for unknown in ["slow", ""] {
        let error = gateway.complete(ask("acme").with_model(unknown)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_longest_answer_gets_the_models() {
    let provider = answering();
    let gateway = builder()
        .pool(KeyPool::new("p").key(ProviderKey::new("k", provider.clone())))
        .model(GatewayModel::new("m").via("p", "m-1").with_max_output_tokens(321))
        .build()
        .unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    gateway.complete(ask("acme").with_max_tokens(7)).await.unwrap();
    let sent: Vec<_> = provider.requests().iter().map(|request| request.max_tokens).collect();
    assert_eq!(sent, [Some(321), Some(7)]);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_without_a_key_is_refused() {
    let provider = answering();
    let key = ProviderKey::new("k", provider.clone()).for_tenants([tenant("acme")]);
    let gateway = builder().pool(KeyPool::new("p").key(key)).model(GatewayModel::new("m").via("p", "m"));
    let gateway = gateway.build().unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    let nobody = CompletionRequest::new(vec![Message::user("hi")]);
    for request in [ask("other"), nobody] {
        let error = gateway.complete(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
    assert_eq!(calls(&provider), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_longer_than_the_window_goes_to_the_longer_model_or_is_refused_unsent() {
    let (short, long) = (answering(), answering());
    let gateway = builder()
        .pool(KeyPool::new("short").key(ProviderKey::new("s", short.clone())))
        .pool(KeyPool::new("long").key(ProviderKey::new("l", long.clone())))
        .model(GatewayModel::new("a").via("short", "a").with_context_window(100).with_long_context("b"))
        .model(GatewayModel::new("b").via("long", "b").with_context_window(1_000))
        .build()
        .unwrap();
    let of = |bytes| CompletionRequest::new(vec![Message::user("x".repeat(bytes))]).with_model("a");
    gateway.complete(of(60)).await.unwrap();
    gateway.complete(of(600)).await.unwrap();
    let error = gateway.complete(of(6_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextTooLong);
    assert_eq!((calls(&short), calls(&long)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_hint_with_the_name_of_the_longer_model_leads_nobody_in_a_circle() {
    let too_long = agentscale_core::Error::new(ErrorKind::ContextTooLong, "call");
    let (short, long) = (ScriptedProvider::new().with_error(too_long).repeating(), answering());
    let set_up = || {
        builder()
            .pool(KeyPool::new("short").key(ProviderKey::new("s", short.clone())))
            .pool(KeyPool::new("long").key(ProviderKey::new("l", long.clone())))
            .model(GatewayModel::new("a").via("short", "a").with_context_window(100).with_long_context("b"))
            .model(GatewayModel::new("b").via("long", "b"))
    };
    for gateway in [set_up().hint("b", "a"), set_up().hint_for(tenant("acme"), "b", "a")] {
        let gateway = gateway.build().unwrap();
        gateway.complete(ask("acme").with_model("a")).await.unwrap();
        let mut longer = ask("acme").with_model("a");
        longer.messages.push(Message::user("x".repeat(600)));
        gateway.complete(longer).await.unwrap();
    }
    assert_eq!((calls(&short), calls(&long)), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_finds_too_long_goes_to_the_longer_model() {
    let too_long = agentscale_core::Error::new(ErrorKind::ContextTooLong, "call");
    let (short, long) = (ScriptedProvider::new().with_error(too_long).repeating(), answering());
    let gateway = builder()
        .pool(KeyPool::new("short").key(ProviderKey::new("s", short.clone())))
        .pool(KeyPool::new("long").key(ProviderKey::new("l", long.clone())))
        .model(GatewayModel::new("a").via("short", "a").with_context_window(100).with_long_context("b"))
        .model(GatewayModel::new("b").via("long", "b"))
        .model(GatewayModel::new("c").via("short", "c").with_context_window(100))
        .build()
        .unwrap();
    assert_eq!(gateway.complete(ask("acme").with_model("a")).await.unwrap().text(), "ten seconds");
    let streamed = gateway.stream(ask("acme").with_model("a")).await.unwrap().collect().await;
    assert_eq!(streamed.unwrap().text(), "ten seconds");
    // 140 tokens by the estimate, and perhaps 100: without another model the provider judges.
    let near = CompletionRequest::new(vec![Message::user("x".repeat(420))]).with_model("c");
    assert_eq!(gateway.complete(near).await.unwrap_err().kind(), ErrorKind::ContextTooLong);
    assert_eq!((calls(&short), calls(&long)), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn tenants_with_keys_of_their_own_use_them_beside_those_of_all_in_turn() {
    let providers: Vec<_> = (0..4).map(|_| answering()).collect();
    let key = |place: usize| ProviderKey::new(format!("k{place}"), providers[place].clone());
    let pool = KeyPool::new("p")
        .key(key(0).for_tenants([tenant("acme")]))
        .key(key(1).for_tenants([tenant("other")]))
        .key(key(2))
        .key(key(3).for_tenants([tenant("other"), tenant("acme")]));
    let gateway = builder().pool(pool).model(GatewayModel::new("m").via("p", "m")).build().unwrap();
    for _ in 0..300 {
        gateway.complete(ask("acme")).await.unwrap();
    }
    let shares: Vec<_> = providers.iter().map(calls).collect();
    assert_eq!(shares, [100, 0, 100, 100], "none has the turns of a key that is not for this tenant");
}

#[tokio::test(start_paused = true)]
async fn what_one_model_refuses_another_answers() {
    let prim = ScriptedProvider::new()
        .with_error(agentscale_core::Error::new(ErrorKind::ContentRefused, "call"))
        .repeating();
    let free = answering();
    let gateway = builder()
        .pool(KeyPool::new("prim").key(ProviderKey::new("p", prim)))
        .pool(KeyPool::new("free").key(ProviderKey::new("f", free.clone())))
        .model(GatewayModel::new("a").via("prim", "a").on_refusal("b"))
        .model(GatewayModel::new("b").via("free", "b"))
        .build()
        .unwrap();
    assert_eq!(gateway.complete(ask("acme").with_model("a")).await.unwrap().text(), "ten seconds");
    let streamed = gateway.stream(ask("acme").with_model("a")).await.unwrap().collect().await;
    assert_eq!(streamed.unwrap().text(), "ten seconds");
    assert_eq!(calls(&free), 2);
}

#[tokio::test(start_paused = true)]
async fn what_one_model_refuses_within_a_stream_before_its_first_part_another_answers() {
    let refusing = ScriptedProvider::new()
        .with_broken_stream("", agentscale_core::Error::new(ErrorKind::ContentRefused, "read the stream"))
        .repeating();
    let free = answering();
    let gateway = builder()
        .pool(KeyPool::new("prim").key(ProviderKey::new("p", refusing)))
        .pool(KeyPool::new("free").key(ProviderKey::new("f", free.clone())))
        .model(GatewayModel::new("a").via("prim", "a").on_refusal("b"))
        .model(GatewayModel::new("b").via("free", "b"))
        .build()
        .unwrap();
    let streamed = gateway.stream(ask("acme").with_model("a")).await.unwrap().collect().await;
    assert_eq!((streamed.unwrap().text().as_str(), calls(&free)), ("ten seconds", 1));
}

#[test]
fn what_cannot_work_is_refused_with_its_name() {
    let key = |id: &str| ProviderKey::new(id, answering());
    let pool = || KeyPool::new("p").key(key("k"));
    let model = || GatewayModel::new("m").via("p", "m");
    let mut zero = GatewayConfig::new();
    zero.max_attempts = 0;
    for (wrong, field, name) in [
        (Gateway::builder().pool(KeyPool::new("p")), "pool", "p"),
        (Gateway::builder().pool(pool().key(key("k"))), "key", "k"),
        (Gateway::builder().pool(pool()).pool(KeyPool::new("p").key(key("other"))), "pool", "p"),
        (Gateway::builder().model(model()), "pool", "p"),
        (Gateway::builder().pool(pool()).model(GatewayModel::new("m")), "model", "m"),
        (Gateway::builder().pool(pool()).model(model()).model(model()), "model", "m"),
        (Gateway::builder().pool(pool()).model(model()).hint("fast", "x"), "model", "x"),
        (Gateway::builder().pool(pool()).model(model().with_long_context("x")), "model", "x"),
        (Gateway::builder().pool(pool()).model(model().on_refusal("m")), "model", "m"),
        (
            Gateway::builder()
                .pool(pool())
                .model(model().with_long_context("n"))
                .model(GatewayModel::new("n").via("p", "n").on_refusal("m")),
            "model",
            "m",
        ),
        (pooled([(answering(), KeyLimits::new().with_requests(0))]), "key", "k0"),
        (tiers([answering()]).config(zero), "field", "max_attempts"),
    ] {
        let error = wrong.build().unwrap_err();
        assert_eq!((error.kind(), error.context(field)), (ErrorKind::InvalidInput, Some(name)), "{error}");
    }
}
