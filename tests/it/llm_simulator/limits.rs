use serde_json::{Value, json};

use super::server::{Answer, Server};

fn two_keys(limits: Value) -> Value {
    let key = |name: &str| json!({"key": name, "organization": "acme"});
    json!({"keys": [key("a"), key("b"), {"key": "c"}], "limits": limits})
}

fn question() -> Value {
    json!({"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "12345678"}]})
}

#[tokio::test]
async fn openais_buckets_are_told_in_headers_and_shared_by_an_organisation() {
    let limits = json!({"openai": {"requests_per_minute": 3, "tokens_per_minute": 100}});
    let server = Server::with(two_keys(limits));
    let ask = async |key: &str, body: Value| {
        let bearer = format!("Bearer {key}");
        server.send("POST", "/v1/chat/completions", &[("authorization", &bearer)], body.to_string()).await
    };
    let first = ask("a", question()).await;
    assert_eq!(first.header("x-ratelimit-limit-requests"), "3");
    assert_eq!(first.header("x-ratelimit-remaining-requests"), "2");
    assert_eq!(first.header("x-ratelimit-reset-requests"), "20s");
    assert_eq!(first.header("x-ratelimit-remaining-tokens"), "88", "2 of the prompt and 10 of its limit");
    assert_eq!(first.header("x-ratelimit-reset-tokens"), "7.2s");
    let large = json!({"model": "m", "max_tokens": 1_000, "messages": [{"role": "user", "content": "x"}]});
    let large = ask("a", large).await;
    assert_eq!((large.status, large.header("retry-after")), (429, ""), "no wait helps");
    for key in ["b", "a"] {
        assert_eq!(ask(key, question()).await.status, 200);
    }
    let refused = ask("b", question()).await;
    let error = &refused.json()["error"];
    assert_eq!(
        (refused.status, &error["code"], &error["type"]),
        (429, &json!("rate_limit_exceeded"), &json!("requests"))
    );
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), "0");
    assert!((1..=20).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    assert!((1..=20_000).contains(&refused.header("retry-after-ms").parse::<u64>().unwrap()));
    assert_eq!(ask("c", question()).await.status, 200, "another organisation");
    let mut other_model = question();
    other_model["model"] = json!("n");
    assert_eq!(ask("a", other_model).await.status, 200, "another model");
    assert_eq!(server.stats().await["by_status"], json!({"200": 5, "429": 2}));
}

#[tokio::test]
async fn anthropics_buckets_have_resets_in_rfc_3339_and_leave_cached_tokens_out() {
    let limits = json!({"anthropic": {
        "requests_per_minute": 4,
        "input_tokens_per_minute": 3_000,
        "output_tokens_per_minute": 9_000,
    }});
    let mut script = two_keys(limits);
    script["cache"] = json!({"min_tokens": 16});
    let server = Server::with(script);
    let ask = async |text: String| {
        let block = json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
        let mut body = question();
        body["system"] = json!([block]);
        let headers = [("x-api-key", "a"), ("anthropic-version", "2023-06-01")];
        server.send("POST", "/v1/messages", &headers, body.to_string()).await
    };
    let header =
        |answer: &Answer, name: &str| answer.header(&format!("anthropic-ratelimit-{name}")).to_owned();
    let first = ask("x".repeat(8_000)).await;
    assert_eq!(header(&first, "requests-limit"), "4");
    assert_eq!(header(&first, "requests-remaining"), "3");
    assert_eq!(
        (header(&first, "input-tokens-limit"), header(&first, "input-tokens-remaining")),
        ("3000".into(), "1000".into())
    );
    assert_eq!(
        (header(&first, "output-tokens-remaining"), header(&first, "tokens-limit")),
        ("9000".into(), "12000".into())
    );
    let reset = header(&first, "input-tokens-reset");
    assert!(reset.len() == 20 && reset.ends_with('Z') && &reset[10..11] == "T", "{reset}");
    let cached = ask("x".repeat(8_000)).await;
    assert_eq!((cached.status, header(&cached, "input-tokens-remaining")), (200, "1000".to_owned()));
    let refused = ask("y".repeat(8_000)).await;
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (429, &json!("rate_limit_error")));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("3000 input tokens per minute"));
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
}

#[tokio::test]
async fn a_shorter_minute_opens_a_limit_sooner() {
    let limits = json!({"minute_ms": 50, "openai": {"requests_per_minute": 1, "tokens_per_minute": 1_000}});
    let server = Server::with(json!({"limits": limits}));
    let ask = async || server.post("/v1/chat/completions", &question()).await;
    for _ in 0..3 {
        loop {
            let answer = ask().await;
            if answer.status == 200 {
                break;
            }
            let millis: u64 = answer.header("retry-after-ms").parse().unwrap();
            assert!((1..=50).contains(&millis));
            tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        }
    }
}

#[tokio::test]
async fn geminis_quotas_are_told_in_the_body() {
    let limits = json!({"gemini": {
        "requests_per_minute": 100,
        "input_tokens_per_minute": 1_000,
        "requests_per_day": 2,
    }});
    let server = Server::with(json!({"limits": limits}));
    let body = json!({"contents": [{"parts": [{"text": "hello"}]}]});
    let ask = async || server.post("/v1beta/models/m:generateContent", &body).await;
    assert_eq!([ask().await.status, ask().await.status], [200, 200]);
    let refused = ask().await;
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["status"]), (429, &json!("RESOURCE_EXHAUSTED")));
    assert!(refused.headers.keys().all(|name| !name.as_str().contains("ratelimit") && name != "retry-after"));
    let details = error["details"].as_array().unwrap();
    let violation = &details[0]["violations"][0];
    assert_eq!(details[0]["@type"], "type.googleapis.com/google.rpc.QuotaFailure");
    assert_eq!(violation["quotaId"], "GenerateRequestsPerDayPerProjectPerModel-FreeTier");
    assert_eq!(
        (&violation["quotaValue"], &violation["quotaDimensions"]["model"]),
        (&json!("2"), &json!("m"))
    );
    assert_eq!(details[2]["@type"], "type.googleapis.com/google.rpc.RetryInfo");
    let delay = details[2]["retryDelay"].as_str().unwrap();
    assert!(delay.strip_suffix('s').unwrap().parse::<f64>().unwrap() <= 86_400.0, "{delay}");
}

#[tokio::test]
async fn ollama_runs_some_lets_some_wait_and_refuses_the_rest() {
    let fault = json!({"when": {"requests": [1]}, "then": {"stall": {"after_events": 1}}});
    let limits = json!({"ollama": {"parallel": 1, "queue": 0}});
    let server = Server::with(json!({"limits": limits, "faults": [fault]}));
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let driver = tokio::spawn(connection);
    let running =
        sender.send_request(server.request("POST", "/api/chat", &[], body.to_string())).await.unwrap();
    let refused = server.post("/api/chat", &body).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"], "server busy, please try again.  maximum pending requests exceeded");
    drop((running, sender));
    driver.abort();
    loop {
        let freed = server.post("/api/chat", &body).await;
        if freed.status == 200 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let bill = &server.stats().await["keys"]["none"]["m"];
    assert_eq!(
        (&bill["requests"], &bill["left"], &bill["left_output_tokens"]),
        (&json!(2), &json!(1), &json!(1))
    );
}
