//! Text to ids with the crate's result and without its passes over the text, for byte-level BPE
//! whose words `words` can find: added tokens are cut out, words are cut by hand, and the ids of
//! each word come from a cache or from the crate's model. A stretch around what is not ASCII goes
//! through the crate whole.

use crate::tokenizer::model_ids;
use crate::word_cache::{Key, WordCache};
use crate::words::{is_blank, Splitter};
use crate::Outcome;
use daachorse::{DoubleArrayAhoCorasick, DoubleArrayAhoCorasickBuilder, MatchKind};
use serde_json::Value as Json;
use tokenizers::{Model, ModelWrapper, Tokenizer};

const FRESH_MAX: usize = 1024; // words that one text adds to the cache

pub struct FastEncoder {
    splitter: Splitter,
    added: Option<DoubleArrayAhoCorasick<u32>>,
    cache: WordCache,
    byte_chars: Vec<char>,
    /// What the tokenizer adds by itself before and behind a text; nothing: only the crate knows.
    frame: Option<(Vec<u32>, Vec<u32>)>,
}

/// All of them, when each is found by its text alone and before anything is normalized.
fn added_tokens(tokenizer: &Tokenizer) -> Option<Vec<(String, u32)>> {
    let all = tokenizer.get_added_vocabulary().get_added_tokens_decoder();
    let raw = tokenizer.get_normalizer().is_none();
    let normalized = all.values().filter(|token| token.normalized).count();
    // With both kinds the others would be looked for first.
    if normalized > 0 && (!raw || normalized < all.len()) {
        return None;
    }
    let plain =
        |token: &tokenizers::AddedToken| !token.single_word && !token.lstrip && !token.rstrip;
    if !all.values().all(plain) {
        return None;
    }
    Some(all.iter().map(|(id, token)| (token.content.clone(), *id)).collect())
}

/// Whether a text of ASCII, and one that is cut at spaces, comes out the same.
fn keeps_ascii(normalizer: &Json) -> bool {
    normalizer.is_null() || normalizer["type"] == "NFC"
}

/// Whether nothing is changed when no special tokens are asked for.
fn only_frames(post_processor: &Json) -> bool {
    match post_processor["type"].as_str() {
        None => post_processor.is_null(),
        Some("ByteLevel") => true,
        Some("TemplateProcessing") => match post_processor["single"].as_array() {
            Some(pieces) => pieces.iter().filter(|one| !one["Sequence"].is_null()).count() == 1,
            None => false,
        },
        Some("Sequence") => match post_processor["processors"].as_array() {
            Some(steps) => steps.iter().all(only_frames),
            None => false,
        },
        _ => false,
    }
}

/// What stands around the ids of a text, shown by one letter.
fn frame_of(tokenizer: &Tokenizer) -> Option<(Vec<u32>, Vec<u32>)> {
    let bare = tokenizer.encode_fast("a", false).ok()?.get_ids().to_vec();
    let full = tokenizer.encode_fast("a", true).ok()?.get_ids().to_vec();
    let mut places = full.windows(bare.len().max(1)).enumerate().filter(|(_, ids)| *ids == bare);
    match (places.next(), places.next()) {
        (Some((at, _)), None) => Some((full[..at].into(), full[at + bare.len()..].into())),
        _ => None,
    }
}

impl FastEncoder {
    /// Nothing for a tokenizer that is not of this kind.
    pub fn new(tokenizer: &Tokenizer) -> Option<FastEncoder> {
        let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
        if model.dropout.is_some_and(|share| share > 0.0) {
            return None;
        }
        let json = |value| serde_json::Result::ok(value);
        if !keeps_ascii(&json(serde_json::to_value(tokenizer.get_normalizer()))?)
            || !only_frames(&json(serde_json::to_value(tokenizer.get_post_processor()))?)
        {
            return None;
        }
        let splitter = Splitter::of(&json(serde_json::to_value(tokenizer.get_pre_tokenizer()))?)?;
        let tokens = added_tokens(tokenizer)?;
        let added = match tokens.is_empty() {
            true => None,
            false => Some(
                DoubleArrayAhoCorasickBuilder::new()
                    .match_kind(MatchKind::LeftmostLongest)
                    .build_with_values(tokens)
                    .ok()?,
            ),
        };
        let byte_chars = byte_chars();
        let frame = frame_of(tokenizer);
        Some(FastEncoder { splitter, added, cache: WordCache::new(), byte_chars, frame })
    }

    /// At most `most` ids and some more; nothing when only the crate can tell.
    pub fn encode(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        add_special: bool,
        most: usize,
    ) -> Option<Outcome<Vec<u32>>> {
        if !add_special {
            return Some(self.encode_bare(tokenizer, text, Vec::new(), most));
        }
        let (before, behind) = self.frame.as_ref()?;
        let most_all = most.saturating_add(before.len());
        Some(self.encode_bare(tokenizer, text, before.clone(), most_all).map(|mut ids| {
            ids.extend_from_slice(behind);
            ids
        }))
    }

    fn encode_bare(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        mut ids: Vec<u32>,
        most: usize,
    ) -> Outcome<Vec<u32>> {
        ids.reserve(text.len() / 4 + 8);
        let mut at = 0;
        if let Some(added) = &self.added {
            for found in added.leftmost_find_iter(text) {
                self.gap(tokenizer, &text[at..found.start()], &mut ids, most)?;
                ids.push(found.value());
                at = found.end();
                if ids.len() > most {
                    return Ok(ids);
                }
            }
        }
        self.gap(tokenizer, &text[at..], &mut ids, most)?;
        Ok(ids)
    }

    /// A text without added tokens.
    fn gap(&self, crate_: &Tokenizer, text: &str, ids: &mut Vec<u32>, most: usize) -> Outcome<()> {
        let mut at = 0;
        while at < text.len() && ids.len() <= most {
            let (plain, strange) = stretch(text.as_bytes(), at);
            self.words(crate_, &text.as_bytes()[at..plain], ids, most)?;
            if ids.len() <= most && plain < strange {
                let left = most - ids.len();
                ids.extend(model_ids(crate_, &text[plain..strange], left)?);
            }
            at = strange;
        }
        Ok(())
    }

    fn words(
        &self,
        crate_: &Tokenizer,
        text: &[u8],
        ids: &mut Vec<u32>,
        most: usize,
    ) -> Outcome<()> {
        let cache = self.cache.read();
        let mut fresh: Vec<(Key, std::ops::Range<usize>)> = Vec::new();
        let mut failed = Ok(());
        self.splitter.each(text, |word| {
            let key = Key::of(word);
            if let Some(known) = key.as_ref().and_then(|key| cache.get(key)) {
                ids.extend_from_slice(known);
                return ids.len() <= most;
            }
            let begin = ids.len();
            failed = self.word(crate_, word, ids);
            if let (Some(key), true) = (key, fresh.len() < FRESH_MAX) {
                fresh.push((key, begin..ids.len()));
            }
            failed.is_ok() && ids.len() <= most
        });
        drop(cache);
        failed?;
        if !fresh.is_empty() {
            self.cache.keep(fresh.into_iter().map(|(key, range)| (key, &ids[range])));
        }
        Ok(())
    }

    fn word(&self, crate_: &Tokenizer, word: &[u8], ids: &mut Vec<u32>) -> Outcome<()> {
        let spelled: String = word.iter().map(|byte| self.byte_chars[usize::from(*byte)]).collect();
        let tokens = crate_.get_model().tokenize(&spelled)?;
        ids.extend(tokens.iter().map(|token| token.id));
        Ok(())
    }
}

/// GPT-2's character of each byte.
fn byte_chars() -> Vec<char> {
    let mut chars = vec!['\0'; 256];
    for c in crate::stream::alphabet() {
        if let Some(byte) = crate::stream::byte_of(c) {
            chars[usize::from(byte)] = c;
        }
    }
    chars
}

/// From `at`: where the ASCII that can be cut into words alone ends, and where what follows it,
/// around the next other character, ends. Both stand at the end, or before a space behind a
/// character of ASCII that is no white space: no rule joins what stands there, and none looks
/// across it.
fn stretch(text: &[u8], at: usize) -> (usize, usize) {
    let Some(strange) = text[at..].iter().position(|c| !c.is_ascii()).map(|n| at + n) else {
        return (text.len(), text.len());
    };
    let is_cut =
        |i: usize| text[i] == b' ' && i > at && text[i - 1].is_ascii() && !is_blank(text[i - 1]);
    let begin = (at..strange).rev().find(|i| is_cut(*i)).unwrap_or(at);
    let end = (strange..text.len()).find(|i| is_cut(*i)).unwrap_or(text.len());
    (begin, end)
}
