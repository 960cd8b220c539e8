use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::llm::LlmProvider;
use agentscale_core::metrics::Metrics;
use agentscale_core::testkit::ScriptedProvider;
use agentscale_llm::gateway::{GatewayConfig, KeyLimits};
use tokio::time::sleep;

use super::scene::{ask, failing, pooled, tiers};

#[tokio::test(start_paused = true)]
async fn calls_are_recorded_under_the_names_of_the_conventions() {
    let metrics = Metrics::new();
    let slow =
        ScriptedProvider::new().with_delay(Duration::from_secs(2)).with_answer("ten seconds").repeating();
    let gateway = tiers([failing(ErrorKind::Overloaded), slow]).metrics(metrics.clone()).build().unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    gateway.stream(ask("acme")).await.unwrap().collect().await.unwrap();
    let text = metrics.snapshot().to_openmetrics();
    for line in [
        r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_request_model="m",gen_ai_provider_name="p1",error_type=""} 2"#,
        r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="chat",gen_ai_request_model="m",gen_ai_provider_name="p0",error_type="overloaded"} 2"#,
        r#"gen_ai_client_operation_time_to_first_chunk_seconds_count{gen_ai_operation_name="chat",gen_ai_request_model="m",gen_ai_provider_name="p1"} 1"#,
        r#"gen_ai_client_token_usage_count{gen_ai_token_type="output",gen_ai_request_model="m",gen_ai_provider_name="p1"} 2"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_line_is_recorded() {
    let metrics = Metrics::new();
    let slow = ScriptedProvider::new().with_delay(Duration::from_secs(1)).with_answer("a").repeating();
    let mut config = GatewayConfig::new();
    config.reject_above = 1;
    let gateway =
        pooled([(slow, KeyLimits::new().with_concurrency(1))]).config(config).metrics(metrics.clone());
    let gateway = gateway.build().unwrap();
    let running: Vec<_> = (0..3)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.complete(ask("acme")).await.map(drop) })
        })
        .collect();
    sleep(Duration::from_millis(1)).await;
    let text = metrics.snapshot().to_openmetrics();
    assert!(text.contains("agentscale_gateway_waiting_calls 1\n"), "{text}");
    assert!(text.contains("agentscale_gateway_refused_total{error_type=\"overloaded\"} 1\n"), "{text}");
    for call in running {
        drop(call.await.unwrap());
    }
    let text = metrics.snapshot().to_openmetrics();
    assert!(text.contains("agentscale_gateway_waiting_calls 0\n"), "{text}");
    assert!(text.contains("agentscale_gateway_wait_seconds_count 1\n"), "{text}");
}
