use agentscale_core::{Error, ErrorKind, Result};

/// A secret's name: `mount/path#field`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    mount: &'a str,
    path: &'a str,
    pub(super) field: &'a str,
}

impl<'a> Name<'a> {
    pub(super) fn parse(name: &'a str) -> Result<Self> {
        let parts = name.split_once('#').and_then(|(place, field)| {
            let (mount, path) = place.split_once('/')?;
            Some(Self { mount, path, field })
        });
        let is_name = |name: &Self| is_path(name.mount) && is_path(name.path) && !name.field.is_empty();
        parts.filter(is_name).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "name a secret of vault")
                .with_context("name", name.escape_debug())
                .with_context("reason", "not of the form mount/path#field")
        })
    }

    pub(super) fn url_path(&self) -> String {
        format!("/v1/{}/data/{}", self.mount, self.path)
    }
}

/// Whether a path stays where it is put: no part of it leads elsewhere or ends it.
pub(super) fn is_path(path: &str) -> bool {
    let allowed = |letter: char| {
        letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/' | '@' | '+' | '=' | ':')
    };
    path.chars().all(allowed) && !path.split('/').any(|part| matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_mount_a_path_and_a_field() {
        let name = Name::parse("secret/llm/openai#key").unwrap();
        assert_eq!((name.url_path().as_str(), name.field), ("/v1/secret/data/llm/openai", "key"));
        for wrong in [
            "", "a", "a/b", "a#b", "/b#c", "a/#c", "a/b#", "a/../b#c", "a//b#c", "a/b?c#d", "a/b%2e#c",
            "a/b c#d",
        ] {
            assert_eq!(Name::parse(wrong).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong}");
        }
    }
}
