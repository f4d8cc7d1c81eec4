//! Tokenizer: load, encode, decode.

use crate::{guard, quietly, refuse, release, text_view, view, Outcome, TbBytes, TbIds};
use serde_json::Value;
use std::os::raw::c_int;
use std::sync::Arc;
use tokenizers::Tokenizer;

/// How many times longer a file's steps may make a text. Real ones stay below 16.
const GROWTH_MAX: f64 = 64.0;

pub struct TbTokenizer {
    pub inner: Arc<Tokenizer>,
    /// Highest id + 1. Not the number of entries: ids may have gaps.
    pub vocabulary: u32,
}

/// How many times longer the steps of a normalizer or decoder can make a text, at most: a chain of
/// replacements by longer texts would take all memory for a prompt of one letter.
fn growth(steps: &Value) -> f64 {
    let text_of = |value: Option<&Value>| value.and_then(Value::as_str).map_or(0, str::len) as f64;
    match steps {
        Value::Array(items) => items.iter().map(growth).product(),
        Value::Object(fields) => {
            let own = match fields.get("type").and_then(Value::as_str) {
                Some("Replace") => {
                    let content = text_of(fields.get("content"));
                    // A regular expression may match nothing, before every byte.
                    match text_of(fields.get("pattern").and_then(|p| p.get("String"))) {
                        0.0 => 1.0 + content,
                        found => (content / found).max(1.0),
                    }
                }
                Some("Prepend") => 1.0 + text_of(fields.get("prepend")),
                _ => 1.0,
            };
            own * fields.values().map(growth).product::<f64>()
        }
        _ => 1.0,
    }
}

fn check_growth(what: &str, steps: Value) -> Outcome<()> {
    let times = growth(&steps);
    if times > GROWTH_MAX {
        return refuse(format!("the {what} can make a text {times:.0} times longer"));
    }
    Ok(())
}

fn load(json: &[u8], vocabulary_max: u32) -> Outcome<TbTokenizer> {
    let mut inner = Tokenizer::from_bytes(json)?;
    check_growth("normalizer", serde_json::to_value(inner.get_normalizer())?)?;
    check_growth("decoder", serde_json::to_value(inner.get_decoder())?)?;
    // What a file says about cutting and filling is for batches of training data.
    inner.with_truncation(None)?;
    inner.with_padding(None);
    let vocabulary = inner.get_vocab(true).values().max().map_or(0, |id| id.saturating_add(1));
    if vocabulary > vocabulary_max {
        return refuse(format!("{vocabulary} token ids, the limit is {vocabulary_max}"));
    }
    if vocabulary == 0 {
        return refuse("the vocabulary is empty");
    }
    Ok(TbTokenizer { inner: Arc::new(inner), vocabulary })
}

#[no_mangle]
pub unsafe extern "C" fn tb_tokenizer_new(
    json: *const u8,
    size: usize,
    vocabulary_max: u32,
    out: *mut *mut TbTokenizer,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        *out = Box::into_raw(Box::new(load(view(json, size), vocabulary_max)?));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_tokenizer_free(tokenizer: *mut TbTokenizer) {
    release(tokenizer);
}

#[no_mangle]
pub unsafe extern "C" fn tb_tokenizer_vocabulary(tokenizer: *const TbTokenizer) -> u32 {
    (*tokenizer).vocabulary
}

#[no_mangle]
pub unsafe extern "C" fn tb_tokenizer_id_of(
    tokenizer: *const TbTokenizer,
    token: *const u8,
    size: usize,
) -> i64 {
    quietly(-1, || match text_view(token, size) {
        Ok(token) => (*tokenizer).inner.token_to_id(token).map_or(-1, i64::from),
        Err(_) => -1,
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_tokenizer_is_special(tokenizer: *const TbTokenizer, id: u32) -> bool {
    quietly(false, || {
        let inner = &(*tokenizer).inner;
        inner.get_added_tokens_decoder().get(&id).is_some_and(|token| token.special)
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_tokenizer_token_of(
    tokenizer: *const TbTokenizer,
    id: u32,
    out: *mut TbBytes,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || match (*tokenizer).inner.id_to_token(id) {
        Some(token) => {
            out.write(token.into_bytes().into());
            Ok(())
        }
        None => refuse(format!("no token has id {id}")),
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_tokenizer_encode(
    tokenizer: *const TbTokenizer,
    text: *const u8,
    size: usize,
    add_special: bool,
    out: *mut TbIds,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        // The fast variant leaves out offsets, which nobody here reads.
        let encoding = (*tokenizer).inner.encode_fast(text_view(text, size)?, add_special)?;
        out.write(encoding.get_ids().to_vec().into());
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_tokenizer_decode(
    tokenizer: *const TbTokenizer,
    ids: *const u32,
    count: usize,
    skip_special: bool,
    out: *mut TbBytes,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let text = (*tokenizer).inner.decode(view(ids, count), skip_special)?;
        out.write(text.into_bytes().into());
        Ok(())
    })
}
