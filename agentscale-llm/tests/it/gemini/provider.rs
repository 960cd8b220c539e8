use agentscale_core::ErrorKind;
use agentscale_core::Json;
use agentscale_core::llm::{
    CompletionEvent, CompletionRequest, Content, EmbeddingRequest, FinishReason, LlmProvider, Message,
    PartialAnswer, Role, ToolCall, Usage,
};
use agentscale_llm::gemini::{GeminiConfig, GeminiProvider};
use serde_json::json;

use super::{ANSWER, provider_at};
use crate::server::{Part, Reply, Server};

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long?")])
}

#[tokio::test]
async fn an_answer_is_read_with_its_thoughts_counted() {
    let server = Server::replying(Reply::json(200, ANSWER)).await;
    let answer = provider_at(&server).complete(ask()).await.unwrap();
    assert_eq!((answer.text().as_str(), answer.finish_reason), ("ten seconds", FinishReason::Stop));
    assert_eq!(answer.usage, Usage::new(9, 7).with_reasoning(5));
    assert_eq!(answer.model, "gemini-2.5-flash-001");
}

#[tokio::test]
async fn calls_without_ids_get_new_ones_in_each_answer() {
    let body = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"find","args":{"q": 1}}},
        {"functionCall":{"name":"now"}}]},"finishReason":"STOP"}]}"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let provider = provider_at(&server);
    let ids = |message: &Message| -> Vec<_> { message.tool_calls().map(|call| call.id.clone()).collect() };
    let mut request = ask();
    let answer = provider.complete(request.clone()).await.unwrap();
    assert_eq!(ids(&answer.message), ["call_0", "call_1"]);
    request.messages.push(answer.message);
    let answer = provider.complete(request.clone()).await.unwrap();
    assert_eq!(ids(&answer.message), ["call_2", "call_3"]);
    let streamed = provider.stream(request.clone()).await.unwrap().collect().await.unwrap();
    assert_eq!(streamed.message, answer.message);

    // The beginning of the conversation is not sent any more.
    request.messages = vec![Message::user("And then?"), answer.message];
    let answer = provider.complete(request).await.unwrap();
    assert_eq!(ids(&answer.message), ["call_4", "call_5"]);
}

#[tokio::test]
async fn a_signature_goes_back_with_its_call() {
    let body = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"find","args":{}},"thoughtSignature":"c2ln"},
        {"text":"Wait.","thoughtSignature":"dGV4"}]},"finishReason":"STOP"}]}"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let provider = provider_at(&server);
    let mut request = ask();
    request.messages.push(provider.complete(ask()).await.unwrap().message);
    provider.complete(request).await.unwrap();
    let expected = json!([
        {"functionCall": {"name": "find", "args": {}}, "thoughtSignature": "c2ln"},
        {"text": "Wait."},
        {"text": "", "thoughtSignature": "dGV4"},
    ]);
    assert_eq!(server.requests()[1].body["contents"][1]["parts"], expected);
}

#[tokio::test]
async fn a_stream_gives_parts_as_they_come() {
    let first = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"ten \"}]}}]}\r\n\r\n";
    let last = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"s\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n";
    let server = Server::replying(Reply::sse(first).then(Part::Bytes(last.into()))).await;
    let mut stream = provider_at(&server).stream(ask()).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.unwrap());
    }
    assert_eq!(events[..2], [CompletionEvent::Text("ten ".into()), CompletionEvent::Text("s".into())]);
    let [_, _, CompletionEvent::Finished(answer)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((answer.text().as_str(), answer.model.as_str()), ("ten s", "gemini-2.5-flash"));
    assert_eq!(server.requests()[0].path, "/v1/models/gemini-2.5-flash:streamgeneratecontent?alt=sse");
}

#[tokio::test]
async fn a_list_of_chunks_is_a_stream_too() {
    let body = r#"[{"candidates":[{"content":{"parts":[{"text":"ten "}]}}]},
        {"candidates":[{"content":{"parts":[{"text":"s"}]},"finishReason":"STOP"}]}]"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let answer = provider_at(&server).stream(ask()).await.unwrap().collect().await.unwrap();
    assert_eq!(answer.text(), "ten s");
}

#[tokio::test]
async fn embeddings_are_asked_for_in_batches() {
    let server = Server::start(|request| {
        let texts = request.body["requests"].as_array().unwrap();
        let values = |request: &serde_json::Value| {
            let text = request["content"]["parts"][0]["text"].as_str().unwrap();
            json!({"values": [text.parse::<f32>().unwrap()]})
        };
        let embeddings: Vec<_> = texts.iter().map(values).collect();
        let usage = json!({"promptTokenCount": texts.len()});
        Reply::json(200, &json!({"embeddings": embeddings, "usageMetadata": usage}).to_string())
    })
    .await;
    let texts: Vec<_> = (0..150).map(|number| number.to_string()).collect();
    let embeddings = provider_at(&server).embed(EmbeddingRequest::new(texts)).await.unwrap();
    let expected: Vec<_> = (0..150_u8).map(|number| vec![f32::from(number)]).collect();
    assert_eq!((embeddings.vectors, embeddings.usage), (expected, Usage::new(150, 0)));
    let [first, second] = &server.requests()[..] else { panic!() };
    assert_eq!(first.path, "/v1/models/gemini-embedding-001:batchembedcontents");
    assert_eq!(first.body["requests"].as_array().unwrap().len(), 100);
    let one = json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "100"}]}});
    assert_eq!(second.body["requests"][0], one);

    for wrong in [r#"{"embeddings":[]}"#, r#"{"embeddings":[{"values":[]}]}"#, "{}"] {
        let server = Server::replying(Reply::json(200, wrong)).await;
        let error = provider_at(&server).embed(EmbeddingRequest::new(vec!["a".into()])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_configuration_is_checked_and_never_shows_its_key() {
    let local = || GeminiConfig::new().with_base_url("http://localhost/v1beta").with_api_key("AIza-secret");
    for broken in [local().with_base_url("localhost"), local().with_api_key("AI\nza-secret")] {
        let error = GeminiProvider::new(&broken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{broken:?}");
        assert!(!format!("{error:?} {broken:?}").contains("secret"));
    }
    let provider = GeminiProvider::new(&local()).unwrap();
    assert!(!format!("{provider:?}").contains("secret"));
    assert!(serde_json::from_value::<GeminiConfig>(json!({"base": "x"})).is_err());
    assert!(serde_json::from_value::<GeminiConfig>(json!({"embedding_model": "e"})).is_ok());
}

#[tokio::test]
async fn a_call_that_the_model_spoilt_may_be_tried_again() {
    let body = r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"print(find)"}],
        "usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2}}"#;
    let server = Server::replying(Reply::json(200, body)).await;
    let mut request = ask();
    let call = ToolCall::new("call_0", "find", Json::parse("{}").unwrap());
    request.messages.push(Message::new(Role::Assistant, vec![Content::ToolCall(call)]));
    let error = provider_at(&server).complete(request).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Corrupt, agentscale_core::Retry::Later));
    assert!(!format!("{error:?}").contains("print"));
    assert_eq!(PartialAnswer::of(&error).unwrap().usage, Usage::new(7, 2), "it is billed");
}
