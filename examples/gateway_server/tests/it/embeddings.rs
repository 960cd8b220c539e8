use serde_json::json;

use crate::client::{openai, post, typed};
use crate::server::{KEY, Server};

#[tokio::test]
async fn texts_have_their_vectors_in_their_order() {
    let server = Server::start("[simulator]\ndimensions = 8");
    let client = openai(&server, KEY);
    let both = typed(json!({"model": "simulated", "input": ["one", "two"]}));
    let both = client.embeddings().create(both).await.unwrap();
    let two = client.embeddings().create(typed(json!({"model": "simulated", "input": "two"}))).await.unwrap();
    assert_eq!(both.data[0].embedding.len(), 8);
    assert_eq!((both.data[1].index, &both.data[1].embedding), (1, &two.data[0].embedding));
    assert!(both.usage.prompt_tokens > 0);
}

#[tokio::test]
async fn vectors_in_base64_are_the_same_vectors() {
    let server = Server::start("[simulator]\ndimensions = 8");
    let client = openai(&server, KEY);
    let request = |format| typed(json!({"model": "simulated", "input": "one", "encoding_format": format}));
    let floats = client.embeddings().create(request("float")).await.unwrap();
    let packed = client.embeddings().create_base64(request("base64")).await.unwrap();
    let unpacked: Vec<f32> = packed.data[0].embedding.clone().into();
    assert_eq!(unpacked, floats.data[0].embedding);
}

#[tokio::test]
async fn tokens_in_the_place_of_texts_are_refused() {
    let server = Server::start("");
    let (status, body) =
        post(&server, "/v1/embeddings", &json!({"model": "simulated", "input": [1, 2]})).await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("input")));
}
