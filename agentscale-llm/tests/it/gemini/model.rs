//! A small model behind generateContent and batchEmbedContents.

use serde_json::{Value, json};

use crate::server::{Recorded, Reply};

pub(super) fn answer(request: &Recorded) -> Reply {
    let body = &request.body;
    match request.path.as_str() {
        "/v1/models/gemini-2.5-flash:generatecontent" => {
            Reply::json(200, &chunk(&parts(body), true).to_string())
        }
        "/v1/models/gemini-2.5-flash:streamgeneratecontent?alt=sse" => streamed(body),
        "/v1/models/embed:batchembedcontents" => embeddings(body),
        _ => {
            let error = json!({"code": 404, "message": body["contents"].to_string(), "status": "NOT_FOUND"});
            Reply::json(404, &json!({ "error": error }).to_string())
        }
    }
}

fn parts(body: &Value) -> Vec<Value> {
    let name = &body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"][0];
    if name.is_string() {
        return vec![json!({"functionCall": {"name": name, "args": {"words": "lease"}}})];
    }
    match body["generationConfig"]["responseMimeType"] == "application/json" {
        true => vec![json!({"text": "{\"seconds\""}), json!({"text": ":10}"})],
        false => vec![json!({"text": "It lasts "}), json!({"text": "ten seconds."})],
    }
}

fn chunk(parts: &[Value], last: bool) -> Value {
    let reason = if last { json!("STOP") } else { Value::Null };
    let usage = json!({"promptTokenCount": 20, "candidatesTokenCount": 5, "cachedContentTokenCount": 4});
    let candidate = json!({"content": {"role": "model", "parts": parts}, "finishReason": reason, "index": 0});
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "g-1"})
}

fn streamed(body: &Value) -> Reply {
    let parts = parts(body);
    let chunks =
        parts.iter().enumerate().map(|(at, part)| chunk(std::slice::from_ref(part), at + 1 == parts.len()));
    Reply::sse(&chunks.map(|chunk| format!("data: {chunk}\r\n\r\n")).collect::<String>())
}

fn embeddings(body: &Value) -> Reply {
    // How often each letter stands in the text.
    let vector = |request: &Value| -> Vec<usize> {
        let text = request["content"]["parts"][0]["text"].as_str().unwrap();
        ('a'..='z').map(|letter| text.matches(letter).count()).collect()
    };
    let requests = body["requests"].as_array().unwrap();
    let embeddings: Vec<_> = requests.iter().map(|request| json!({"values": vector(request)})).collect();
    Reply::json(200, &json!({ "embeddings": embeddings }).to_string())
}
