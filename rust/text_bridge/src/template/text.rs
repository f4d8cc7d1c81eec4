//! Python's text forms: str(), repr(), and json.dumps() as transformers calls it.

use super::budget::Budget;
use super::value::{type_error, Res, Value};
use std::fmt::Write;

pub fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    // The shortest digits that read back, as Python chooses them too.
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number == 0.0 || (-4..16).contains(&exponent) {
        let plain = format!("{number}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// str(value). Text is lent, so that the common case copies nothing.
pub fn to_str<'a>(value: &'a Value, budget: &mut Budget) -> Res<std::borrow::Cow<'a, str>> {
    Ok(match value {
        Value::Text(text) | Value::Safe(text) => (&**text).into(),
        Value::Undefined(_) => "".into(),
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(number) => number.to_string().into(),
        Value::Big(digits) => (&**digits).into(),
        Value::Float(number) => float_repr(*number).into(),
        _ => {
            let mut out = String::new();
            repr(&mut out, value, budget)?;
            out.into()
        }
    })
}

fn repr_text(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            c if printable(c) => out.push(c),
            c => {
                let code = c as u32;
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02x}"),
                    0x100..=0xffff => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
}

/// As str.isprintable: Rust's own idea of it, asked for a character that is not the first (a
/// combining mark is printable there).
fn printable(c: char) -> bool {
    let mut pair = [0; 5];
    pair[0] = b'a';
    let size = c.encode_utf8(&mut pair[1..]).len();
    let pair = std::str::from_utf8(&pair[..=size]).unwrap_or("");
    pair.escape_debug().count() == 2
}

pub fn repr(out: &mut String, value: &Value, budget: &mut Budget) -> Res<()> {
    budget.room(out.len(), 64)?;
    let list = |out: &mut String, items: &[Value], budget: &mut Budget| -> Res<()> {
        for (n, item) in items.iter().enumerate() {
            out.push_str(if n > 0 { ", " } else { "" });
            repr(out, item, budget)?;
        }
        Ok(())
    };
    match value {
        Value::Text(text) => {
            budget.room(out.len(), text.len())?;
            repr_text(out, text);
        }
        Value::Safe(text) => {
            out.push_str("Markup(");
            repr_text(out, text);
            out.push(')');
        }
        Value::Undefined(_) => out.push_str("Undefined"),
        Value::List(seq) => {
            out.push('[');
            list(out, &seq.items, budget)?;
            out.push(']');
        }
        Value::Tuple(seq) => {
            out.push('(');
            list(out, &seq.items, budget)?;
            out.push_str(if seq.items.len() == 1 { ",)" } else { ")" });
        }
        Value::Dict(dict) => {
            out.push('{');
            for (n, (key, item)) in dict.entries.iter().enumerate() {
                out.push_str(if n > 0 { ", " } else { "" });
                repr(out, key, budget)?;
                out.push_str(": ");
                repr(out, item, budget)?;
            }
            out.push('}');
        }
        Value::Iter(iter) if !iter.once => {
            let _ = write!(out, "{}([", iter.kind);
            list(out, &iter.take(), budget)?;
            out.push_str("])");
        }
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Float(_) => {
            out.push_str(&to_str(value, budget)?)
        }
        other => {
            let _ = write!(out, "<{} object>", other.type_name());
        }
    }
    Ok(())
}

/// How json.dumps() was asked to write.
pub struct Dump {
    pub ascii: bool,
    pub sort_keys: bool,
    pub indent: Option<String>,
    pub item_separator: String,
    pub key_separator: String,
}

impl Dump {
    pub fn plain() -> Dump {
        Dump {
            ascii: false,
            sort_keys: false,
            indent: None,
            item_separator: ", ".into(),
            key_separator: ": ".into(),
        }
    }

    fn string(&self, out: &mut String, text: &str) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if (c as u32) < 0x20 || (self.ascii && c as u32 >= 0x7f) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }

    fn scalar(value: &Value) -> Option<String> {
        Some(match value {
            Value::None => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Big(digits) => digits.to_string(),
            Value::Float(number) if number.is_nan() => "NaN".into(),
            Value::Float(number) if number.is_infinite() => {
                if *number > 0.0 { "Infinity" } else { "-Infinity" }.into()
            }
            Value::Float(number) => float_repr(*number),
            _ => return None,
        })
    }

    fn line(&self, out: &mut String, depth: usize) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    }

    pub fn write(&self, out: &mut String, value: &Value, budget: &mut Budget) -> Res<()> {
        self.nested(out, value, 0, budget)
    }

    fn nested(
        &self,
        out: &mut String,
        value: &Value,
        depth: usize,
        budget: &mut Budget,
    ) -> Res<()> {
        let pad = self.indent.as_ref().map_or(0, |indent| indent.len() * (depth + 1));
        budget.room(out.len(), 64 + pad + value.as_str().map_or(0, str::len))?;
        match value {
            Value::Text(text) | Value::Safe(text) => self.string(out, text),
            Value::List(seq) | Value::Tuple(seq) => {
                out.push('[');
                for (n, item) in seq.items.iter().enumerate() {
                    out.push_str(if n > 0 { &self.item_separator } else { "" });
                    self.line(out, depth + 1);
                    self.nested(out, item, depth + 1, budget)?;
                }
                if !seq.items.is_empty() {
                    self.line(out, depth);
                }
                out.push(']');
            }
            Value::Dict(dict) => self.dict(out, &dict.entries, depth, budget)?,
            _ => match Dump::scalar(value) {
                Some(text) => out.push_str(&text),
                None => {
                    let name = value.type_name();
                    return type_error(format!("Object of type {name} is not JSON serializable"));
                }
            },
        }
        Ok(())
    }

    fn dict(
        &self,
        out: &mut String,
        entries: &[(Value, Value)],
        depth: usize,
        budget: &mut Budget,
    ) -> Res<()> {
        let mut order: Vec<&(Value, Value)> = entries.iter().collect();
        if self.sort_keys {
            let mut failed = Ok(());
            order.sort_by(|a, b| {
                if failed.is_err() {
                    return std::cmp::Ordering::Equal;
                }
                super::ops::order(&a.0, &b.0, "<", budget).unwrap_or_else(|error| {
                    failed = Err(error);
                    std::cmp::Ordering::Equal
                })
            });
            failed?;
        }
        out.push('{');
        for (n, (key, item)) in order.into_iter().enumerate() {
            out.push_str(if n > 0 { &self.item_separator } else { "" });
            self.line(out, depth + 1);
            match (key.as_str(), Dump::scalar(key)) {
                (Some(text), _) => self.string(out, text),
                (None, Some(text)) => self.string(out, &text),
                (None, None) => {
                    return type_error(format!(
                        "keys must be str, int, float, bool or None, not {}",
                        key.type_name()
                    ))
                }
            }
            out.push_str(&self.key_separator);
            self.nested(out, item, depth + 1, budget)?;
        }
        if !entries.is_empty() {
            self.line(out, depth);
        }
        out.push('}');
        Ok(())
    }
}
