//! Constrained output over llguidance: a factory per model, a compiled grammar per source, a
//! matcher per sequence.

use crate::schema::{prepare, SchemaLimits};
use crate::stream::{byte_level, fallback_byte};
use crate::tokenizer::TbTokenizer;
use crate::{
    guard, memory, panic_text, quietly, refuse, release, text_view, view, Failure, Outcome,
    TbBytes, TB_BUSY, TB_LIMIT,
};
use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::Value as Json;
use std::os::raw::c_int;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{mpsc, Arc};
use std::time::Duration;
use tokenizers::Tokenizer;
use toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

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

/// As in the header.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TbGrammarLimits {
    source_bytes_max: u64,
    schema_depth_max: u64,
    schema_count_max: u64,
    grammar_symbols_max: u64,
    compile_fuel: u64,
    compile_bytes_max: u64,
    compile_ms_max: u64,
    late_compiles_max: u32,
    row_items_max: u32,
    step_fuel: u64,
    step_items_max: u64,
    lexer_states_max: u64,
}

/// Grammars nest by the references in them, and llguidance follows those by recursion. Address
/// space only: what is not used is never touched.
const COMPILE_STACK_BYTES: usize = 1 << 29;

struct Compiler {
    factory: ParserFactory,
    limits: TbGrammarLimits,
    /// Compilations that nobody waits for any more.
    late: AtomicU32,
}

pub struct TbGrammarFactory(Arc<Compiler>);

/// Tokens that are looked at together: blanks, and what may stand in a string, by its length, which
/// helps where a string has a limit (a mask near it takes two thirds of the time).
fn slices() -> Vec<String> {
    let mut out = vec![r"[\x20\x0A\x0D\x09]+".to_string()];
    for length in [2, 4, 6, 8, 10, 15, 20, 30] {
        out.push(format!(r#"[^"\\\x00-\x1F\x7F]{{1,{length}}}"#));
    }
    out.push(r#"[^"\\\x00-\x1F\x7F]+"#.to_string());
    out
}

fn make_factory(
    tokenizer: &TbTokenizer,
    logits: u32,
    eos: &[u32],
    limits: TbGrammarLimits,
) -> Outcome<TbGrammarFactory> {
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
    let mut factory =
        ParserFactory::new(&environment, InferenceCapabilities::default(), &slices())?;
    factory.quiet();
    let parser = factory.limits_mut();
    parser.verbose_errors = false; // else an error quotes the whole grammar
    parser.max_items_in_row = limits.row_items_max as usize;
    parser.initial_lexer_fuel = limits.compile_fuel;
    parser.step_lexer_fuel = limits.step_fuel;
    parser.step_max_items = limits.step_items_max as usize;
    parser.max_lexer_states = limits.lexer_states_max as usize;
    parser.max_grammar_size = limits.grammar_symbols_max as usize;
    Ok(TbGrammarFactory(Arc::new(Compiler { factory, limits, late: AtomicU32::new(0) })))
}

#[derive(Clone)]
struct Source {
    kind: c_int,
    text: String,
    whitespace: String,
}

fn schema_of(source: &Source, limits: &TbGrammarLimits) -> Outcome<Json> {
    let text = if source.kind == 4 { "{\"type\":\"object\"}" } else { &source.text };
    let limits =
        SchemaLimits { depth: limits.schema_depth_max as usize, count: limits.schema_count_max };
    prepare(text, &source.whitespace, &limits)
}

/// The whole answer is matched anyway, and anchors are not known to the compiler.
fn unanchored(regex: &str) -> &str {
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    match regex.strip_suffix('$') {
        Some(rest) if rest.bytes().rev().take_while(|it| *it == b'\\').count() % 2 == 0 => rest,
        _ => regex,
    }
}

fn grammar_of(source: &Source, limits: &TbGrammarLimits) -> Outcome<TopLevelGrammar> {
    Ok(match source.kind {
        0 | 4 => TopLevelGrammar::from_json_schema(schema_of(source, limits)?),
        1 => TopLevelGrammar::from_regex(unanchored(&source.text)),
        2 => TopLevelGrammar::from_lark(source.text.clone()),
        3 => {
            let choices: Vec<String> = serde_json::from_str(&source.text)?;
            if choices.is_empty() {
                return refuse("a choice needs at least one string");
            }
            let quoted: Result<Vec<_>, _> = choices.iter().map(serde_json::to_string).collect();
            // One terminal: thousands of rules would be thousands of ways to read the text so far.
            TopLevelGrammar::from_lark(format!("start: CHOICE\nCHOICE: {}", quoted?.join(" | ")))
        }
        other => return refuse(format!("no grammar kind {other}")),
    })
}

pub struct TbMatcher {
    inner: Matcher,
    ids: usize,
    bytes: usize,
}

/// The compiler's hint names an option that no client has.
fn in_our_words(text: String) -> String {
    if text.contains("coerce_one_of") {
        return "'oneOf': its options are not sure to exclude each other; tell them apart by a \
                required string property with 'const', or use 'anyOf'"
            .into();
    }
    text
}

fn compile(compiler: &Compiler, source: &Source) -> Outcome<TbMatcher> {
    let before = memory::held();
    let grammar = grammar_of(source, &compiler.limits)?;
    let mut inner = Matcher::new(compiler.factory.create_parser(grammar));
    if let Some(text) = inner.get_error() {
        return refuse(in_our_words(text));
    }
    // The first mask is every sequence's first: made once, and refused here when it is empty.
    let mask = inner.compute_mask_or_eos()?;
    if mask.is_zero() {
        return refuse("no token of this model can begin an answer");
    }
    let ids = compiler.factory.tok_env().tok_trie().vocab_size();
    let bytes = memory::held().wrapping_sub(before).max(0) as usize;
    if bytes as u64 > compiler.limits.compile_bytes_max {
        return refuse(format!("the compiled grammar takes {bytes} bytes"));
    }
    Ok(TbMatcher { inner, ids, bytes })
}

/// On a thread of its own: for the stack, and because nothing but a limit of time is sure to end
/// it. One that is late goes on alone and its result is dropped; a few at once, no more.
fn compile_in_time(compiler: &Arc<Compiler>, source: Source) -> Outcome<TbMatcher> {
    let late = |status, text: &str| Err(Failure { status, text: text.into() });
    let limits = &compiler.limits;
    if source.text.len() as u64 > limits.source_bytes_max {
        return refuse(format!(
            "{} bytes, the limit is {}",
            source.text.len(),
            limits.source_bytes_max
        ));
    }
    if compiler.late.load(Ordering::Acquire) >= limits.late_compiles_max {
        return late(TB_BUSY, "too many grammars are compiled that take too long; try again later");
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let ended = Arc::new(AtomicBool::new(false)); // by whoever is first: the work, or the wait
    let (own, own_ended) = (compiler.clone(), ended.clone());
    let work = move || {
        let made = catch_unwind(AssertUnwindSafe(|| compile(&own, &source)))
            .unwrap_or_else(|it| refuse(format!("cannot be compiled: {}", panic_text(it))));
        if own_ended.swap(true, Ordering::AcqRel) {
            own.late.fetch_sub(1, Ordering::AcqRel);
        } else {
            let _ = sender.send(made); // there is room for one, and it is waited for
        }
    };
    let thread = std::thread::Builder::new().stack_size(COMPILE_STACK_BYTES).spawn(work)?;
    if let Ok(made) = receiver.recv_timeout(Duration::from_millis(limits.compile_ms_max)) {
        let _ = thread.join(); // what it keeps to itself is freed, too
        return made;
    }
    compiler.late.fetch_add(1, Ordering::AcqRel);
    if ended.swap(true, Ordering::AcqRel) {
        compiler.late.fetch_sub(1, Ordering::AcqRel);
        let made = receiver.recv()?;
        let _ = thread.join();
        return made;
    }
    late(TB_LIMIT, &format!("took longer than {} ms to compile", limits.compile_ms_max))
}

#[no_mangle]
pub unsafe extern "C" fn tb_grammar_factory_new(
    tokenizer: *const TbTokenizer,
    logits: u32,
    eos: *const u32,
    eos_count: usize,
    limits: *const TbGrammarLimits,
    out: *mut *mut TbGrammarFactory,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let factory = make_factory(&*tokenizer, logits, view(eos, eos_count), *limits)?;
        *out = Box::into_raw(Box::new(factory));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_grammar_factory_free(factory: *mut TbGrammarFactory) {
    release(factory);
}

/// As in the header.
#[repr(C)]
pub struct TbGrammarSource {
    kind: c_int,
    text: *const u8,
    size: usize,
    whitespace: *const u8,
    whitespace_size: usize,
}

unsafe fn source_of(source: *const TbGrammarSource) -> Outcome<Source> {
    let source = &*source;
    Ok(Source {
        kind: source.kind,
        text: text_view(source.text, source.size)?.to_owned(),
        whitespace: text_view(source.whitespace, source.whitespace_size)?.to_owned(),
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_grammar_schema(
    factory: *const TbGrammarFactory,
    source: *const TbGrammarSource,
    out: *mut TbBytes,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let factory = &*factory;
        let schema = schema_of(&source_of(source)?, &factory.0.limits)?;
        out.write(TbBytes::from(serde_json::to_vec(&schema)?));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_matcher_new(
    factory: *const TbGrammarFactory,
    source: *const TbGrammarSource,
    out: *mut *mut TbMatcher,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let made = compile_in_time(&(*factory).0, source_of(source)?)?;
        *out = Box::into_raw(Box::new(made));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_matcher_bytes(matcher: *const TbMatcher) -> usize {
    (*matcher).bytes
}

#[no_mangle]
pub unsafe extern "C" fn tb_matcher_clone(
    matcher: *const TbMatcher,
    out: *mut *mut TbMatcher,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let from = &*matcher;
        let copy = TbMatcher { inner: from.inner.deep_clone(), ids: from.ids, bytes: from.bytes };
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

// What compute_mask_or_eos says of `token`. Where bytes are forced, that is the token which the
// tokenizer would take for them, whatever else spells them.
fn allows(matcher: &mut TbMatcher, token: u32) -> Outcome<bool> {
    if token as usize >= matcher.ids {
        return Ok(false);
    }
    if matcher.inner.is_stopped() {
        return Ok(matcher.inner.compute_mask_or_eos()?.is_allowed(token));
    }
    match matcher.inner.compute_ff_tokens().first() {
        Some(&forced) => Ok(forced == token),
        None => Ok(matcher.inner.validate_tokens(&[token])? == 1),
    }
}

#[no_mangle]
pub unsafe extern "C" fn tb_matcher_allows(
    matcher: *mut TbMatcher,
    token: u32,
    out: *mut bool,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        *out = allows(&mut *matcher, token)?;
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
