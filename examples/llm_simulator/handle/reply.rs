use bytes::Bytes;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::Value;

use crate::body::Body;
use crate::dialect::Dialect;
use crate::limits::Headers;
use crate::refusal::Refusal;

const JSON: &str = "application/json";

/// An answer whose headers are not complete yet.
pub(super) struct Reply {
    pub(super) status: u16,
    headers: Headers,
    kind: &'static str,
    body: Content,
}

enum Content {
    Body(Body),
    /// An error, which may be told the name of its request.
    Error(Value),
}

impl Reply {
    pub(super) fn json(body: &Value) -> Self {
        Self::body(JSON, Body::Whole(Bytes::from(body.to_string())))
    }

    pub(super) fn body(kind: &'static str, body: Body) -> Self {
        Self { status: 200, headers: Headers::new(), kind, body: Content::Body(body) }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        let Refusal { status, headers, body } = refusal;
        Self { status, headers, kind: JSON, body: Content::Error(body) }
    }

    pub(super) fn page(status: u16) -> Self {
        let page = format!(
            "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n\
             <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Self { status, ..Self::body("text/html", Body::Whole(Bytes::from(page))) }
    }

    pub(super) fn with_headers(mut self, headers: Headers) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(super) fn into_response(self, dialect: Dialect, number: u64) -> Response<Body> {
        let id = format!("req_{number:024}");
        let body = match self.body {
            Content::Body(body) => body,
            Content::Error(mut body) => {
                if let (Dialect::Anthropic, Some(fields)) = (dialect, body.as_object_mut()) {
                    fields.insert("request_id".to_owned(), Value::from(id.as_str()));
                }
                Body::Whole(Bytes::from(body.to_string()))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = hyper::StatusCode::from_u16(self.status).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        let named = match dialect {
            Dialect::Openai => vec![("x-request-id", id), ("openai-version", "2020-10-01".to_owned())],
            Dialect::Anthropic => vec![("request-id", id)],
            Dialect::Gemini | Dialect::Ollama => Vec::new(),
        };
        for (name, value) in self.headers.into_iter().chain(named) {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// What the simulator says of itself.
pub(super) fn json(body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::Whole(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}
