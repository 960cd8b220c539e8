use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::client::{answer, hello_with, http, post};
use crate::server::{KEY, NARROW_KEY, PATIENCE, Server, config, gateway};

#[tokio::test]
async fn an_account_sees_what_it_used_and_no_other_does() {
    let server = Server::start("");
    for _ in 0..3 {
        let (status, _) = post(&server, "/v1/chat/completions", &hello_with(json!({"max_tokens": 5}))).await;
        assert_eq!(status, 200);
    }
    let settled = async {
        loop {
            let (_, page) = usage(&server, KEY, "").await;
            if page["data"][0]["calls"] == 3 {
                return page;
            }
            sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let page = timeout(PATIENCE, settled).await.expect("usage is settled");
    let of_day = &page["data"][0];
    assert_eq!((&of_day["model"], &of_day["output_tokens"]), (&json!("simulated"), &json!(15)));
    assert!(of_day["cost"].is_string());
    // The simulated model has no price.
    assert_eq!(of_day["unpriced_calls"], 3);
    assert_eq!(usage(&server, NARROW_KEY, "").await.1["data"], json!([]));
    assert_eq!(usage(&server, KEY, "?end_time=1000000000").await.1["data"], json!([]));
}

#[tokio::test]
async fn what_was_used_is_settled_at_the_end_and_survives_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let ledger = config(&format!("ledger = {:?}", folder.path().join("budgets.sqlite")));
    let rarely = gateway("").replace("settle_every_ms = 50", "settle_every_ms = 20000");
    let mut server = Server::with_files(&ledger, &rarely, &[]);
    post(&server, "/v1/chat/completions", &hello_with(json!({"max_tokens": 5}))).await;
    server.terminate();
    assert_eq!(server.ended().await.code(), Some(0));

    let server = Server::with_files(&ledger, &rarely, &[]);
    let (_, page) = usage(&server, KEY, "").await;
    assert_eq!((&page["data"][0]["calls"], &page["data"][0]["output_tokens"]), (&json!(1), &json!(5)));
}

#[tokio::test]
async fn days_and_pages_that_are_none_are_refused() {
    let server = Server::start("");
    for query in ["?start_time=yesterday", "?limit=0", "?limit=1001", "?page=x"] {
        assert_eq!(usage(&server, KEY, query).await.0, 400, "{query}");
    }
}

async fn usage(server: &Server, key: &str, query: &str) -> (u16, Value) {
    answer(http().get(server.url(&format!("/v1/usage{query}"))).bearer_auth(key)).await
}
