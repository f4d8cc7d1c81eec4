//! Tokenizer: load, encode, decode.

use crate::{guard, quietly, refuse, release, text_view, view, Outcome, TbBytes, TbIds};
use std::os::raw::c_int;
use std::sync::Arc;
use tokenizers::Tokenizer;

pub struct TbTokenizer {
    pub inner: Arc<Tokenizer>,
    /// Highest id + 1. Not the number of entries: ids may have gaps.
    pub vocabulary: u32,
}

fn load(json: &[u8], vocabulary_max: u32) -> Outcome<TbTokenizer> {
    let mut inner = Tokenizer::from_bytes(json)?;
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
