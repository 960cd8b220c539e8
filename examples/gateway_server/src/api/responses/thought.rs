use agentscale::core::llm::{Opaque, Reasoning};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Whether the caller wants what a provider wants back with its thoughts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// The words alone.
    Summary,
    /// With `encrypted_content`, for the next request.
    Encrypted,
}

/// What a provider gave with a thought, as `encrypted_content`: whatever API it came from, and unread by the caller.
pub(super) fn seal(opaque: &Opaque) -> Option<String> {
    serde_json::to_vec(opaque).ok().map(|text| STANDARD.encode(text))
}

/// The thought of an earlier answer. What was sealed by another server is left out: no provider here would know it.
pub(super) fn unseal(text: String, sealed: Option<&str>) -> Reasoning {
    let bytes = sealed.and_then(|sealed| STANDARD.decode(sealed).ok());
    let opaque = bytes.and_then(|bytes| serde_json::from_slice::<Opaque>(&bytes).ok());
    match opaque {
        Some(Opaque { api, content, .. }) => Reasoning::new(text).with_opaque(api, content),
        None => Reasoning::new(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agentscale::core::Json;

    #[test]
    fn a_sealed_thought_comes_back_as_it_was() {
        let thought =
            Reasoning::new("hm").with_opaque("anthropic", Json::parse(r#"{"signature":"x"}"#).unwrap());
        let sealed = seal(thought.opaque.as_ref().unwrap()).unwrap();
        assert_eq!(unseal("hm".to_owned(), Some(&sealed)), thought);
    }

    #[test]
    fn a_seal_of_others_is_left_out() {
        for sealed in [None, Some(""), Some("gAAAAABn"), Some("####")] {
            assert_eq!(unseal("hm".to_owned(), sealed), Reasoning::new("hm"));
        }
    }
}
