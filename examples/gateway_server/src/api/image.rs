use agentscale::core::llm::Image;

use super::error::ApiError;

const TYPES: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp"];

/// An image by its address: where it is found, or all of it as `data:image/png;base64,…`.
pub(crate) fn image(url: &str, param: &str) -> Result<Image, ApiError> {
    let refused = |message: &'static str| ApiError::invalid_param(param, message);
    let Some(inline) = url.strip_prefix("data:") else {
        let is_address = url.starts_with("https://") || url.starts_with("http://");
        return if is_address {
            Ok(Image::url(url))
        } else {
            Err(refused("An image's address begins with https:// or is a data URL."))
        };
    };
    let (media_type, base64) =
        inline.split_once(";base64,").ok_or_else(|| refused("A data URL holds base64."))?;
    if !TYPES.contains(&media_type) {
        return Err(refused("Images are of the types image/png, image/jpeg, image/gif and image/webp."));
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if base64.is_empty() || !base64.bytes().all(is_base64) {
        return Err(refused("The image is not in base64."));
    }
    Ok(Image::Inline { media_type: media_type.to_owned(), base64: base64.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_stands_in_the_request_or_elsewhere() {
        let inline = Image::Inline { media_type: "image/png".to_owned(), base64: "aGk=".into() };
        assert_eq!(image("data:image/png;base64,aGk=", "url").unwrap(), inline);
        assert_eq!(image("https://host/a.png", "url").unwrap(), Image::url("https://host/a.png"));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for url in [
            "",
            "file:///etc/passwd",
            "data:image/png,x",
            "data:text/html;base64,aGk=",
            "data:image/png;base64,a b",
        ] {
            assert!(image(url, "url").is_err(), "{url}");
        }
    }
}
