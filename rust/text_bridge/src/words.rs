//! Where two common pre-tokenizers cut a text of ASCII into words: their regular expressions, by
//! hand. What is not ASCII stays the crate's.

use serde_json::Value as Json;

const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const BLANK: u8 = 3; // white space but the ends of lines
const LINE: u8 = 4;
const OTHER: u8 = 5;

/// Of the characters of ASCII; `\s`, `\p{L}` and `\p{N}` are no others there.
const CLASSES: [u8; 128] = {
    let mut classes = [OTHER; 128];
    let mut i = 0;
    while i < 128 {
        let c = i as u8;
        if c.is_ascii_alphabetic() {
            classes[i] = LETTER;
        } else if c.is_ascii_digit() {
            classes[i] = DIGIT;
        } else if c == b'\n' || c == b'\r' {
            classes[i] = LINE;
        } else if c == b' ' || (c >= 9 && c <= 12) {
            classes[i] = BLANK;
        }
        i += 1;
    }
    classes
};

fn class(c: u8) -> u8 {
    CLASSES[usize::from(c & 127)]
}

fn class_at(text: &[u8], at: usize) -> u8 {
    text.get(at).map_or(0, |c| class(*c))
}

pub fn is_blank(c: u8) -> bool {
    c < 128 && matches!(class(c), BLANK | LINE)
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Rule {
    Gpt2,
    /// Of Llama 3, Qwen 2 and others; how many digits stand together differs.
    Cl100k {
        digits_max: usize,
    },
}

/// Cuts a text of ASCII.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Splitter {
    /// Every digit is cut out before the rule sees the rest.
    digits_alone: bool,
    rule: Rule,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K_HEAD: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}";
const CL100K_TAIL: &str = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

fn rule_of(pattern: &str) -> Option<Rule> {
    if pattern == GPT2 {
        return Some(Rule::Gpt2);
    }
    match pattern.strip_prefix(CL100K_HEAD)?.strip_suffix(CL100K_TAIL)? {
        "" => Some(Rule::Cl100k { digits_max: 1 }),
        "{1,3}" => Some(Rule::Cl100k { digits_max: 3 }),
        _ => None,
    }
}

impl Splitter {
    /// Of a pre-tokenizer as the crate writes it, when it is one of those.
    pub fn of(pre_tokenizer: &Json) -> Option<Splitter> {
        let one = std::slice::from_ref(pre_tokenizer);
        let steps = pre_tokenizer["pretokenizers"].as_array().map_or(one, Vec::as_slice);
        let (bytes, before) = steps.split_last()?;
        if bytes["type"] != "ByteLevel" || bytes["add_prefix_space"] != false {
            return None;
        }
        let mut rule = None;
        let mut digits_alone = false;
        for step in before {
            let pattern = match step["type"].as_str()? {
                "Digits" if step["individual_digits"] == true => r"\p{N}",
                "Split" if step["behavior"] == "Isolated" && step["invert"] == false => {
                    step["pattern"]["Regex"].as_str()?
                }
                _ => return None,
            };
            if rule.is_some() {
                return None;
            }
            if pattern == r"\p{N}" {
                digits_alone = true;
            } else {
                rule = Some(rule_of(pattern)?);
            }
        }
        let rule = match (bytes["use_regex"].as_bool()?, rule) {
            (true, None) => Rule::Gpt2,
            (false, Some(rule)) => rule,
            _ => return None,
        };
        Some(Splitter { digits_alone, rule })
    }

    /// Calls `word` with each word of `text`, which is ASCII, until it says false.
    pub fn each(&self, text: &[u8], mut word: impl FnMut(&[u8]) -> bool) {
        let mut rest = text;
        while !rest.is_empty() {
            let part = if !self.digits_alone {
                rest.len()
            } else if class(rest[0]) == DIGIT {
                1
            } else {
                rest.iter().position(|c| class(*c) == DIGIT).unwrap_or(rest.len())
            };
            let mut at = 0;
            while at < part {
                let end = match self.rule {
                    Rule::Gpt2 => gpt2(&rest[..part], at),
                    Rule::Cl100k { digits_max } => cl100k(&rest[..part], at, digits_max),
                };
                if !word(&rest[at..end]) {
                    return;
                }
                at = end;
            }
            rest = &rest[part..];
        }
    }
}

fn run(text: &[u8], mut at: usize, of: u8) -> usize {
    while class_at(text, at) == of {
        at += 1;
    }
    at
}

/// The end of 's|'t|'re|'ve|'m|'ll|'d behind the apostrophe.
fn contraction(text: &[u8], at: usize, any_case: bool) -> Option<usize> {
    let letter = |at: usize| {
        let c = *text.get(at)?;
        Some(if any_case { c.to_ascii_lowercase() } else { c })
    };
    match (letter(at)?, letter(at + 1)) {
        (b's' | b't' | b'm' | b'd', _) => Some(at + 1),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(at + 2),
        _ => None,
    }
}

fn blanks_end(text: &[u8], mut at: usize) -> usize {
    while matches!(class_at(text, at), BLANK | LINE) {
        at += 1;
    }
    at
}

/// `\s+(?!\S)|\s+`: white space up to `end`, but the last of it when a word follows.
fn blanks(text: &[u8], at: usize, end: usize) -> usize {
    if end == text.len() || end - at == 1 {
        end
    } else {
        end - 1
    }
}

fn gpt2(text: &[u8], at: usize) -> usize {
    if text[at] == b'\'' {
        if let Some(end) = contraction(text, at + 1, false) {
            return end;
        }
    }
    let body = at + usize::from(text[at] == b' ');
    match class_at(text, body) {
        of @ (LETTER | DIGIT | OTHER) => run(text, body, of),
        _ => blanks(text, at, blanks_end(text, at)),
    }
}

fn cl100k(text: &[u8], at: usize, digits_max: usize) -> usize {
    if text[at] == b'\'' {
        if let Some(end) = contraction(text, at + 1, true) {
            return end;
        }
    }
    let first = class(text[at]);
    let before = matches!(first, BLANK | OTHER) && class_at(text, at + 1) == LETTER;
    if first == LETTER || before {
        return run(text, at + usize::from(before), LETTER);
    }
    if first == DIGIT {
        return run(text, at, DIGIT).min(at + digits_max);
    }
    let body = at + usize::from(text[at] == b' ');
    if class_at(text, body) == OTHER {
        return run(text, run(text, body, OTHER), LINE);
    }
    let end = blanks_end(text, at);
    match text[at..end].iter().rposition(|c| class(*c) == LINE) {
        Some(last) => at + last + 1,
        None => blanks(text, at, end),
    }
}
