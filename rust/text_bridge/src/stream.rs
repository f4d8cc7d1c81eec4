//! Ids to text one by one, such that the pieces add up to exactly what decoding all of them at
//! once gives, and no piece ends inside a character.
//!
//! The crate's own stream decodes a window again and again, and has no end; here the decoder's
//! steps are applied to each token once. A byte run of ByteFallback is judged as a whole by the
//! crate (all valid, or one U+FFFD per byte), so it is held until it ends.

use crate::tokenizer::TbTokenizer;
use crate::{guard, release, Outcome, TbBytes, TbView};
use serde_json::Value as Json;
use std::os::raw::c_int;
use std::sync::Arc;
use tokenizers::Tokenizer;

/// One step that looks at a token alone.
enum TokenStep {
    Replace(String, String),
    /// `replacement` becomes a space; in the first token it vanishes when `drop_first`.
    Metaspace {
        replacement: char,
        drop_first: bool,
    },
    Strip {
        content: char,
        start: usize,
    },
}

/// What a decoder does, as far as it can be done token by token.
enum Plan {
    /// Tokens spell bytes in GPT-2's alphabet.
    ByteLevel,
    Text {
        steps: Vec<TokenStep>,
        byte_fallback: bool,
        strip_head: Option<(char, usize)>,
    },
    /// No decoder: tokens with a space between.
    Joined,
    /// Anything else: everything is decoded at the end.
    Whole,
}

fn token_step(step: &Json) -> Option<TokenStep> {
    let text = |key: &str| step[key].as_str().map(str::to_owned);
    let number = |key: &str| step[key].as_u64().map(|n| n as usize);
    match step["type"].as_str()? {
        "Replace" => {
            let from = step["pattern"]["String"].as_str().filter(|from| !from.is_empty())?;
            Some(TokenStep::Replace(from.to_owned(), text("content")?))
        }
        "Metaspace" => Some(TokenStep::Metaspace {
            replacement: text("replacement")?.chars().next()?,
            drop_first: step["prepend_scheme"].as_str()? != "never",
        }),
        // An end is only known when the next token comes.
        "Strip" if number("stop") == Some(0) => Some(TokenStep::Strip {
            content: text("content")?.chars().next()?,
            start: number("start")?,
        }),
        _ => None,
    }
}

fn sequence_plan(steps: &[Json]) -> Option<Plan> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let (mut byte_fallback, mut fused, mut strip_head) = (false, false, None);
    for step in steps {
        match (step["type"].as_str()?, fused) {
            ("ByteFallback", false) if !byte_fallback => byte_fallback = true,
            ("Fuse", _) => fused = true,
            (_, false) => {
                let step = token_step(step)?;
                if byte_fallback { &mut after } else { &mut before }.push(step);
            }
            ("Strip", true) if strip_head.is_none() => match token_step(step)? {
                TokenStep::Strip { content, start } => strip_head = Some((content, start)),
                _ => return None,
            },
            _ => return None,
        }
    }
    // A step on the text of a whole byte run would be another thing than a step on its tokens.
    after.is_empty().then_some(Plan::Text { steps: before, byte_fallback, strip_head })
}

/// The decoder's kind, when it is one that only decodes a whole text at its end.
pub fn unstreamed(tokenizer: &Tokenizer) -> Outcome<Option<String>> {
    if !matches!(plan_of(tokenizer)?, Plan::Whole) {
        return Ok(None);
    }
    let decoder = serde_json::to_value(tokenizer.get_decoder())?;
    let kind = |step: &Json| step["type"].as_str().unwrap_or("?").to_owned();
    let steps = decoder["decoders"].as_array();
    let inside = steps.map(|steps| steps.iter().map(kind).collect::<Vec<_>>().join(", "));
    Ok(Some(match inside {
        Some(inside) => format!("{} of {inside}", kind(&decoder)),
        None => kind(&decoder),
    }))
}

fn plan_of(tokenizer: &Tokenizer) -> Outcome<Plan> {
    let decoder = serde_json::to_value(tokenizer.get_decoder())?;
    if decoder.is_null() {
        return Ok(Plan::Joined);
    }
    let plan = match decoder["type"].as_str() {
        Some("ByteLevel") => Some(Plan::ByteLevel),
        Some("Sequence") => match decoder["decoders"].as_array().map(Vec::as_slice) {
            Some([one]) if one["type"] == "ByteLevel" => Some(Plan::ByteLevel),
            Some(steps) => sequence_plan(steps),
            None => None,
        },
        Some(_) => sequence_plan(std::slice::from_ref(&decoder)),
        None => None,
    };
    Ok(plan.unwrap_or(Plan::Whole))
}

/// GPT-2's alphabet: each byte has one printable character.
pub fn byte_of(c: char) -> Option<u8> {
    let code = c as u32;
    match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => Some(code as u8),
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// Its 256 characters.
pub fn alphabet() -> impl Iterator<Item = char> {
    (0x21..=0x143).filter_map(char::from_u32).filter(|c| byte_of(*c).is_some())
}

/// The bytes a byte-level token spells; a token outside the alphabet spells itself.
pub fn byte_level(token: &str) -> Vec<u8> {
    token.chars().map(byte_of).collect::<Option<Vec<u8>>>().unwrap_or_else(|| token.into())
}

/// `<0x41>` is 0x41, by the same loose rule as the crate's.
pub fn fallback_byte(token: &str) -> Option<u8> {
    if token.len() == 6 && token.starts_with("<0x") && token.ends_with('>') {
        return u8::from_str_radix(token.get(3..5)?, 16).ok();
    }
    None
}

fn strip(token: &str, content: char, most: usize) -> &str {
    let head = token.chars().take(most).take_while(|c| *c == content).count();
    &token[head * content.len_utf8()..]
}

/// What a token spells; nothing where no token has the id.
#[derive(Clone, Copy, Default)]
struct Piece {
    begin: u32,
    size: u32,
    special: bool,
    whole: bool, // its bytes are whole characters
}

/// What all streams of a tokenizer share.
pub struct Decoding {
    tokenizer: Arc<Tokenizer>,
    plan: Plan,
    pieces: Vec<Piece>, // by id, with `bytes`; Plan::ByteLevel alone
    bytes: Vec<u8>,
}

impl Decoding {
    pub fn new(tokenizer: Arc<Tokenizer>, vocabulary: u32) -> Outcome<Self> {
        let plan = plan_of(&tokenizer)?;
        let (mut pieces, mut bytes) = (Vec::new(), Vec::new());
        if matches!(plan, Plan::ByteLevel) {
            pieces.resize(vocabulary as usize, Piece::default());
            for (id, piece) in pieces.iter_mut().enumerate() {
                let Some(token) = tokenizer.id_to_token(id as u32) else { continue };
                let spelled = byte_level(&token);
                piece.begin = u32::try_from(bytes.len())?;
                piece.size = u32::try_from(spelled.len())?;
                piece.special = tokenizer.get_added_vocabulary().is_special_token(&token);
                piece.whole = std::str::from_utf8(&spelled).is_ok();
                bytes.extend_from_slice(&spelled);
            }
        }
        Ok(Decoding { tokenizer, plan, pieces, bytes })
    }

    fn piece(&self, id: u32) -> Piece {
        self.pieces.get(id as usize).copied().unwrap_or_default()
    }

    fn spelled(&self, piece: Piece) -> &[u8] {
        &self.bytes[piece.begin as usize..][..piece.size as usize]
    }
}

pub struct TbStream {
    decoding: Arc<Decoding>,
    skip_special: bool,
    seen: usize,     // tokens that took part
    bytes: Vec<u8>,  // an unfinished character (ByteLevel) or byte run (ByteFallback)
    stripped: usize, // of strip_head
    head_over: bool, // strip_head has met another character
    ids: Vec<u32>,   // Plan::Whole alone
    out: String,     // what push gave last
}

impl TbStream {
    fn new(tokenizer: &TbTokenizer, skip_special: bool) -> Self {
        TbStream {
            decoding: tokenizer.decoding.clone(),
            skip_special,
            seen: 0,
            bytes: Vec::new(),
            stripped: 0,
            head_over: false,
            ids: Vec::new(),
            out: String::new(),
        }
    }

    fn reset(&mut self) {
        self.seen = 0;
        self.bytes.clear();
        self.stripped = 0;
        self.head_over = false;
        self.ids.clear();
    }

    /// Text until the next call.
    fn push(&mut self, id: u32) -> &[u8] {
        if !matches!(self.decoding.plan, Plan::ByteLevel) {
            self.out = self.push_token(id);
            return self.out.as_bytes();
        }
        let piece = self.decoding.piece(id);
        if self.skip_special && piece.special {
            return &[];
        }
        if piece.whole && self.bytes.is_empty() {
            return self.decoding.spelled(piece);
        }
        self.bytes.extend_from_slice(self.decoding.spelled(piece));
        self.out = self.whole_characters();
        self.out.as_bytes()
    }

    fn push_token(&mut self, id: u32) -> String {
        let tokenizer = &self.decoding.tokenizer;
        if matches!(self.decoding.plan, Plan::Whole) {
            self.ids.push(id);
            return String::new();
        }
        let Some(token) = tokenizer.id_to_token(id) else { return String::new() };
        if self.skip_special && tokenizer.get_added_vocabulary().is_special_token(&token) {
            return String::new();
        }
        self.seen += 1;
        match &self.decoding.plan {
            Plan::Joined if self.seen == 1 => token,
            Plan::Joined => format!(" {token}"),
            _ => self.push_text(token),
        }
    }

    /// Takes the characters that are certain out of `bytes`; broken ones become U+FFFD.
    fn whole_characters(&mut self) -> String {
        let mut out = String::new();
        let mut rest = self.bytes.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    out.push_str(text);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, tail) = rest.split_at(error.valid_up_to());
                    out.push_str(std::str::from_utf8(valid).unwrap_or_default());
                    rest = tail;
                    let Some(broken) = error.error_len() else { break };
                    out.push('\u{fffd}');
                    rest = &rest[broken..];
                }
            }
        }
        let kept = rest.to_vec();
        self.bytes = kept;
        out
    }

    fn push_text(&mut self, mut token: String) -> String {
        let Plan::Text { steps, byte_fallback, .. } = &self.decoding.plan else { return token };
        for step in steps {
            token = match step {
                TokenStep::Replace(from, to) => token.replace(from.as_str(), to),
                TokenStep::Metaspace { replacement, drop_first }
                    if *drop_first && self.seen == 1 =>
                {
                    token.replace(*replacement, "")
                }
                TokenStep::Metaspace { replacement, .. } => token.replace(*replacement, " "),
                TokenStep::Strip { content, start } => strip(&token, *content, *start).to_owned(),
            };
        }
        if *byte_fallback {
            if let Some(byte) = fallback_byte(&token) {
                self.bytes.push(byte);
                return String::new();
            }
        }
        let mut out = self.byte_run();
        out.push_str(&token);
        self.strip_head(out)
    }

    fn byte_run(&mut self) -> String {
        let count = self.bytes.len();
        String::from_utf8(std::mem::take(&mut self.bytes))
            .unwrap_or_else(|_| "\u{fffd}".repeat(count))
    }

    fn strip_head(&mut self, text: String) -> String {
        let Plan::Text { strip_head: Some((content, most)), .. } = &self.decoding.plan else {
            return text;
        };
        if self.head_over || text.is_empty() {
            return text;
        }
        let rest = strip(&text, *content, most - self.stripped);
        self.stripped += (text.len() - rest.len()) / content.len_utf8();
        self.head_over = !rest.is_empty() || self.stripped >= *most;
        rest.to_owned()
    }

    fn finish(&mut self) -> Outcome<String> {
        let out = match &self.decoding.plan {
            Plan::Whole => self.decoding.tokenizer.decode(&self.ids, self.skip_special)?,
            Plan::ByteLevel if self.bytes.is_empty() => String::new(),
            Plan::ByteLevel => "\u{fffd}".into(),
            Plan::Joined => String::new(),
            Plan::Text { .. } => {
                let run = self.byte_run();
                self.strip_head(run)
            }
        };
        self.reset();
        Ok(out)
    }
}

#[no_mangle]
pub unsafe extern "C" fn tb_stream_new(
    tokenizer: *const TbTokenizer,
    skip_special: bool,
    out: *mut *mut TbStream,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        *out = Box::into_raw(Box::new(TbStream::new(&*tokenizer, skip_special)));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_stream_free(stream: *mut TbStream) {
    release(stream);
}

#[no_mangle]
pub unsafe extern "C" fn tb_stream_push(
    stream: *mut TbStream,
    id: u32,
    out: *mut TbView,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        out.write((*stream).push(id).into());
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn tb_stream_finish(
    stream: *mut TbStream,
    out: *mut TbBytes,
    error: *mut TbBytes,
) -> c_int {
    guard(error, || {
        let rest = (*stream).finish()?;
        out.write(rest.into_bytes().into());
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let mut seen = [false; 256];
        for code in 0..0x144u32 {
            if let Some(byte) = char::from_u32(code).and_then(byte_of) {
                assert!(!seen[byte as usize], "byte {byte} twice");
                seen[byte as usize] = true;
            }
        }
        assert!(seen.iter().all(|s| *s));
    }

    #[test]
    fn strips_at_most_what_it_may() {
        assert_eq!(strip("  a ", ' ', 1), " a ");
        assert_eq!(strip("  a  ", ' ', 5), "a  ");
        assert_eq!(strip("", ' ', 1), "");
    }

    #[test]
    fn fallback_bytes() {
        assert_eq!(fallback_byte("<0xE3>"), Some(0xe3));
        assert_eq!(fallback_byte("<0xZZ>"), None);
        assert_eq!(fallback_byte("<0x1FF>"), None);
    }
}
