//! The context: one JSON object, with the order of its keys and all digits of its integers.

use super::budget::Budget;
use super::value::{fault, Dict, Fault, Res, Value};
use std::rc::Rc;

const DEPTH_MAX: usize = 128;

pub fn parse(json: &[u8], budget: &mut Budget) -> Res<Rc<Dict>> {
    let Ok(text) = std::str::from_utf8(json) else { return fault("the context is not UTF-8") };
    let mut reader = Reader { text, at: 0, depth: 0, budget };
    let value = reader.value()?;
    reader.space();
    if reader.at < text.len() {
        return reader.wrong();
    }
    match value {
        Value::Dict(dict) => Ok(dict),
        _ => fault("the context is not a JSON object"),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    budget: &'a mut Budget,
}

impl Reader<'_> {
    fn wrong<T>(&self) -> Res<T> {
        fault(format!("the context is not JSON: at byte {}", self.at))
    }
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }
    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }
    fn word(&mut self, word: &str, value: Value) -> Res<Value> {
        if !self.text[self.at..].starts_with(word) {
            return self.wrong();
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self) -> Res<Value> {
        self.budget.step()?;
        self.space();
        match self.peek() {
            b'{' | b'[' if self.depth >= DEPTH_MAX => {
                Err(Fault::Limit(format!("a context nested deeper than {DEPTH_MAX}")))
            }
            b'{' => self.object(),
            b'[' => self.array(),
            b'"' => Ok(Value::Text(self.string()?.into())),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::None),
            _ => self.number(),
        }
    }

    fn array(&mut self) -> Res<Value> {
        self.at += 1;
        self.depth += 1;
        let mut items = Vec::new();
        if !self.take(b']') {
            loop {
                items.push(self.value()?);
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return self.wrong();
                }
            }
        }
        self.depth -= 1;
        Value::list(items)
    }

    fn object(&mut self) -> Res<Value> {
        self.at += 1;
        self.depth += 1;
        let mut entries = Vec::new();
        if !self.take(b'}') {
            loop {
                self.space();
                let key = Value::Text(self.string()?.into());
                if !self.take(b':') {
                    return self.wrong();
                }
                entries.push((key, self.value()?));
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return self.wrong();
                }
            }
        }
        self.depth -= 1;
        Value::dict(entries, self.budget)
    }

    fn number(&mut self) -> Res<Value> {
        let start = self.at;
        while matches!(self.peek(), b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') {
            self.at += 1;
        }
        let digits = &self.text[start..self.at];
        if digits.bytes().any(|c| matches!(c, b'.' | b'e' | b'E')) {
            return match digits.parse::<f64>() {
                Ok(number) if digits.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                    Ok(Value::Float(number))
                }
                _ => self.wrong(),
            };
        }
        let plain = digits.strip_prefix('-').unwrap_or(digits);
        if plain.is_empty() || !plain.bytes().all(|c| c.is_ascii_digit()) {
            return self.wrong();
        }
        match digits.parse::<i128>() {
            Ok(number) => Ok(Value::Int(number)),
            Err(_) => Ok(Value::Big(digits.into())),
        }
    }

    fn string(&mut self) -> Res<String> {
        if self.peek() != b'"' {
            return self.wrong();
        }
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), b'"' | b'\\' | 0..=0x1f) {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    self.budget.spend(out.len())?;
                    return Ok(out);
                }
                b'\\' => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => return self.wrong(),
            }
        }
    }

    fn escape(&mut self) -> Res<char> {
        let kind = self.peek();
        self.at += 1;
        Ok(match kind {
            b'"' | b'\\' | b'/' => kind as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.unit()?;
                let mut code = u32::from(high);
                if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u") {
                    self.at += 2;
                    let low = u32::from(self.unit()?).wrapping_sub(0xdc00);
                    code = if low < 0x400 { 0x10000 + ((code - 0xd800) << 10) + low } else { code };
                }
                match char::from_u32(code) {
                    Some(c) => c,
                    None => return self.wrong(),
                }
            }
            _ => return self.wrong(),
        })
    }

    fn unit(&mut self) -> Res<u16> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or("");
        match u16::from_str_radix(digits, 16) {
            Ok(unit) if !digits.starts_with('+') => {
                self.at += 4;
                Ok(unit)
            }
            _ => self.wrong(),
        }
    }
}
