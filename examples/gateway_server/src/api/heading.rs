use crate::app::App;

/// What the objects of one answer say alike.
#[derive(Clone, Debug)]
pub(crate) struct Heading {
    pub(crate) id: String,
    pub(crate) created: u64,
    /// The model as the caller named it.
    pub(crate) model: String,
}

impl Heading {
    /// A new id that begins with `prefix`.
    pub(crate) fn new(app: &App, prefix: &str, model: &str) -> Self {
        let id = format!("{prefix}{}", uuid::Uuid::now_v7().simple());
        Self { id, created: app.unix_seconds(), model: model.to_owned() }
    }
}
