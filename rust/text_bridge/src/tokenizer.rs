//! Tokenizer: load, encode, decode.

use crate::fast_encode::FastEncoder;
use crate::{guard, quietly, refuse, release, text_view, view, Failure, Outcome, TbBytes, TbIds};
use crate::{stream, token_span, TB_LIMIT};
use serde_json::Value;
use std::os::raw::c_int;
use std::sync::Arc;
use tokenizers::pre_tokenizer::OffsetType;
use tokenizers::utils::truncation::TruncationDirection;
use tokenizers::{AddedToken, Encoding, Model, PreTokenizer, Tokenizer};

/// How many times longer a file's steps may make a text. Real ones stay below 16.
const GROWTH_MAX: f64 = 64.0;

pub struct TbTokenizer {
    pub inner: Arc<Tokenizer>,
    /// Highest id + 1. Not the number of entries: ids may have gaps.
    pub vocabulary: u32,
    /// Bytes of text that one token stands for at most; 0 when that is not known.
    bytes_per_token: usize,
    /// The decoder's kind, when it cannot be streamed.
    unstreamed: Option<String>,
    pub decoding: Arc<stream::Decoding>,
    fast: Option<FastEncoder>,
}

/// A token that a file beside tokenizer.json names.
struct Named {
    token: AddedToken,
    /// The id it must have; absent, it may be missing, and is then left out.
    id: Option<u32>,
    /// Its flags count even when tokenizer.json has it as an added token.
    replaces: bool,
    /// It is the bos_token or the like: special, whatever its flags, where they are taken.
    named: bool,
}

fn named_tokens(json: &[u8]) -> Outcome<Vec<Named>> {
    let list: Vec<Value> = serde_json::from_slice(json)?;
    let read = |one: Value| -> Outcome<Named> {
        let id = one["id"].as_u64().map(|id| u32::try_from(id).unwrap_or(u32::MAX));
        let (replaces, named) = (one["replaces"] == true, one["named"] == true);
        Ok(Named { token: serde_json::from_value(one)?, id, replaces, named })
    };
    list.into_iter().map(read).collect()
}

/// As transformers does after loading, for tokens that have an id already. Those that would get a
/// new one are not added: the model has no row for them.
fn add_named(inner: &mut Tokenizer, named: Vec<Named>) -> Outcome<()> {
    let mut added = Vec::new();
    for Named { mut token, id, replaces, named } in named {
        let found = inner.token_to_id(&token.content);
        if let (Some(id), true) = (id, found != id) {
            let there = found.map_or("no token".into(), |found| format!("id {found}"));
            let content = &token.content;
            return refuse(format!("token '{content}' of id {id}: tokenizer.json has {there}"));
        }
        let Some(found) = found else { continue };
        let same = match inner.get_added_vocabulary().get_added_tokens_decoder().get(&found) {
            Some(known) => !replaces || *known == token,
            None => false,
        };
        if !same {
            token.special |= named;
            added.push(token);
        }
    }
    if !added.is_empty() {
        inner.add_tokens(added)?;
    }
    Ok(())
}

/// The crate's encode_fast up to its post processor, which gives up when there are more than `most`
/// tokens.
fn bare_encoding(inner: &Tokenizer, text: &str, most: usize) -> Outcome<Encoding> {
    let normalizer = inner.get_normalizer();
    let mut parts = inner.get_added_vocabulary().extract_and_normalize(normalizer, text);
    if let Some(split) = inner.get_pre_tokenizer() {
        split.pre_tokenize(&mut parts)?;
    }
    let limit = (most.saturating_add(1), TruncationDirection::Right);
    inner.get_model().tokenize_in_pretokenized(&mut parts, Some(limit))?;
    // Offsets are left out: nobody here reads them.
    Ok(parts.into_encoding(None, 0, OffsetType::None)?)
}

/// Of a text that the crate takes whole; at most `most` and some more.
pub fn model_ids(inner: &Tokenizer, text: &str, most: usize) -> Outcome<Vec<u32>> {
    Ok(bare_encoding(inner, text, most)?.get_ids().to_vec())
}

fn encode(this: &TbTokenizer, text: &str, add_special: bool, most: usize) -> Outcome<Vec<u32>> {
    let too_many = || Failure {
        status: TB_LIMIT,
        text: format!("a text of {} bytes is more than {most} tokens", text.len()),
    };
    // Divided, so that nothing overflows; a text of exactly the most passes.
    if this.bytes_per_token > 0 && text.len() / this.bytes_per_token > most {
        return Err(too_many());
    }
    let inner = &this.inner;
    let fast = this.fast.as_ref().and_then(|fast| fast.encode(inner, text, add_special, most));
    let ids = match fast {
        Some(ids) => ids?,
        None => {
            let encoding = bare_encoding(inner, text, most)?;
            if encoding.len() > most {
                return Err(too_many());
            }
            inner.post_process(encoding, None, add_special)?.get_ids().to_vec()
        }
    };
    if ids.len() > most {
        return Err(too_many());
    }
    Ok(ids)
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

fn load(json: &[u8], named: &[u8], vocabulary_max: u32) -> Outcome<TbTokenizer> {
    let mut inner = Tokenizer::from_bytes(json)?;
    if !named.is_empty() {
        add_named(&mut inner, named_tokens(named)?)?;
    }
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
    let bytes_per_token = token_span::bytes_per_token(&inner).unwrap_or(0);
    let unstreamed = stream::unstreamed(&inner)?;
    let inner = Arc::new(inner);
    let decoding = Arc::new(stream::Decoding::new(inner.clone(), vocabulary)?);
    let fast = FastEncoder::new(&inner);
    Ok(TbTokenizer { inner, vocabulary, bytes_per_token, unstreamed, decoding, fast })
}

#[no_mangle]
pub unsafe extern "C" fn tb_tokenizer_new(
    json: *const u8,
    size: usize,
    named: *const u8,
    named_size: usize,
    vocabulary_max: u32,
    out: *mut *mut TbTokenizer,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let made = load(view(json, size), view(named, named_size), vocabulary_max)?;
        *out = Box::into_raw(Box::new(made));
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
pub unsafe extern "C" fn tb_tokenizer_bytes_per_token(tokenizer: *const TbTokenizer) -> usize {
    (*tokenizer).bytes_per_token
}

#[no_mangle]
pub unsafe extern "C" fn tb_tokenizer_unstreamed(
    tokenizer: *const TbTokenizer,
    kind: *mut TbBytes,
) -> bool {
    quietly(false, || match &(*tokenizer).unstreamed {
        Some(name) => {
            kind.write(name.clone().into_bytes().into());
            true
        }
        None => false,
    })
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
    tokens_max: usize,
    out: *mut TbIds,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        out.write(encode(&*tokenizer, text_view(text, size)?, add_special, tokens_max)?.into());
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
