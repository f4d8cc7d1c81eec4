//! Constrained output over llguidance: a factory per model, a matcher per sequence.

use crate::stream::{byte_level, fallback_byte};
use crate::tokenizer::TbTokenizer;
use crate::{guard, quietly, refuse, release, text_view, view, Outcome, TbBytes};
use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::Value as Json;
use std::os::raw::c_int;
use std::sync::Arc;
use tokenizers::Tokenizer;
use toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

/// llguidance's view of the tokenizer. (Its own adapter brings another version of the crate.)
struct Environment {
    trie: TokTrie,
    tokenizer: Arc<Tokenizer>,
    /// SentencePiece puts a space before every text it is given, so its pieces do not add up.
    canonical: bool,
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }
    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        if !self.canonical {
            return self.trie.greedy_tokenize(bytes);
        }
        self.trie.tokenize_with_greedy_fallback(bytes, |text| {
            match self.tokenizer.encode_fast(text, false) {
                Ok(encoding) => encoding.get_ids().to_vec(),
                Err(_) => Vec::new(),
            }
        })
    }
    fn tokenize_is_canonical(&self) -> bool {
        self.canonical
    }
}

/// How the decoder spells bytes: (GPT-2's alphabet, byte fallback tokens, the mark of a space).
fn spelling(decoder: &Json, found: &mut (bool, bool, Option<String>)) {
    match decoder["type"].as_str() {
        Some("ByteLevel") => found.0 = true,
        Some("ByteFallback") => found.1 = true,
        Some("Metaspace") => found.2 = decoder["replacement"].as_str().map(str::to_owned),
        Some("Replace") if decoder["content"] == " " => {
            found.2 = decoder["pattern"]["String"].as_str().map(str::to_owned)
        }
        Some("Sequence") => {
            for step in decoder["decoders"].as_array().into_iter().flatten() {
                spelling(step, found);
            }
        }
        _ => {}
    }
}

/// The bytes of every id; special tokens carry toktrie's mark. Second: GPT-2's alphabet is used.
fn token_bytes(tokenizer: &TbTokenizer, count: usize) -> Outcome<(Vec<Vec<u8>>, bool)> {
    let decoder = serde_json::to_value(tokenizer.inner.get_decoder())?;
    let mut found = (false, false, None);
    spelling(&decoder, &mut found);
    let (alphabet, fallback, space) = found;
    if !alphabet && !fallback {
        return refuse("constrained output needs a tokenizer of bytes (ByteLevel or ByteFallback)");
    }
    let added = tokenizer.inner.get_added_tokens_decoder();
    let mut bytes = vec![Vec::new(); count];
    for (token, id) in tokenizer.inner.get_vocab(true) {
        let Some(entry) = bytes.get_mut(id as usize) else { continue };
        *entry = match added.get(&id) {
            Some(known) if known.special || (token.starts_with('<') && token.ends_with('>')) => {
                let mut marked = vec![TokTrie::SPECIAL_TOKEN_MARKER];
                marked.extend_from_slice(token.as_bytes());
                marked
            }
            Some(_) => token.into_bytes(),
            None if alphabet => byte_level(&token),
            None => match (fallback_byte(&token), &space) {
                (Some(byte), _) => vec![byte],
                (None, Some(mark)) => token.replace(mark.as_str(), " ").into_bytes(),
                (None, None) => token.into_bytes(),
            },
        };
    }
    Ok((bytes, alphabet))
}

pub struct TbGrammarFactory(ParserFactory);

fn make_factory(tokenizer: &TbTokenizer, logits: u32, eos: &[u32]) -> Outcome<TbGrammarFactory> {
    if logits < tokenizer.vocabulary {
        return refuse(format!("{logits} logits for {} token ids", tokenizer.vocabulary));
    }
    if eos.is_empty() || eos.iter().any(|id| *id >= logits) {
        return refuse(format!("ids {eos:?} cannot end an answer of {logits} token ids"));
    }
    let (bytes, canonical) = token_bytes(tokenizer, logits as usize)?;
    let trie = TokTrie::from(&TokRxInfo::new(logits, eos[0]), &bytes).with_eos_tokens(eos);
    let environment: TokEnv =
        Arc::new(Environment { trie, tokenizer: tokenizer.inner.clone(), canonical });
    let mut factory = ParserFactory::new_simple(&environment)?;
    factory.quiet();
    factory.limits_mut().verbose_errors = false; // else an error quotes the whole grammar
    Ok(TbGrammarFactory(factory))
}

fn grammar_of(kind: c_int, source: &str) -> Outcome<TopLevelGrammar> {
    Ok(match kind {
        0 => TopLevelGrammar::from_tagged_str("json_schema", source)?,
        1 => TopLevelGrammar::from_regex(source),
        2 => TopLevelGrammar::from_lark(source.into()),
        3 => {
            let choices: Vec<String> = serde_json::from_str(source)?;
            if choices.is_empty() {
                return refuse("a choice needs at least one string");
            }
            let quoted: Result<Vec<_>, _> = choices.iter().map(serde_json::to_string).collect();
            TopLevelGrammar::from_lark(format!("start: {}", quoted?.join(" | ")))
        }
        4 => TopLevelGrammar::from_tagged_str("json_object", "")?,
        other => return refuse(format!("no grammar kind {other}")),
    })
}

pub struct TbMatcher {
    inner: Matcher,
    ids: usize,
}

#[no_mangle]
pub unsafe extern "C" fn tb_grammar_factory_new(
    tokenizer: *const TbTokenizer,
    logits: u32,
    eos: *const u32,
    eos_count: usize,
    out: *mut *mut TbGrammarFactory,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let factory = make_factory(&*tokenizer, logits, view(eos, eos_count))?;
        *out = Box::into_raw(Box::new(factory));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_grammar_factory_free(factory: *mut TbGrammarFactory) {
    release(factory);
}

#[no_mangle]
pub unsafe extern "C" fn tb_matcher_new(
    factory: *const TbGrammarFactory,
    kind: c_int,
    source: *const u8,
    size: usize,
    out: *mut *mut TbMatcher,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let factory = &(*factory).0;
        let grammar = grammar_of(kind, text_view(source, size)?)?;
        let inner = Matcher::new(factory.create_parser(grammar));
        if let Some(text) = inner.get_error() {
            return refuse(text);
        }
        let ids = factory.tok_env().tok_trie().vocab_size();
        *out = Box::into_raw(Box::new(TbMatcher { inner, ids }));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_matcher_clone(
    matcher: *const TbMatcher,
    out: *mut *mut TbMatcher,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let copy = TbMatcher { inner: (*matcher).inner.deep_clone(), ids: (*matcher).ids };
        *out = Box::into_raw(Box::new(copy));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_matcher_free(matcher: *mut TbMatcher) {
    release(matcher);
}

#[no_mangle]
pub unsafe extern "C" fn tb_matcher_mask(
    matcher: *mut TbMatcher,
    words: *mut u32,
    word_count: usize,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let need = (*matcher).ids.div_ceil(32);
        if word_count < need {
            return refuse(format!("a mask of {word_count} words, {need} are needed"));
        }
        let allowed = (*matcher).inner.compute_mask_or_eos()?;
        let out = std::slice::from_raw_parts_mut(words, word_count);
        out[..need].copy_from_slice(&allowed.as_slice()[..need]);
        out[need..].fill(0);
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_matcher_commit(
    matcher: *mut TbMatcher,
    token: u32,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        (*matcher).inner.consume_token(token)?;
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_matcher_is_stopped(matcher: *const TbMatcher) -> bool {
    quietly(true, || (*matcher).inner.is_stopped())
}
