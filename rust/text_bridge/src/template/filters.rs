//! jinja2's filters on single values, and transformers' tojson. Those on lists are in lists.rs.

use super::calls::Args;
use super::eval::Render;
use super::methods;
use super::ops::{self, escape};
use super::text::{repr, to_str, Dump};
use super::value::{fault, type_error, Res, Value};

pub const NAMES: [&str; 52] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "wordwrap",
    "xmlattr",
];

/// Text of the same kind as the value was: what the markupsafe class does.
fn like(value: &Value, text: String) -> Value {
    match value {
        Value::Safe(_) => Value::Safe(text.into()),
        _ => Value::Text(text.into()),
    }
}

impl Render<'_> {
    pub fn filter(&mut self, name: &str, value: Value, args: Args) -> Res<Value> {
        self.budget.step()?;
        self.budget.enter()?;
        let result = match name {
            "default" | "d" => {
                let lax = args.flag(1, "boolean").unwrap_or(false);
                let absent = value.is_undefined() || (lax && !value.is_true());
                let other = || args.get(0, "default_value").cloned();
                Ok(if absent { other().unwrap_or_else(|| Value::text("")) } else { value })
            }
            "tojson" => self.to_json(&value, &args),
            "abs" | "int" | "float" | "round" => self.number_filter(name, &value, &args),
            "capitalize" | "lower" | "upper" | "title" | "trim" | "center" | "string" | "safe"
            | "escape" | "e" | "forceescape" | "replace" | "indent" | "format" | "truncate"
            | "wordcount" | "wordwrap" | "urlencode" | "striptags" | "pprint"
            | "filesizeformat" | "xmlattr" => self.text_filter(name, &value, &args),
            _ => self.list_filter(name, value, args),
        };
        self.budget.leave();
        result
    }

    #[inline(never)]
    fn to_json(&mut self, value: &Value, args: &Args) -> Res<Value> {
        let mut dump = Dump::plain();
        dump.ascii = args.flag(0, "ensure_ascii").unwrap_or(false);
        dump.indent = match args.get(1, "indent") {
            None | Some(Value::None) => None,
            Some(indent) => match (indent.as_str(), indent.as_int()) {
                (Some(text), _) => Some(text.to_owned()),
                (None, Some(width)) => Some(" ".repeat(width.clamp(0, 1000) as usize)),
                _ => return type_error("indent must be str or int"),
            },
        };
        if dump.indent.is_some() {
            dump.item_separator = ",".into();
        }
        match args.get(2, "separators") {
            None | Some(Value::None) => {}
            Some(pair) => {
                let pair = ops::iterate(pair, &mut self.budget)?;
                match pair.as_slice() {
                    [item, key] => {
                        dump.item_separator = to_str(item, &mut self.budget)?.into_owned();
                        dump.key_separator = to_str(key, &mut self.budget)?.into_owned();
                    }
                    _ => return fault("ValueError: separators wants a pair"),
                }
            }
        }
        dump.sort_keys = args.flag(3, "sort_keys").unwrap_or(false);
        let mut out = String::new();
        dump.write(&mut out, value, &mut self.budget)?;
        Ok(Value::Text(out.into()))
    }

    #[inline(never)]
    fn number_filter(&mut self, name: &str, value: &Value, args: &Args) -> Res<Value> {
        match name {
            "abs" => match (value.as_int().and_then(i128::checked_abs), value) {
                (Some(number), _) => Ok(Value::Int(number)),
                (None, Value::Float(number)) => Ok(Value::Float(number.abs())),
                _ => {
                    ops::defined(value)?;
                    type_error(format!("bad operand type for abs(): '{}'", value.type_name()))
                }
            },
            "int" => {
                ops::defined(value)?;
                let base = args.int(1, "base")?.unwrap_or(10);
                let absent = || args.get(0, "default").cloned().unwrap_or(Value::Int(0));
                Ok(to_int(value, base).unwrap_or_else(absent))
            }
            "float" => {
                ops::defined(value)?;
                let absent = || args.get(0, "default").cloned().unwrap_or(Value::Float(0.0));
                let number = match value.as_str() {
                    Some(text) => python_float(text),
                    None => value.as_float(),
                };
                Ok(number.map_or_else(absent, Value::Float))
            }
            _ => {
                let precision = args.int(0, "precision")?.unwrap_or(0).clamp(-400, 400) as i32;
                let method = args.text(1, "method")?.unwrap_or("common");
                round(value, precision, method)
            }
        }
    }

    #[inline(never)]
    fn text_filter(&mut self, name: &str, value: &Value, args: &Args) -> Res<Value> {
        let text = to_str(value, &mut self.budget)?.into_owned();
        self.budget.spend(text.len().saturating_mul(6))?;
        let made = match name {
            "string" => match value {
                Value::Safe(_) => return Ok(value.clone()),
                _ => return Ok(Value::Text(text.into())),
            },
            "safe" => return Ok(Value::Safe(text.into())),
            "escape" | "e" => match value {
                Value::Safe(_) => return Ok(value.clone()),
                _ => return Ok(Value::Safe(escape(&text).into())),
            },
            "forceescape" => return Ok(Value::Safe(escape(&text).into())),
            "lower" => text.to_lowercase(),
            "upper" => text.to_uppercase(),
            "capitalize" => methods::capitalize(&text),
            "title" => title(&text),
            "trim" => methods::strip(&text, args.text(0, "chars")?, true, true).to_owned(),
            "center" => {
                let width = args.int(0, "width")?.unwrap_or(80).clamp(0, 1 << 32) as usize;
                let missing = width.saturating_sub(text.chars().count());
                self.budget.room(text.len(), missing)?;
                let left = missing / 2 + (missing & width & 1);
                format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left))
            }
            "replace" => {
                let (Some(from), Some(to)) = (args.get(0, "old"), args.get(1, "new")) else {
                    return type_error("do_replace() missing required positional arguments");
                };
                let from = to_str(from, &mut self.budget)?.into_owned();
                let to = to_str(to, &mut self.budget)?.into_owned();
                let most = args.int(2, "count")?;
                let made = methods::replace(&text, &from, &to, most, &mut self.budget)?;
                return Ok(Value::Text(made.into()));
            }
            "indent" => self.indent(&text, args)?,
            "format" => return self.format_filter(value, args),
            "truncate" => truncate(&text, args)?,
            "wordcount" => {
                let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
                return Ok(Value::Int(words.filter(|word| !word.is_empty()).count() as i128));
            }
            "urlencode" => url_encode(&text),
            "striptags" => strip_tags(&text),
            "pprint" => {
                let mut out = String::new();
                repr(&mut out, value, &mut self.budget)?;
                out
            }
            _ => return fault(format!("the filter '{name}' is not supported")),
        };
        Ok(like(value, made))
    }

    fn format_filter(&mut self, value: &Value, args: &Args) -> Res<Value> {
        if !args.list.is_empty() && !args.named.is_empty() {
            return fault(
                "FilterArgumentError: can't handle positional and keyword arguments at \
                          the same time",
            );
        }
        let values = match args.named.is_empty() {
            true => Value::tuple(args.list.clone())?,
            false => {
                let named = args.named.iter();
                let named = named.map(|(key, v)| (Value::Text(key.clone()), v.clone()));
                Value::dict(named.collect(), &mut self.budget)?
            }
        };
        let text = to_str(value, &mut self.budget)?.into_owned();
        let safe = matches!(value, Value::Safe(_));
        super::format::percent(&text, safe, &values, &mut self.budget)
    }

    /// The last line end stays, as jinja2 does it.
    fn indent(&mut self, text: &str, args: &Args) -> Res<String> {
        let pad = match args.get(0, "width") {
            None => "    ".to_owned(),
            Some(width) => match (width.as_str(), width.as_int()) {
                (Some(pad), _) => pad.to_owned(),
                (None, Some(width)) => {
                    let width = width.clamp(0, 1 << 32) as usize;
                    self.budget.room(0, width)?;
                    " ".repeat(width)
                }
                _ => return type_error("can't multiply sequence by non-int"),
            },
        };
        let first = args.flag(1, "first").unwrap_or(false);
        let blank = args.flag(2, "blank").unwrap_or(false);
        let with_end = format!("{text}\n"); // so that a last line end makes an empty last line
        let lines = methods::split_lines(&with_end, false);
        self.budget.room(text.len(), lines.len().saturating_mul(pad.len()))?;
        let mut out = String::with_capacity(text.len() + lines.len() * pad.len());
        for (n, line) in lines.iter().enumerate() {
            if n > 0 {
                out.push('\n');
            }
            if (n == 0 && first) || (n > 0 && (blank || !line.is_empty())) {
                out.push_str(&pad);
            }
            out.push_str(line);
        }
        Ok(out)
    }
}

/// float("...") of Python.
fn python_float(text: &str) -> Option<f64> {
    let text = methods::strip(text, None, true, true);
    let plain = text.replace('_', "");
    plain.parse().ok()
}

fn to_int(value: &Value, base: i128) -> Option<Value> {
    if let Some(number) = value.as_int() {
        return Some(Value::Int(number));
    }
    match value {
        Value::Big(_) => Some(value.clone()),
        Value::Float(number) if number.is_finite() => Some(Value::Int(number.trunc() as i128)),
        Value::Text(text) | Value::Safe(text) => {
            let text = methods::strip(text, None, true, true);
            let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base))?;
            let prefix = match base {
                16 => "0x",
                8 => "0o",
                2 => "0b",
                _ => "",
            };
            let (sign, digits) = match text.strip_prefix('-') {
                Some(digits) => ("-", digits),
                None => ("", text.strip_prefix('+').unwrap_or(text)),
            };
            let digits = digits.to_lowercase();
            let digits = digits.strip_prefix(prefix).unwrap_or(&digits).replace('_', "");
            if let Ok(number) = i128::from_str_radix(&format!("{sign}{digits}"), base) {
                return Some(Value::Int(number));
            }
            let number = python_float(text).filter(|number| number.is_finite())?;
            Some(Value::Int(number.trunc() as i128))
        }
        _ => None,
    }
}

fn round(value: &Value, precision: i32, method: &str) -> Res<Value> {
    ops::defined(value)?;
    let Some(number) = value.as_float() else {
        return type_error(format!("type {} doesn't define __round__ method", value.type_name()));
    };
    let factor = 10f64.powi(precision);
    let made = match method {
        "common" if precision >= 0 && number.is_finite() => {
            let text = format!("{number:.*}", precision as usize);
            text.parse().unwrap_or(number)
        }
        "common" => (number * factor).round_ties_even() / factor,
        "ceil" => (number * factor).ceil() / factor,
        "floor" => (number * factor).floor() / factor,
        _ => return fault("FilterArgumentError: method must be common, ceil or floor"),
    };
    // Python's round() of an integer stays one.
    match (method, value.as_int()) {
        ("common", Some(whole)) if precision >= 0 => Ok(Value::Int(whole)),
        _ => Ok(Value::Float(made)),
    }
}

/// The filter starts words after white space, '-' and opening brackets alone.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut first = true;
    for c in text.chars() {
        if first {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        first = c == '-' || methods::is_space(c) || "([{<".contains(c);
    }
    out
}

fn truncate(text: &str, args: &Args) -> Res<String> {
    let length = args.int(0, "length")?.unwrap_or(255).max(0) as usize;
    let kill_words = args.flag(1, "killwords").unwrap_or(false);
    let end = args.text(2, "end")?.unwrap_or("...");
    let leeway = args.int(3, "leeway")?.unwrap_or(5).max(0) as usize;
    let end_length = end.chars().count();
    if length < end_length {
        return fault(format!("AssertionError: expected length >= {end_length}, got {length}"));
    }
    if text.chars().count() <= length.saturating_add(leeway) {
        return Ok(text.to_owned());
    }
    let cut: String = text.chars().take(length - end_length).collect();
    let kept = if kill_words { &cut[..] } else { cut.rsplit_once(' ').map_or(&cut[..], |p| p.0) };
    Ok(format!("{kept}{end}"))
}

fn url_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b'/' => {
                out.push(byte as char)
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn strip_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let Some(end) = rest[at..].find('>') else { break };
        out.push_str(&rest[..at]);
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}
