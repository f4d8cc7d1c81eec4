//! Methods of str, dict and list, as far as the sandbox lets a template call them.

use super::budget::Budget;
use super::calls::Args;
use super::format;
use super::ops::{self, escape};
use super::value::{all_equal, fault, position, type_error, Res, Value};

const OF_TEXT: [&str; 43] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];
const OF_DICT: [&str; 10] =
    ["get", "items", "keys", "values", "copy", "clear", "pop", "popitem", "setdefault", "update"];
const OF_LIST: [&str; 11] = [
    "count", "index", "copy", "append", "clear", "extend", "insert", "pop", "remove", "reverse",
    "sort",
];

pub fn exists(value: &Value, name: &str) -> bool {
    match value {
        Value::Text(_) | Value::Safe(_) => OF_TEXT.contains(&name),
        Value::Dict(_) => OF_DICT.contains(&name),
        Value::List(_) => OF_LIST.contains(&name),
        Value::Tuple(_) => name == "count" || name == "index",
        Value::Float(_) => name == "is_integer",
        Value::Cycler(_) => name == "next" || name == "reset",
        _ => false,
    }
}

pub fn call(value: &Value, name: &str, args: Args, budget: &mut Budget) -> Res<Value> {
    match value {
        Value::Text(text) => text_method(text, false, name, args, budget),
        Value::Safe(text) => text_method(text, true, name, args, budget),
        Value::Dict(dict) => match name {
            "get" => {
                let Some(key) = args.get(0, "key") else {
                    return type_error("get expected at least 1 argument, got 0");
                };
                let absent = || args.get(1, "default").cloned().unwrap_or(Value::None);
                Ok(dict.get(key, budget)?.cloned().unwrap_or_else(absent))
            }
            "copy" => Ok(value.clone()),
            "items" | "keys" | "values" => {
                budget.spend(dict.entries.len() * 3 * size_of::<Value>())?;
                view(name, dict)
            }
            _ => unsafe_method(value, name),
        },
        Value::List(seq) | Value::Tuple(seq) => match (name, args.list.first()) {
            ("copy", _) => Ok(value.clone()),
            ("count", Some(item)) => {
                let mut count = 0;
                for one in &seq.items {
                    count += i128::from(one.equals(item, budget)?);
                }
                Ok(Value::Int(count))
            }
            ("index", Some(item)) => match position(seq.items.iter(), item, budget)? {
                Some(at) => Ok(Value::Int(at as i128)),
                None => fault("ValueError: value is not in list"),
            },
            ("count" | "index", None) => type_error(format!("{name} expected 1 argument, got 0")),
            _ => unsafe_method(value, name),
        },
        Value::Float(number) => Ok(Value::Bool(number.fract() == 0.0)),
        Value::Cycler(cycler) => {
            let at = cycler.1.get();
            cycler.1.set(if name == "reset" { 0 } else { (at + 1) % cycler.0.len() });
            Ok(if name == "reset" { Value::None } else { cycler.0[at].clone() })
        }
        Value::Loop(state) if name == "cycle" => match args.list.len() {
            0 => type_error("no items for cycling given"),
            count => Ok(args.list[state.index.get() % count].clone()),
        },
        Value::Loop(state) => {
            args.list.iter().try_for_each(Value::check_held)?;
            let mut last = state.changed.borrow_mut();
            let same = match last.as_ref() {
                Some(old) if old.len() == args.list.len() => all_equal(old, &args.list, budget)?,
                _ => false,
            };
            *last = Some(args.list);
            Ok(Value::Bool(!same))
        }
        other => type_error(format!("'{}' object is not callable", other.type_name())),
    }
}

fn unsafe_method(value: &Value, name: &str) -> Res<Value> {
    let class = value.type_name();
    fault(format!("SecurityError: access to attribute '{name}' of '{class}' object is unsafe."))
}

pub fn view(kind: &str, dict: &super::value::Dict) -> Res<Value> {
    let entries = dict.entries.iter();
    match kind {
        "keys" => Value::iter("dict_keys", entries.map(|entry| entry.0.clone()).collect()),
        "values" => Value::iter("dict_values", entries.map(|entry| entry.1.clone()).collect()),
        _ => {
            let pairs: Res<Vec<_>> = entries
                .map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()]))
                .collect();
            Value::iter("dict_items", pairs?)
        }
    }
}

// --- str -------------------------------------------------------------------------------------

pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub fn strip<'a>(text: &'a str, chars: Option<&str>, left: bool, right: bool) -> &'a str {
    let hit = |c: char| chars.map_or_else(|| is_space(c), |set| set.contains(c));
    let text = if left { text.trim_start_matches(hit) } else { text };
    if right {
        text.trim_end_matches(hit)
    } else {
        text
    }
}

pub fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect(),
        None => String::new(),
    }
}

/// str.title: a letter after anything that has no case is made upper.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        match inside {
            true => out.extend(c.to_lowercase()),
            false => out.extend(c.to_uppercase()),
        }
        inside = c.is_lowercase() || c.is_uppercase();
    }
    out
}

pub fn split_lines(text: &str, keep: bool) -> Vec<&str> {
    let ends = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(ends) {
        let end = rest[at..].chars().next().map_or(1, char::len_utf8);
        let end = if rest[at..].starts_with("\r\n") { at + 2 } else { at + end };
        lines.push(&rest[..if keep { end } else { at }]);
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

pub fn split<'a>(text: &'a str, separator: Option<&str>, most: i128) -> Res<Vec<&'a str>> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    match separator {
        Some("") => fault("ValueError: empty separator"),
        Some(separator) => Ok(text.splitn(most.saturating_add(1), separator).collect()),
        None => {
            let (mut parts, mut rest) = (Vec::new(), strip(text, None, true, false));
            while !rest.is_empty() {
                let end = if parts.len() < most { rest.find(is_space) } else { None };
                let Some(end) = end else {
                    parts.push(rest);
                    break;
                };
                parts.push(&rest[..end]);
                rest = strip(&rest[end..], None, true, false);
            }
            Ok(parts)
        }
    }
}

fn split_right<'a>(text: &'a str, separator: Option<&str>, most: i128) -> Res<Vec<&'a str>> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut parts: Vec<&str> = match separator {
        Some("") => return fault("ValueError: empty separator"),
        Some(separator) => text.rsplitn(most.saturating_add(1), separator).collect(),
        None => {
            let (mut parts, mut rest) = (Vec::new(), strip(text, None, false, true));
            while !rest.is_empty() {
                let gap = if parts.len() < most { rest.rfind(is_space) } else { None };
                let Some(gap) = gap else {
                    parts.push(rest);
                    break;
                };
                let next = rest[gap..].chars().next().map_or(1, char::len_utf8);
                parts.push(&rest[gap + next..]);
                rest = strip(&rest[..gap], None, false, true);
            }
            parts
        }
    };
    parts.reverse();
    Ok(parts)
}

/// A character position as bytes; Python counts from the end when negative.
fn byte_at(text: &str, at: Option<i128>, absent: usize) -> usize {
    let Some(at) = at else { return absent };
    let length = text.chars().count() as i128;
    let at = if at < 0 { (at + length).max(0) } else { at.min(length) };
    text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte)
}

fn search(text: &str, name: &str, args: &Args) -> Res<Option<usize>> {
    let part = wanted(args, name)?;
    let start = byte_at(text, args.int(1, "start")?, 0);
    let end = byte_at(text, args.int(2, "end")?, text.len());
    let Some(inside) = text.get(start..end) else { return Ok(None) };
    let found = if name.starts_with('r') { inside.rfind(part) } else { inside.find(part) };
    Ok(found.map(|at| text[..start + at].chars().count()))
}

fn wanted<'a>(args: &'a Args, name: &str) -> Res<&'a str> {
    match args.text(0, "sub")? {
        Some(part) => Ok(part),
        None => type_error(format!("{name} expected a str argument")),
    }
}

pub fn replace(
    text: &str,
    from: &str,
    to: &str,
    most: Option<i128>,
    budget: &mut Budget,
) -> Res<String> {
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    budget.spend(text.len())?;
    let hits = match from.is_empty() {
        true => text.chars().count() + 1,
        false => text.matches(from).count(),
    };
    budget.room(text.len(), hits.min(most).saturating_mul(to.len()))?;
    Ok(text.replacen(from, to, most))
}

fn padded(text: &str, name: &str, args: &Args, budget: &mut Budget) -> Res<String> {
    let width = args.int(0, "width")?.unwrap_or(0).clamp(0, i128::from(u32::MAX)) as usize;
    let missing = width.saturating_sub(text.chars().count());
    let fill = args.text(1, "fillchar")?.unwrap_or(" ");
    if fill.chars().count() != 1 {
        return type_error("The fill character must be exactly one character long");
    }
    budget.room(text.len(), missing * fill.len())?;
    let left = match name {
        "ljust" => 0,
        "rjust" => missing,
        _ => missing / 2 + (missing & width & 1),
    };
    Ok(format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left)))
}

fn affix(text: &str, name: &str, args: &Args) -> Res<bool> {
    let hit = |part: &str| match name {
        "startswith" => text.starts_with(part),
        _ => text.ends_with(part),
    };
    match args.list.first() {
        Some(Value::Tuple(seq)) => Ok(seq.items.iter().filter_map(Value::as_str).any(hit)),
        Some(part) => match part.as_str() {
            Some(part) => Ok(hit(part)),
            None => {
                ops::defined(part)?;
                let found = part.type_name();
                type_error(format!("{name} first arg must be str or a tuple of str, not {found}"))
            }
        },
        None => type_error(format!("{name} expected at least 1 argument, got 0")),
    }
}

fn predicate(text: &str, name: &str) -> bool {
    let all = |is: fn(char) -> bool| !text.is_empty() && text.chars().all(is);
    let cased = |c: char| c.is_lowercase() || c.is_uppercase();
    match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.is_ascii(),
        "isdecimal" | "isdigit" => all(|c| c.is_ascii_digit() || (c.is_numeric() && !c.is_ascii())),
        "isnumeric" => all(char::is_numeric),
        "isspace" => all(is_space),
        "isprintable" => text.chars().all(|c| !c.is_control()),
        "isidentifier" => {
            all(|c| c.is_alphanumeric() || c == '_') && !text.starts_with(|c: char| c.is_numeric())
        }
        "islower" => text.chars().any(cased) && !text.chars().any(char::is_uppercase),
        "isupper" => text.chars().any(cased) && !text.chars().any(char::is_lowercase),
        _ => text.chars().any(cased) && title(text) == text,
    }
}

/// Parts as values of the kind of the text they came from.
fn parts(parts: Vec<&str>, safe: bool, budget: &mut Budget) -> Res<Vec<Value>> {
    budget.spend(parts.len().saturating_mul(size_of::<Value>() + 24))?;
    let wrap = |part: &str| if safe { Value::Safe(part.into()) } else { Value::text(part) };
    Ok(parts.into_iter().map(wrap).collect())
}

fn split_method(
    text: &str,
    safe: bool,
    name: &str,
    args: &Args,
    budget: &mut Budget,
) -> Res<Value> {
    let most = || args.int(1, "maxsplit").map(|most| most.unwrap_or(-1));
    let separator = || args.text(0, "sep");
    let found = match name {
        "split" => split(text, separator()?, most()?)?,
        "rsplit" => split_right(text, separator()?, most()?)?,
        "splitlines" => split_lines(text, args.flag(0, "keepends").unwrap_or(false)),
        _ => {
            let Some(separator) = separator()?.filter(|s| !s.is_empty()) else {
                return fault("ValueError: empty separator");
            };
            let last = name == "rpartition";
            let at = if last { text.rfind(separator) } else { text.find(separator) };
            let found = match at {
                Some(at) => vec![&text[..at], separator, &text[at + separator.len()..]],
                None if last => vec!["", "", text],
                None => vec![text, "", ""],
            };
            return Value::tuple(parts(found, safe, budget)?);
        }
    };
    Value::list(parts(found, safe, budget)?)
}

fn text_method(text: &str, safe: bool, name: &str, args: Args, budget: &mut Budget) -> Res<Value> {
    budget.spend(text.len().saturating_mul(3))?;
    if name.starts_with("is") {
        return Ok(Value::Bool(predicate(text, name)));
    }
    let chars = || args.text(0, "chars");
    let made = match name {
        "split" | "rsplit" | "splitlines" | "partition" | "rpartition" => {
            return split_method(text, safe, name, &args, budget)
        }
        "startswith" | "endswith" => return affix(text, name, &args).map(Value::Bool),
        "find" | "rfind" | "index" | "rindex" => {
            return match (search(text, name, &args)?, name.ends_with("index")) {
                (Some(at), _) => Ok(Value::Int(at as i128)),
                (None, false) => Ok(Value::Int(-1)),
                (None, true) => fault("ValueError: substring not found"),
            }
        }
        "count" => {
            let part = wanted(&args, name)?;
            let empty = part.is_empty();
            let count = if empty { text.chars().count() + 1 } else { text.matches(part).count() };
            return Ok(Value::Int(count as i128));
        }
        "strip" | "lstrip" | "rstrip" => {
            strip(text, chars()?, name != "rstrip", name != "lstrip").to_owned()
        }
        "removeprefix" => text.strip_prefix(wanted(&args, name)?).unwrap_or(text).to_owned(),
        "removesuffix" => text.strip_suffix(wanted(&args, name)?).unwrap_or(text).to_owned(),
        "lower" | "casefold" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "capitalize" => capitalize(text),
        "title" => title(text),
        "swapcase" => text
            .chars()
            .flat_map(|c| match c.is_uppercase() {
                true => c.to_lowercase().collect::<Vec<_>>(),
                false => c.to_uppercase().collect(),
            })
            .collect(),
        "ljust" | "rjust" | "center" => padded(text, name, &args, budget)?,
        "zfill" => {
            let width = args.int(0, "width")?.unwrap_or(0).clamp(0, i128::from(u32::MAX)) as usize;
            let missing = width.saturating_sub(text.chars().count());
            budget.room(text.len(), missing)?;
            let sign = usize::from(text.starts_with(['-', '+']));
            format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
        }
        "replace" => {
            let (Some(from), Some(to)) = (args.text(0, "old")?, args.text(1, "new")?) else {
                return type_error("replace expected at least 2 arguments");
            };
            let marked = matches!(args.get(1, "new"), Some(Value::Safe(_)));
            let to = if safe && !marked { escape(to) } else { to.to_owned() };
            replace(text, from, &to, args.int(2, "count")?, budget)?
        }
        "join" => return join(text, safe, &args, budget),
        "format" => format::braces(text, &args.list, &args.named, budget)?,
        "expandtabs" => {
            let size = args.int(0, "tabsize")?.unwrap_or(8).clamp(0, 1000) as usize;
            expand_tabs(text, size, budget)?
        }
        _ => return fault(format!("AttributeError: 'str' object has no attribute '{name}'")),
    };
    Ok(if safe { Value::Safe(made.into()) } else { Value::Text(made.into()) })
}

fn expand_tabs(text: &str, size: usize, budget: &mut Budget) -> Res<String> {
    budget.room(text.len(), text.matches('\t').count().saturating_mul(size))?;
    let (mut out, mut column) = (String::new(), 0);
    for c in text.chars() {
        match c {
            '\t' if size > 0 => {
                let fill = size - column % size;
                out.extend(std::iter::repeat_n(' ', fill));
                column += fill;
            }
            '\t' => {}
            c => {
                out.push(c);
                column = if c == '\n' || c == '\r' { 0 } else { column + 1 };
            }
        }
    }
    Ok(out)
}

fn join(separator: &str, safe: bool, args: &Args, budget: &mut Budget) -> Res<Value> {
    let Some(items) = args.list.first() else {
        return type_error("str.join() takes exactly one argument (0 given)");
    };
    ops::defined(items)?;
    let items = ops::iterate(items, budget)?;
    let mut out = String::new();
    for (n, item) in items.iter().enumerate() {
        let Some(text) = item.as_str() else {
            let found = item.type_name();
            return type_error(format!("sequence item {n}: expected str instance, {found} found"));
        };
        let separator = if n > 0 { separator } else { "" };
        let text = match (safe, item) {
            (true, Value::Text(_)) => escape(text),
            _ => text.to_owned(),
        };
        budget.room(out.len(), separator.len() + text.len())?;
        out.push_str(separator);
        out.push_str(&text);
    }
    Ok(if safe { Value::Safe(out.into()) } else { Value::Text(out.into()) })
}
