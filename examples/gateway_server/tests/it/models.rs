use async_openai::error::OpenAIError;

use crate::client::openai;
use crate::server::{KEY, NARROW_KEY, Server, config, gateway};

#[tokio::test]
async fn models_are_listed_and_found_by_name() {
    let server = Server::start("");
    let client = openai(&server, KEY);
    let models = client.models().list().await.unwrap();
    let names: Vec<_> = models.data.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(names, ["simulated"]);
    assert_eq!(client.models().retrieve("simulated").await.unwrap().object, "model");
}

#[tokio::test]
async fn a_key_sees_and_finds_its_own_models_alone() {
    let server = Server::start("");
    let client = openai(&server, NARROW_KEY);
    assert!(client.models().list().await.unwrap().data.is_empty());
    let OpenAIError::ApiError(error) = client.models().retrieve("simulated").await.unwrap_err() else {
        panic!("no error of the API");
    };
    assert_eq!(error.status_code, 404);
}

#[tokio::test]
async fn a_model_that_no_key_serves_for_the_tenant_is_not_shown() {
    let files = gateway("").replace("[models.simulated]", "[models.other]").replace(
        "[pools.simulator.keys.simulator]",
        "[pools.simulator.keys.simulator]\ntenants = [\"acme\"]",
    );
    let server = &Server::with_files(&config(""), &files, &[]);
    let names = |key: &'static str| async move {
        let models = openai(server, key).models().list().await.unwrap();
        models.data.into_iter().map(|model| model.id).collect::<Vec<_>>()
    };
    assert_eq!(names(KEY).await, ["other"]);
    assert!(names(NARROW_KEY).await.is_empty(), "another tenant's model is shown");
    assert!(openai(server, NARROW_KEY).models().retrieve("other").await.is_err());
}
