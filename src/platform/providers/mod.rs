//! What we do not own: speech to text and language models. Providers know no product.

pub mod llm;
pub mod speech;
