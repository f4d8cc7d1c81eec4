//! How many bytes of text one token stands for at most, so that a text that is far too long is
//! refused before it is tokenized.

use serde_json::Value as Json;
use tokenizers::models::bpe::BPE;
use tokenizers::{Model, ModelWrapper, NormalizedString, Normalizer, Tokenizer};

/// Nothing where a step may drop text, or make it shorter by an unknown factor.
pub fn bytes_per_token(tokenizer: &Tokenizer) -> Option<usize> {
    let normalizer = serde_json::to_value(tokenizer.get_normalizer()).ok()?;
    let shrink = shrink_of(&normalizer)?;
    let steps = serde_json::to_value(tokenizer.get_pre_tokenizer()).ok()?;
    let byte_level = keeps_text(&steps)?;
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
    if !knows_every_text(model, byte_level) {
        return None;
    }
    let size = |token: &String| if byte_level { token.chars().count() } else { token.len() };
    let mut most = model.get_vocab().keys().map(size).max()?;
    for token in tokenizer.get_added_tokens_decoder().values() {
        if token.lstrip || token.rstrip {
            return None; // takes white space of any length
        }
        most = most.max(token.content.len());
        if token.normalized {
            // Found in normalized text, as its own normalized form.
            let mut content = NormalizedString::from(token.content.as_str());
            if let Some(normalizer) = tokenizer.get_normalizer() {
                normalizer.normalize(&mut content).ok()?;
            }
            most = most.max(content.get().len());
        }
    }
    most.checked_mul(shrink).filter(|most| *most > 0)
}

/// A text is at most this many times longer than what the normalizer makes of it.
fn shrink_of(step: &Json) -> Option<usize> {
    if step.is_null() {
        return Some(1);
    }
    match step["type"].as_str()? {
        "Sequence" => {
            let steps = step["normalizers"].as_array()?;
            steps.iter().try_fold(1usize, |all, step| all.checked_mul(shrink_of(step)?))
        }
        "Prepend" => Some(1),
        "Replace" => {
            let found = step["pattern"]["String"].as_str()?.len();
            match step["content"].as_str()?.len() {
                0 => None,
                made => Some(found.div_ceil(made).max(1)),
            }
        }
        // In UTF-8 a character is at most 3 times longer than its canonical decomposition, and
        // that at most 3 times longer than the character (Unicode UAX 15, stable).
        "NFD" => Some(3),
        "NFC" => Some(9),
        _ => None,
    }
}

/// Whether the steps make characters of GPT-2's alphabet of bytes; nothing when one drops text.
fn keeps_text(step: &Json) -> Option<bool> {
    if step.is_null() {
        return Some(false);
    }
    match step["type"].as_str()? {
        "Sequence" => {
            let mut byte_level = false;
            for step in step["pretokenizers"].as_array()? {
                let one = keeps_text(step)?;
                if byte_level && (one || step["type"] == "Metaspace") {
                    return None; // bytes written twice
                }
                byte_level |= one;
            }
            Some(byte_level)
        }
        "ByteLevel" => Some(true),
        "Metaspace" | "Digits" => Some(false),
        "Split" | "Punctuation" if step["behavior"] != "Removed" => Some(false),
        _ => None,
    }
}

/// Whether no part of a text can be left out or become one unknown token of any length.
fn knows_every_text(model: &BPE, byte_level: bool) -> bool {
    let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    if !empty(&model.continuing_subword_prefix) || !empty(&model.end_of_word_suffix) {
        return false;
    }
    let knows = |token: &str| model.token_to_id(token).is_some();
    if byte_level {
        return super::stream::alphabet().all(|c| knows(c.encode_utf8(&mut [0; 4])));
    }
    model.byte_fallback && (0..=255u8).all(|byte| knows(&format!("<{byte:#04X}>")))
}
