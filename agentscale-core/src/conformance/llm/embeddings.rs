//! Vectors of texts.

use crate::llm::{EmbeddingRequest, LlmProvider};
use crate::{Error, ErrorKind};

/// There is one vector a text, all of one length; without embeddings the request is `unsupported`.
pub async fn each_text_has_a_vector_or_embedding_is_unsupported<P: LlmProvider>(provider: &P) {
    let embeddings = provider.embed(texts(&["lease", "owner", "epoch"])).await;
    if !provider.capabilities().embeddings {
        assert_eq!(
            embeddings.as_ref().map_err(Error::kind).err(),
            Some(ErrorKind::Unsupported),
            "{embeddings:?}"
        );
        return;
    }
    let embeddings = embeddings.expect("vectors");
    assert_eq!(embeddings.vectors.len(), 3);
    let length = embeddings.vectors[0].len();
    assert!(length > 0 && embeddings.vectors.iter().all(|vector| vector.len() == length));
    assert!(embeddings.vectors.iter().flatten().all(|number| number.is_finite()));
    assert!(!embeddings.model.is_empty());
}

/// A text's vector does not depend on its place or on the texts beside it, up to the rounding of batches.
pub async fn one_text_has_one_vector_in_any_company<P: LlmProvider>(provider: &P) {
    if !provider.capabilities().embeddings {
        return;
    }
    let together = provider.embed(texts(&["lease", "owner", "lease"])).await.expect("vectors").vectors;
    let alone = provider.embed(texts(&["owner"])).await.expect("vectors").vectors;
    assert!(cosine(&together[0], &together[2]) > 0.999);
    assert!(cosine(&together[1], &alone[0]) > 0.999);
    assert!(cosine(&together[0], &together[1]) < 0.999, "other texts have other vectors");
}

/// Nothing to embed is no error.
pub async fn no_texts_have_no_vectors<P: LlmProvider>(provider: &P) {
    if provider.capabilities().embeddings {
        assert!(provider.embed(texts(&[])).await.expect("no vectors").vectors.is_empty());
    }
}

fn texts(texts: &[&str]) -> EmbeddingRequest {
    EmbeddingRequest::new(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
