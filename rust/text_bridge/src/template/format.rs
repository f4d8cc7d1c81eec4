//! `"..." % values` and `"...".format(values)`.

use super::budget::Budget;
use super::ops::escaped;
use super::text::{float_repr, repr, to_str};
use super::value::{fault, type_error, Res, Value};
use std::iter::Peekable;
use std::str::Chars;

#[derive(Default)]
struct Spec {
    left: bool,
    zero: bool,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}
/// Of width and precision; the length of the text is bounded by the budget.
const NUMBER_MAX: usize = 1_000_000;
/// Of a float's digits: Rust's own formatting panics above 65535.
const PRECISION_MAX: usize = 10_000;

fn number(chars: &mut Peekable<Chars>) -> Res<Option<usize>> {
    let mut found = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        let next = found.unwrap_or(0usize).saturating_mul(10).saturating_add(digit as usize);
        if next > NUMBER_MAX {
            return fault("OverflowError: width or precision too large");
        }
        found = Some(next);
        chars.next();
    }
    Ok(found)
}

fn pad(out: &mut String, body: &str, spec: &Spec, numeric: bool, budget: &mut Budget) -> Res<()> {
    let length = body.chars().count();
    let fill = spec.width.saturating_sub(length);
    budget.room(out.len(), body.len() + fill)?;
    if spec.left {
        out.push_str(body);
        out.extend(std::iter::repeat_n(' ', fill));
    } else if spec.zero && numeric {
        let sign = body.starts_with(['-', '+', ' ']) as usize;
        out.push_str(&body[..sign]);
        out.extend(std::iter::repeat_n('0', fill));
        out.push_str(&body[sign..]);
    } else {
        out.extend(std::iter::repeat_n(' ', fill));
        out.push_str(body);
    }
    Ok(())
}

fn signed(body: String, spec: &Spec) -> String {
    match spec.sign {
        Some(sign) if !body.starts_with('-') => format!("{sign}{body}"),
        _ => body,
    }
}

fn exponent_form(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn general_form(value: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let scientific = format!("{value:.*e}", precision - 1);
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let trim = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    if exponent < -4 || exponent >= precision as i32 {
        let text = exponent_form(value, precision - 1);
        let (mantissa, tail) = text.split_once('e').unwrap_or((&text, ""));
        return format!("{}e{tail}", trim(mantissa.to_owned()));
    }
    trim(format!("{value:.*}", (precision as i32 - 1 - exponent).max(0) as usize))
}

fn float_form(value: f64, kind: char, precision: Option<usize>) -> Res<String> {
    if !value.is_finite() {
        return Ok(float_repr(value));
    }
    let precision = precision.unwrap_or(6);
    if precision > PRECISION_MAX {
        return fault("OverflowError: precision too large");
    }
    Ok(match kind {
        'f' | 'F' => format!("{value:.precision$}"),
        'e' | 'E' => exponent_form(value, precision),
        _ => general_form(value, precision),
    })
}

fn integer_form(value: i128, kind: char, alternate: bool) -> String {
    let (sign, size) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    match (kind, alternate) {
        ('x', false) => format!("{sign}{size:x}"),
        ('x', true) => format!("{sign}0x{size:x}"),
        ('X', false) => format!("{sign}{size:X}"),
        ('X', true) => format!("{sign}0X{size:X}"),
        ('o', false) => format!("{sign}{size:o}"),
        ('o', true) => format!("{sign}0o{size:o}"),
        ('b', false) => format!("{sign}{size:b}"),
        ('b', true) => format!("{sign}0b{size:b}"),
        _ => format!("{sign}{size}"),
    }
}

fn one(
    out: &mut String,
    kind: char,
    spec: &Spec,
    value: &Value,
    safe: bool,
    budget: &mut Budget,
) -> Res<()> {
    match kind {
        's' | 'r' | 'a' => {
            let mut text = String::new();
            match (kind, safe) {
                ('s', true) => text = escaped(value, budget)?,
                ('s', false) => text.push_str(&to_str(value, budget)?),
                _ => repr(&mut text, value, budget)?,
            }
            if let Some(most) = spec.precision {
                text = text.chars().take(most).collect();
            }
            pad(out, &text, spec, false, budget)
        }
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
            let whole = match value {
                Value::Float(number) if "diu".contains(kind) => Some(number.trunc() as i128),
                other => other.as_int(),
            };
            let body = match (whole, value) {
                (Some(number), _) => integer_form(number, kind, spec.alternate),
                (None, Value::Big(digits)) => digits.to_string(),
                _ => {
                    let name = value.type_name();
                    let wanted = if "diu".contains(kind) { "a real number" } else { "an integer" };
                    return type_error(format!("%{kind} format: {wanted} is required, not {name}"));
                }
            };
            pad(out, &signed(body, spec), spec, true, budget)
        }
        'f' | 'F' | 'e' | 'E' | 'g' | 'G' => match value.as_float() {
            Some(number) => {
                budget.room(out.len(), spec.precision.unwrap_or(6) + 400)?;
                let body = signed(float_form(number, kind, spec.precision)?, spec);
                pad(out, &body, spec, true, budget)
            }
            None => type_error(format!("must be real number, not {}", value.type_name())),
        },
        'c' => match (value.as_int().and_then(|n| u32::try_from(n).ok()), value.as_str()) {
            (Some(code), _) => match char::from_u32(code) {
                Some(c) => pad(out, c.encode_utf8(&mut [0; 4]), spec, false, budget),
                None => fault("OverflowError: %c arg not in range(0x110000)"),
            },
            (None, Some(text)) if text.chars().count() == 1 => pad(out, text, spec, false, budget),
            _ => type_error("%c requires int or char"),
        },
        other => fault(format!("ValueError: unsupported format character '{other}'")),
    }
}

fn flags(chars: &mut Peekable<Chars>, spec: &mut Spec) {
    while let Some(flag) = chars.next_if(|c| "-+ #0".contains(*c)) {
        match flag {
            '-' => spec.left = true,
            '0' => spec.zero = true,
            '#' => spec.alternate = true,
            sign => spec.sign = Some(if spec.sign == Some('+') { '+' } else { sign }),
        }
    }
}

/// `pattern % args`; safe: pattern is marked text, so what is put in is escaped.
pub fn percent(pattern: &str, safe: bool, args: &Value, budget: &mut Budget) -> Res<Value> {
    let (list, mapping): (&[Value], Option<&Value>) = match args {
        Value::Tuple(seq) => (&seq.items, None),
        Value::Dict(_) => (std::slice::from_ref(args), Some(args)),
        _ => (std::slice::from_ref(args), None),
    };
    let (mut used, mut by_key) = (0, false);
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            budget.room(out.len(), 4)?;
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        let mut keyed = None;
        if chars.next_if_eq(&'(').is_some() {
            let Some(map) = mapping else { return type_error("format requires a mapping") };
            let key: String = chars.by_ref().take_while(|c| *c != ')').collect();
            keyed = Some(super::ops::item(map, &Value::text(&key), budget)?);
            if keyed.as_ref().is_some_and(Value::is_undefined) {
                return fault(format!("KeyError: '{key}'"));
            }
            by_key = true;
        }
        flags(&mut chars, &mut spec);
        let mut next = || -> Res<&Value> {
            used += 1;
            match list.get(used - 1) {
                Some(value) => Ok(value),
                None => type_error("not enough arguments for format string"),
            }
        };
        let mut size = |chars: &mut Peekable<Chars>| -> Res<Option<i128>> {
            if chars.next_if_eq(&'*').is_none() {
                return Ok(number(chars)?.map(|n| n as i128));
            }
            match next()?.as_int() {
                Some(n) if n.unsigned_abs() <= NUMBER_MAX as u128 => Ok(Some(n)),
                _ => type_error("* wants int"),
            }
        };
        if let Some(width) = size(&mut chars)? {
            spec.left |= width < 0;
            spec.width = width.unsigned_abs() as usize;
        }
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(size(&mut chars)?.unwrap_or(0).max(0) as usize);
        }
        while chars.next_if(|c| "hlL".contains(*c)).is_some() {}
        match chars.next() {
            Some('%') => out.push('%'),
            Some(kind) => {
                let value = match &keyed {
                    Some(value) => value,
                    None => next()?,
                };
                one(&mut out, kind, &spec, value, safe, budget)?;
            }
            None => return fault("ValueError: incomplete format"),
        }
    }
    if used < list.len() && mapping.is_none() && !by_key && !matches!(args, Value::List(_)) {
        return type_error("not all arguments converted during string formatting");
    }
    Ok(if safe { Value::Safe(out.into()) } else { Value::Text(out.into()) })
}

/// `"{} {0} {name:>8}".format(...)`: fields without attributes or subscripts.
pub fn braces(
    pattern: &str,
    args: &[Value],
    named: &[(std::sync::Arc<str>, Value)],
    budget: &mut Budget,
) -> Res<String> {
    let mut out = String::new();
    let mut automatic = 0;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        budget.room(out.len(), 4)?;
        match c {
            '{' | '}' if chars.next_if_eq(&c).is_some() => out.push(c),
            '}' => return fault("ValueError: Single '}' encountered in format string"),
            '{' => {
                let field: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let (name, how) = field.split_once(':').unwrap_or((&field, ""));
                let (name, conversion) = name.split_once('!').unwrap_or((name, ""));
                let value = if name.is_empty() {
                    automatic += 1;
                    args.get(automatic - 1)
                } else if let Ok(at) = name.parse::<usize>() {
                    args.get(at)
                } else {
                    named.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
                };
                let Some(value) = value else {
                    return fault(format!("IndexError: no value for field '{name}'"));
                };
                field_text(&mut out, value, conversion, how, budget)?;
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn field_text(
    out: &mut String,
    value: &Value,
    conversion: &str,
    how: &str,
    budget: &mut Budget,
) -> Res<()> {
    let mut body = String::new();
    let mut chars = how.chars().peekable();
    let mut spec = Spec::default();
    let mut align = None;
    let second = how.chars().nth(1);
    let mut fill = ' ';
    if second.is_some_and(|c| "<>^".contains(c)) {
        fill = chars.next().unwrap_or(' ');
    }
    if let Some(c) = chars.next_if(|c| "<>^".contains(*c)) {
        align = Some(c);
    }
    spec.sign = chars.next_if(|c| "+ ".contains(*c));
    chars.next_if_eq(&'-');
    spec.alternate = chars.next_if_eq(&'#').is_some();
    spec.zero = chars.next_if_eq(&'0').is_some();
    spec.width = number(&mut chars)?.unwrap_or(0);
    let commas = chars.next_if_eq(&',').is_some();
    if chars.next_if_eq(&'.').is_some() {
        spec.precision = number(&mut chars)?;
    }
    let numeric = value.as_float().is_some() && conversion.is_empty();
    let kind = match (chars.next(), value) {
        (Some(kind), _) => kind,
        (None, Value::Float(_)) if spec.precision.is_some() => 'g',
        (None, Value::Int(_)) => 'd',
        _ => 's',
    };
    let width = std::mem::take(&mut spec.width);
    let raw = Spec { width: 0, ..spec };
    match (conversion, kind, value.as_int()) {
        ("r", ..) => repr(&mut body, value, budget)?,
        ("", 'b', Some(number)) => body = integer_form(number, 'b', raw.alternate),
        ("", '%', _) if numeric => {
            let percent = value.as_float().unwrap_or(0.0) * 100.0;
            body = float_form(percent, 'f', raw.precision)? + "%";
        }
        _ => one(&mut body, kind, &raw, value, false, budget)?,
    }
    if commas {
        body = with_commas(&body);
    }
    let length = body.chars().count();
    let missing = width.saturating_sub(length);
    budget.room(out.len(), body.len() + missing * 4)?;
    if raw.zero && align.is_none() && numeric {
        return pad(out, &body, &Spec { width, zero: true, ..Spec::default() }, true, budget);
    }
    let before = match align.unwrap_or(if numeric { '>' } else { '<' }) {
        '>' => missing,
        '^' => missing / 2,
        _ => 0,
    };
    out.extend(std::iter::repeat_n(fill, before));
    out.push_str(&body);
    out.extend(std::iter::repeat_n(fill, missing - before));
    Ok(())
}

fn with_commas(body: &str) -> String {
    let whole = body.find(['.', 'e']).unwrap_or(body.len());
    let (digits, tail) = body.split_at(whole);
    let mut out = String::new();
    for (n, c) in digits.chars().enumerate() {
        let left = digits.len() - n;
        if n > 0 && left % 3 == 0 && !out.ends_with(['-', '+']) {
            out.push(',');
        }
        out.push(c);
    }
    out + tail
}
