//! Who calls: an API key stands for a principal. Nothing else of a request says whose it is.

mod hash;
mod keys;
mod principal;

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;

pub(crate) use hash::KeyHash;
pub(crate) use keys::Keys;
pub(crate) use principal::Principal;

use crate::api::error::ApiError;
use crate::app::App;

/// Lets requests with a known key pass, with their principal among the extensions.
pub(crate) async fn authenticate(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(key) = bearer(request.headers()) else {
        return Err(ApiError::no_key());
    };
    let principal = app.keys.find(key).ok_or_else(ApiError::wrong_key)?;
    request.extensions_mut().insert(Arc::clone(&principal));
    let mut response = next.run(request).await;
    // For the log.
    response.extensions_mut().insert(principal);
    Ok(response)
}

/// Makes a key and prints it with its hash, or prints the hash of the one on the standard input.
pub(crate) fn hash_key(of_stdin: bool) -> ExitCode {
    let printed = if of_stdin { print_hash() } else { print_new_key() };
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway_server: hash a key: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_hash() -> std::io::Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let key = line.trim();
    if key.is_empty() {
        return Err(std::io::Error::other("the standard input has no key"));
    }
    writeln!(std::io::stdout(), "{}", KeyHash::of(key))
}

fn print_new_key() -> std::io::Result<()> {
    let key = hash::new_key().map_err(std::io::Error::other)?;
    writeln!(std::io::stdout(), "key  {key}\nhash {}", KeyHash::of(&key))
}

/// The key of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
