use std::time::Duration;

use agentscale_core::llm::LlmProvider;
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::{Error, ErrorKind};
use tokio::time::sleep;

use super::scene::{ask, failing, over, tiers};

#[tokio::test(start_paused = true)]
async fn a_gateway_works_as_long_as_one_of_its_providers_does() {
    let refusing = (0..7).fold(ScriptedProvider::new(), |provider, _| {
        provider.with_error(Error::new(ErrorKind::Unavailable, "call"))
    });
    let second = refusing.with_answer("healed").repeating();
    let gateway = tiers([failing(ErrorKind::Unavailable), second]).build().unwrap();
    assert!(gateway.works());
    for call in 0..5 {
        assert!(gateway.works(), "{call}");
        gateway.complete(ask("acme")).await.unwrap_err();
    }
    assert!(!gateway.works());
    // Two probes meet the trouble, the third does not.
    sleep(Duration::from_millis(6_001)).await;
    assert!(gateway.works());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_whose_keys_are_all_refused_does_not_work_until_one_is_tried_again() {
    let refused = || ScriptedProvider::new().with_error(Error::new(ErrorKind::Unauthenticated, "call"));
    let limited = || ScriptedProvider::new().with_error(Error::new(ErrorKind::RateLimited, "call"));
    let gateway = over([refused(), refused().with_answer("a").repeating()]);
    gateway.complete(ask("acme")).await.unwrap_err();
    assert!(!gateway.works());
    sleep(Duration::from_secs(601)).await;
    assert!(gateway.works(), "the keys are tried again");
    let gateway = over([refused().repeating(), limited()]);
    gateway.complete(ask("acme")).await.unwrap_err();
    assert!(gateway.works(), "a limit passes");
}
