/// Whether a model may think. OpenAI's older families refuse requests that speak of it.
pub(super) fn may_think(model: &str) -> bool {
    let older = ["gpt-3.5", "gpt-4", "chatgpt-"];
    !older.iter().any(|family| model.starts_with(family)) && !model.ends_with("-chat-latest")
}
