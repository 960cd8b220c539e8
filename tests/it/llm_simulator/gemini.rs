use serde_json::{Value, json};

use super::server::{Answer, Server};
use super::{assert_fits, schema};

const MODELS: &str = "/v1beta/models/m";

async fn generate(server: &Server, body: &Value) -> Answer {
    server.post(&format!("{MODELS}:generateContent"), body).await
}

async fn stream(server: &Server, body: &Value) -> Answer {
    server.post(&format!("{MODELS}:streamGenerateContent?alt=sse"), body).await
}

fn ask(fields: Value) -> Value {
    let mut body =
        json!({"contents": [{"role": "user", "parts": [{"text": "How long does a lease last?"}]}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn tools() -> Value {
    json!([{"functionDeclarations": [{"name": "find", "parametersJsonSchema": schema()}]}])
}

fn text(chunks: &[Value], thought: bool) -> String {
    let parts = chunks.iter().map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]);
    parts
        .filter(|part| (part["thought"] == true) == thought)
        .filter_map(|part| part["text"].as_str())
        .collect()
}

#[tokio::test]
async fn chunks_come_with_crlf_and_usage_and_without_an_end_mark() {
    let server = Server::start();
    let body = ask(json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true}}}));
    let whole = generate(&server, &body).await.json();
    let answer = stream(&server, &body).await;
    assert!(!answer.text().replace("\r\n", "").contains('\n'), "{}", answer.text());
    let chunks = answer.data("\r\n\r\n");
    let parts = &whole["candidates"][0]["content"]["parts"];
    assert_eq!(parts[0], json!({"text": text(&chunks, true), "thought": true}));
    assert_eq!(parts[1], json!({"text": text(&chunks, false)}));
    let last = chunks.last().unwrap();
    assert_eq!(
        (&last["candidates"][0]["finishReason"], &last["usageMetadata"]),
        (&json!("STOP"), &whole["usageMetadata"])
    );
    assert!(chunks.iter().all(|chunk| chunk["usageMetadata"]["promptTokenCount"] == 7));
    assert!(
        chunks[..chunks.len() - 1].iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none())
    );
    let usage = &whole["usageMetadata"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(count("thoughtsTokenCount"), 12);
    assert_eq!(count("totalTokenCount"), count("promptTokenCount") + count("candidatesTokenCount") + 12);
}

#[tokio::test]
async fn without_alt_sse_a_stream_is_an_array() {
    let answer = Server::start().post(&format!("{MODELS}:streamGenerateContent"), &ask(json!({}))).await;
    let chunks = answer.json();
    assert!(chunks.as_array().unwrap().len() > 10);
    assert!(answer.text().contains(",\r\n{"));
}

#[tokio::test]
async fn calls_are_whole_signed_and_end_with_stop() {
    let server = Server::start();
    let config = json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["find"]}});
    let body = ask(json!({"tools": tools(), "toolConfig": config}));
    let whole = generate(&server, &body).await.json();
    let part = &whole["candidates"][0]["content"]["parts"][0];
    assert_fits(&part["functionCall"]["args"]);
    assert!(part["thoughtSignature"].is_string());
    assert_eq!(whole["candidates"][0]["finishReason"], "STOP");
    let chunks = stream(&server, &body).await.data("\r\n\r\n");
    assert_eq!(&chunks[0]["candidates"][0]["content"]["parts"][0], part);
    let call = json!({"role": "model", "parts": [part]});
    let response = json!({"name": "find", "response": {"result": "ten seconds"}});
    let response = json!({"role": "user", "parts": [{"functionResponse": response}]});
    let question = body["contents"][0].clone();
    let answered = ask(json!({"tools": tools(), "contents": [question, call, response]}));
    let answered = generate(&server, &answered).await.json();
    assert!(answered["candidates"][0]["content"]["parts"][0]["text"].is_string(), "{answered}");
    let lone = generate(&server, &ask(json!({"contents": [question, response]}))).await;
    assert_eq!((lone.status, &lone.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
}

#[tokio::test]
async fn both_kinds_of_schemas_are_fitted() {
    let server = Server::start();
    let upper = json!({"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]});
    let config = json!({"responseMimeType": "application/json", "responseSchema": upper});
    let answer = generate(&server, &ask(json!({"generationConfig": config}))).await.json();
    let made = answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(made).unwrap()["n"].is_i64(), "{made}");
    let config = json!({"response_mime_type": "application/json", "response_json_schema": schema()});
    let answer = generate(&server, &ask(json!({"generation_config": config}))).await.json();
    assert_fits(
        &serde_json::from_str(answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap())
            .unwrap(),
    );
}

#[tokio::test]
async fn requests_are_refused_in_googles_words() {
    let server =
        Server::with(json!({"models": [{"name": "m", "context_tokens": 20}], "keys": [{"key": "k"}]}));
    let send = async |path: &str, key: &str, body: Value| {
        server.send("POST", path, &[("x-goog-api-key", key)], body.to_string()).await
    };
    let path = &format!("{MODELS}:generateContent");
    let robot = json!({"contents": [{"role": "robot", "parts": [{"text": "x"}]}]});
    let long = ask(json!({"systemInstruction": {"parts": [{"text": "x".repeat(100)}]}}));
    for (path, key, body, status, name) in [
        (path.as_str(), "k", json!({"contents": []}), 400, "INVALID_ARGUMENT"),
        (path, "k", robot, 400, "INVALID_ARGUMENT"),
        (path, "k", long, 400, "INVALID_ARGUMENT"),
        (path, "other", ask(json!({})), 400, "INVALID_ARGUMENT"),
        (path, "", ask(json!({})), 403, "PERMISSION_DENIED"),
        ("/v1beta/models/n:generateContent", "k", ask(json!({})), 404, "NOT_FOUND"),
        ("/v1beta/models/m:sing", "k", ask(json!({})), 404, "NOT_FOUND"),
    ] {
        let answer = send(path, key, body).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["code"], &error["status"]),
            (status, &json!(status), &json!(name)),
            "{error}"
        );
    }
    let invalid = send(path, "other", ask(json!({}))).await.json();
    assert_eq!(invalid["error"]["details"][0]["reason"], "API_KEY_INVALID");
    let in_query = server.post(&format!("{path}?key=k"), &ask(json!({}))).await;
    assert_eq!(in_query.status, 200);
}

#[tokio::test]
async fn a_cached_content_is_created_used_and_deleted() {
    let server = Server::with(json!({"cache": {"min_tokens": 16}}));
    let contents = json!([{"role": "user", "parts": [{"text": "x".repeat(400)}]}]);
    let create = json!({"model": "models/m", "contents": contents, "ttl": "300s", "displayName": "d"});
    let created = server.post("/v1beta/cachedContents", &create).await.json();
    let name = created["name"].as_str().unwrap();
    assert_eq!(
        (&created["usageMetadata"]["totalTokenCount"], &created["displayName"]),
        (&json!(100), &json!("d"))
    );
    let usage = generate(&server, &ask(json!({"cachedContent": name}))).await.json()["usageMetadata"].clone();
    assert_eq!((&usage["promptTokenCount"], &usage["cachedContentTokenCount"]), (&json!(107), &json!(100)));
    let path = format!("/v1beta/{name}");
    assert_eq!(server.get(&path).await.json(), created);
    assert_eq!(server.get("/v1beta/cachedContents").await.json()["cachedContents"], json!([created]));
    let with_tools = generate(&server, &ask(json!({"cachedContent": name, "tools": tools()}))).await;
    assert_eq!(with_tools.status, 400);
    let other = json!({"contents": ask(json!({}))["contents"], "cachedContent": name});
    assert_eq!(server.post("/v1beta/models/n:generateContent", &other).await.status, 400);
    assert_eq!(server.send("DELETE", &path, &[], String::new()).await.json(), json!({}));
    assert_eq!(server.get(&path).await.status, 403);
    assert_eq!(generate(&server, &ask(json!({"cachedContent": name}))).await.status, 403);
    let small = json!({"model": "models/m", "contents": ask(json!({}))["contents"]});
    assert_eq!(server.post("/v1beta/cachedContents", &small).await.status, 400);
}

#[tokio::test]
async fn vectors_come_alone_and_in_batches() {
    let server = Server::start();
    let content = |text: &str| json!({"model": "models/m", "content": {"parts": [{"text": text}]}, "outputDimensionality": 8});
    let alone = server.post(&format!("{MODELS}:embedContent"), &content("a b")).await.json();
    let batch = json!({"requests": [content("b a"), content("a b")]});
    let batch = server.post(&format!("{MODELS}:batchEmbedContents"), &batch).await.json();
    assert_eq!(alone["embedding"], batch["embeddings"][1]);
    assert_ne!(batch["embeddings"][0], batch["embeddings"][1]);
    assert_eq!(alone["embedding"]["values"].as_array().unwrap().len(), 8);
}
