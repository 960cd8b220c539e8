//! `POST /v1beta/models/{model}:embedContent` and `:batchEmbedContents`.

use serde_json::{Value, json};

use super::{field, invalid, parse};
use crate::embedding;
use crate::embeddings::{Embeddings, Input};
use crate::refusal::Refusal;

const MOST_REQUESTS: usize = 100;

pub(crate) struct GeminiEmbeddings {
    pub(crate) model: String,
    pub(crate) batch: bool,
}

impl Embeddings for GeminiEmbeddings {
    fn read(&self, body: &[u8]) -> Result<Input, Refusal> {
        let body = parse(body)?;
        let single = [body.clone()];
        let requests = match self.batch {
            true => body["requests"].as_array().map_or(&[][..], Vec::as_slice),
            false => &single[..],
        };
        if requests.len() > MOST_REQUESTS {
            let message = format!(
                "* BatchEmbedContentsRequest.requests: at most {MOST_REQUESTS} requests can be in one batch"
            );
            return Err(invalid(&message));
        }
        let name = format!("models/{}", self.model);
        if self.batch
            && requests.iter().any(|request| request["model"].as_str().is_some_and(|model| model != name))
        {
            return Err(invalid(
                "* BatchEmbedContentsRequest.requests[0].model: must match the model of the batch",
            ));
        }
        let texts = requests.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let dimensions = requests.first().and_then(|request| field(request, "outputDimensionality").as_u64());
        Ok(Input { model: self.model.clone(), texts, dimensions, options: Value::Null })
    }

    fn whole(&self, input: &Input, dimensions: usize) -> Value {
        let vector = |text: &String| {
            let vector = embedding::vector(&input.model, text, dimensions);
            json!({"values": embedding::json(&vector)})
        };
        let mut vectors: Vec<Value> = input.texts.iter().map(vector).collect();
        match (self.batch, vectors.pop()) {
            (false, Some(only)) => json!({"embedding": only}),
            (_, last) => json!({"embeddings": vectors.into_iter().chain(last).collect::<Vec<_>>()}),
        }
    }
}

fn text(request: &Value) -> Result<String, Refusal> {
    let parts = request["content"]["parts"].as_array().into_iter().flatten();
    let texts: Vec<&str> = parts.filter_map(|part| part["text"].as_str()).collect();
    match texts.concat() {
        text if text.is_empty() => Err(invalid("* EmbedContentRequest.content: contents is not specified\n")),
        text => Ok(text),
    }
}
