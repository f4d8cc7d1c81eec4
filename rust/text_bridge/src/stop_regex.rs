//! Regexes that end an answer, looked for in text that comes in pieces.
//!
//! A search carries one anchored run of an automaton for each place where a match may have begun.
//! Runs that are in the same state have the same future, so of these the one that began first is
//! enough: there are never more runs than states.

use crate::{guard, quietly, refuse, release, text_view, view, Outcome, TbBytes};
use regex_automata::dfa::{dense, Automaton, StartKind};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::util::syntax;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::{Hir, Look};
use std::os::raw::c_int;
use std::sync::Arc;

type Dfa = dense::DFA<Vec<u32>>;

pub struct TbStopRegex {
    dfa: Arc<Dfa>,
}

/// As in the header.
#[repr(C)]
pub struct TbPattern {
    text: *const u8,
    size: usize,
}

/// As in the header.
#[repr(C)]
pub struct TbStopFound {
    found: bool,
    pattern: u32,
    begin: u64,
    end: u64,
    open: u64,
}

/// What a pattern says of the text behind it is not known while the text comes.
fn check(hir: &Hir, index: usize) -> Outcome<()> {
    let allowed = [Look::Start, Look::StartLF, Look::StartCRLF];
    if hir.properties().look_set().iter().any(|look| !allowed.contains(&look)) {
        return refuse(format!(
            "pattern {index}: assertions about what follows ($, \\b and the like) cannot be kept \
             in a stream"
        ));
    }
    if hir.properties().minimum_len().unwrap_or(0) == 0 {
        return refuse(format!("pattern {index} matches the empty text, or nothing"));
    }
    Ok(())
}

fn compile(patterns: &[&str], bytes_max: usize) -> Outcome<Dfa> {
    let mut parsed = Vec::with_capacity(patterns.len());
    for (index, pattern) in patterns.iter().enumerate() {
        let hir = syntax::parse(pattern)?;
        check(&hir, index)?;
        parsed.push(hir);
    }
    let nfa = thompson::Compiler::new()
        .configure(thompson::Config::new().nfa_size_limit(Some(bytes_max)))
        .build_many_from_hir(&parsed)?;
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .match_kind(MatchKind::All)
        .dfa_size_limit(Some(bytes_max))
        .determinize_size_limit(Some(bytes_max));
    Ok(dense::Builder::new().configure(config).build_from_nfa(&nfa)?)
}

struct Run {
    state: StateID,
    begin: u64,
}

pub struct TbStopSearch {
    dfa: Arc<Dfa>,
    runs: Vec<Run>,
    /// Of each state the last byte at which a run was in it.
    seen: Vec<u64>,
    position: u64,
    previous: Option<u8>,
}

impl TbStopSearch {
    fn new(dfa: Arc<Dfa>) -> Self {
        TbStopSearch { dfa, runs: Vec::new(), seen: Vec::new(), position: 0, previous: None }
    }

    /// The run that began first of those that match, and its pattern.
    fn advance(&mut self, byte: u8) -> Outcome<Option<(u64, u32)>> {
        let dfa = self.dfa.clone();
        if byte & 0xC0 != 0x80 {
            let config = start::Config::new().anchored(Anchored::Yes).look_behind(self.previous);
            let state = dfa.start_state(&config)?;
            self.runs.push(Run { state, begin: self.position });
        }
        self.position += 1;
        self.previous = Some(byte);
        let (seen, now) = (&mut self.seen, self.position);
        let mut found = None;
        self.runs.retain_mut(|run| {
            run.state = dfa.next_state(run.state, byte);
            if dfa.is_dead_state(run.state) || dfa.is_quit_state(run.state) {
                return false;
            }
            let index = run.state.as_usize() >> dfa.stride2();
            if index >= seen.len() {
                seen.resize(index + 1, 0);
            }
            if std::mem::replace(&mut seen[index], now) == now {
                return false;
            }
            // A match is told one step late: this asks for it now.
            let end = dfa.next_eoi_state(run.state);
            if found.is_none() && dfa.is_match_state(end) {
                found = Some((run.begin, dfa.match_pattern(end, 0).as_u32()));
            }
            true
        });
        Ok(found)
    }

    fn push(&mut self, text: &[u8], armed: bool) -> Outcome<TbStopFound> {
        for byte in text {
            if let (Some((begin, pattern)), true) = (self.advance(*byte)?, armed) {
                let end = self.position;
                return Ok(TbStopFound { found: true, pattern, begin, end, open: end });
            }
        }
        let open = self.runs.first().map_or(self.position, |run| run.begin);
        Ok(TbStopFound { found: false, pattern: 0, begin: 0, end: 0, open })
    }
}

/// # Safety
/// As the header says; so for all entries below.
#[no_mangle]
pub unsafe extern "C" fn tb_stop_regex_new(
    patterns: *const TbPattern,
    count: usize,
    bytes_max: usize,
    out: *mut *mut TbStopRegex,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let mut texts = Vec::with_capacity(count);
        for pattern in view(patterns, count) {
            texts.push(text_view(pattern.text, pattern.size)?);
        }
        let dfa = Arc::new(compile(&texts, bytes_max)?);
        *out = Box::into_raw(Box::new(TbStopRegex { dfa }));
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn tb_stop_regex_free(regex: *mut TbStopRegex) {
    release(regex);
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn tb_stop_search_new(
    regex: *const TbStopRegex,
    out: *mut *mut TbStopSearch,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        *out = Box::into_raw(Box::new(TbStopSearch::new((*regex).dfa.clone())));
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn tb_stop_search_free(search: *mut TbStopSearch) {
    release(search);
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn tb_stop_search_push(
    search: *mut TbStopSearch,
    text: *const u8,
    size: usize,
    armed: bool,
    out: *mut TbStopFound,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        *out = (*search).push(view(text, size), armed)?;
        Ok(())
    })
}

/// # Safety
/// As above.
#[no_mangle]
pub unsafe extern "C" fn tb_stop_search_cut(search: *mut TbStopSearch) {
    quietly((), || (*search).runs.clear());
}
