//! Python's operators, subscripts and iteration.

use super::ast::{Comparison, Operator};
use super::budget::Budget;
use super::format;
use super::text::to_str;
use super::value::{fault, position, type_error, Fault, Res, Value};
use std::cmp::Ordering;
use std::rc::Rc;

/// Any use of an undefined value that jinja2 does not let pass.
pub fn defined(value: &Value) -> Res<()> {
    match value {
        Value::Undefined(why) => fault(format!("UndefinedError: {why}")),
        _ => Ok(()),
    }
}

pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text that joins marked text: escaped unless it is marked itself.
pub fn escaped(value: &Value, budget: &mut Budget) -> Res<String> {
    if let Value::Safe(text) = value {
        return Ok(text.to_string());
    }
    let text = to_str(value, budget)?;
    budget.spend(text.len() * 5)?;
    Ok(escape(&text))
}

fn mismatch(symbol: &str, left: &Value, right: &Value) -> Fault {
    let (left, right) = (left.type_name(), right.type_name());
    Fault::Error(format!(
        "TypeError: unsupported operand type(s) for {symbol}: '{left}' and '{right}'"
    ))
}

pub fn binary(op: Operator, left: &Value, right: &Value, budget: &mut Budget) -> Res<Value> {
    if op == Operator::Concat {
        let (left, right) = (to_str(left, budget)?, to_str(right, budget)?);
        return join(&left, &right, false, budget);
    }
    defined(left)?;
    if op == Operator::Rem {
        if let Value::Text(pattern) | Value::Safe(pattern) = left {
            let safe = matches!(left, Value::Safe(_));
            return format::percent(pattern, safe, right, budget);
        }
    }
    defined(right)?;
    match op {
        Operator::Add => add(left, right, budget),
        Operator::Mul => multiply(left, right, budget),
        _ => arithmetic(op, left, right),
    }
}

fn join(left: &str, right: &str, safe: bool, budget: &mut Budget) -> Res<Value> {
    budget.room(left.len(), right.len())?;
    budget.spend(left.len())?;
    let mut out = String::with_capacity(left.len() + right.len());
    out.push_str(left);
    out.push_str(right);
    Ok(if safe { Value::Safe(out.into()) } else { Value::Text(out.into()) })
}

fn add(left: &Value, right: &Value, budget: &mut Budget) -> Res<Value> {
    match (left, right) {
        (Value::Text(a), Value::Text(b)) => join(a, b, false, budget),
        (Value::Safe(a), Value::Safe(b)) => join(a, b, true, budget),
        (Value::Safe(a), Value::Text(_)) => join(a, &escaped(right, budget)?, true, budget),
        (Value::Text(_), Value::Safe(b)) => join(&escaped(left, budget)?, b, true, budget),
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            budget.spend((a.items.len() + b.items.len()) * size_of::<Value>())?;
            let items = a.items.iter().chain(&b.items).cloned().collect();
            match left {
                Value::List(_) => Value::list(items),
                _ => Value::tuple(items),
            }
        }
        (Value::Text(_) | Value::Safe(_), other) => {
            let name = other.type_name();
            type_error(format!("can only concatenate str (not \"{name}\") to str"))
        }
        (Value::List(_), other) => {
            let name = other.type_name();
            type_error(format!("can only concatenate list (not \"{name}\") to list"))
        }
        _ => arithmetic(Operator::Add, left, right),
    }
}

fn multiply(left: &Value, right: &Value, budget: &mut Budget) -> Res<Value> {
    let (repeated, count) = match (left.as_int(), right.as_int()) {
        (None, Some(count)) => (left, count),
        (Some(count), None) => (right, count),
        _ => return arithmetic(Operator::Mul, left, right),
    };
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    match repeated {
        Value::Text(text) | Value::Safe(text) => {
            budget.room(0, text.len().saturating_mul(count))?;
            let made = text.repeat(count);
            Ok(match repeated {
                Value::Safe(_) => Value::Safe(made.into()),
                _ => Value::Text(made.into()),
            })
        }
        Value::List(seq) | Value::Tuple(seq) => {
            budget.spend(seq.items.len().saturating_mul(count).saturating_mul(32))?;
            let items = seq.items.iter().cloned().cycle().take(seq.items.len() * count).collect();
            match repeated {
                Value::List(_) => Value::list(items),
                _ => Value::tuple(items),
            }
        }
        _ => arithmetic(Operator::Mul, left, right),
    }
}

fn symbol(op: Operator) -> &'static str {
    match op {
        Operator::Add => "+",
        Operator::Sub => "-",
        Operator::Mul => "*",
        Operator::Div => "/",
        Operator::FloorDiv => "//",
        Operator::Rem => "%",
        Operator::Pow => "** or pow()",
        Operator::Concat | Operator::And | Operator::Or => "",
    }
}

fn arithmetic(op: Operator, left: &Value, right: &Value) -> Res<Value> {
    if let (Some(a), Some(b)) = (left.as_int(), right.as_int()) {
        return integers(op, a, b);
    }
    if matches!((left, right), (Value::Big(_), _) | (_, Value::Big(_))) {
        return fault("OverflowError: integers beyond 128 bits are not computed with");
    }
    match (left.as_float(), right.as_float()) {
        (Some(a), Some(b)) => floats(op, a, b),
        _ => Err(mismatch(symbol(op), left, right)),
    }
}

fn integers(op: Operator, a: i128, b: i128) -> Res<Value> {
    let made =
        match op {
            Operator::Add => a.checked_add(b),
            Operator::Sub => a.checked_sub(b),
            Operator::Mul => a.checked_mul(b),
            Operator::Div | Operator::FloorDiv | Operator::Rem if b == 0 => {
                return fault(match op {
                    Operator::Div => "ZeroDivisionError: division by zero",
                    Operator::Rem => "ZeroDivisionError: integer modulo by zero",
                    _ => "ZeroDivisionError: integer division or modulo by zero",
                });
            }
            Operator::Div => return Ok(Value::Float(a as f64 / b as f64)),
            Operator::FloorDiv => a.checked_div(b).map(|quotient| {
                let inexact = a.wrapping_rem(b) != 0;
                if inexact && (a < 0) != (b < 0) {
                    quotient - 1
                } else {
                    quotient
                }
            }),
            Operator::Rem => a.checked_rem(b).map(|rest| {
                if rest != 0 && (rest < 0) != (b < 0) {
                    rest + b
                } else {
                    rest
                }
            }),
            Operator::Pow if b < 0 => return floats(op, a as f64, b as f64),
            Operator::Pow => match u32::try_from(b) {
                Ok(power) => a.checked_pow(power),
                Err(_) if (-1..=1).contains(&a) => Some(if b % 2 == 0 { a * a } else { a }),
                Err(_) => None,
            },
            Operator::Concat | Operator::And | Operator::Or => None,
        };
    match made {
        Some(number) => Ok(Value::Int(number)),
        None => fault("OverflowError: integers beyond 128 bits are not computed with"),
    }
}

fn floats(op: Operator, a: f64, b: f64) -> Res<Value> {
    let zero = b == 0.0;
    Ok(Value::Float(match op {
        Operator::Add => a + b,
        Operator::Sub => a - b,
        Operator::Mul => a * b,
        Operator::Div if zero => return fault("ZeroDivisionError: float division by zero"),
        Operator::Div => a / b,
        Operator::FloorDiv if zero => {
            return fault("ZeroDivisionError: float floor division by zero")
        }
        Operator::FloorDiv => (a / b).floor(),
        Operator::Rem if zero => return fault("ZeroDivisionError: float modulo"),
        Operator::Rem => {
            let rest = a % b;
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
                rest + b
            } else {
                rest
            }
        }
        Operator::Pow if a == 0.0 && b < 0.0 => {
            return fault("ZeroDivisionError: 0.0 cannot be raised to a negative power")
        }
        Operator::Pow => a.powf(b),
        Operator::Concat | Operator::And | Operator::Or => f64::NAN,
    }))
}

pub fn negate(value: &Value) -> Res<Value> {
    defined(value)?;
    match (value.as_int().and_then(i128::checked_neg), value) {
        (Some(number), _) => Ok(Value::Int(number)),
        (None, Value::Float(number)) => Ok(Value::Float(-number)),
        _ => type_error(format!("bad operand type for unary -: '{}'", value.type_name())),
    }
}

/// Python's order of two values, or the TypeError of asking for it.
pub fn order(a: &Value, b: &Value, symbol: &str, budget: &mut Budget) -> Res<Ordering> {
    budget.step()?;
    defined(a)?;
    defined(b)?;
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        budget.spend(a.len().min(b.len()))?;
        return Ok(a.cmp(b));
    }
    if let (Some(a), Some(b)) = (a.as_int(), b.as_int()) {
        return Ok(a.cmp(&b));
    }
    if let (Some(a), Some(b)) = (a.as_float(), b.as_float()) {
        return Ok(a.partial_cmp(&b).unwrap_or(Ordering::Greater));
    }
    if let (Value::List(x), Value::List(y)) | (Value::Tuple(x), Value::Tuple(y)) = (a, b) {
        for (one, two) in x.items.iter().zip(&y.items) {
            if !one.equals(two, budget)? {
                return order(one, two, symbol, budget);
            }
        }
        return Ok(x.items.len().cmp(&y.items.len()));
    }
    let (a, b) = (a.type_name(), b.type_name());
    type_error(format!("'{symbol}' not supported between instances of '{a}' and '{b}'"))
}

pub fn compare(op: Comparison, a: &Value, b: &Value, budget: &mut Budget) -> Res<bool> {
    let nan = |value: &Value| matches!(value, Value::Float(number) if number.is_nan());
    if (nan(a) && b.as_float().is_some()) || (nan(b) && a.as_float().is_some()) {
        return Ok(op == Comparison::Ne);
    }
    Ok(match op {
        Comparison::Eq => a.equals(b, budget)?,
        Comparison::Ne => !a.equals(b, budget)?,
        Comparison::Lt => order(a, b, "<", budget)? == Ordering::Less,
        Comparison::Le => order(a, b, "<=", budget)? != Ordering::Greater,
        Comparison::Gt => order(a, b, ">", budget)? == Ordering::Greater,
        Comparison::Ge => order(a, b, ">=", budget)? != Ordering::Less,
        Comparison::In => contains(b, a, budget)?,
        Comparison::NotIn => !contains(b, a, budget)?,
    })
}

pub fn contains(container: &Value, item: &Value, budget: &mut Budget) -> Res<bool> {
    match container {
        Value::Undefined(_) => Ok(false),
        Value::Text(text) | Value::Safe(text) => match item.as_str() {
            Some(part) => {
                budget.spend(text.len())?;
                Ok(text.contains(part))
            }
            None => {
                defined(item)?;
                let name = item.type_name();
                type_error(format!("'in <string>' requires string as left operand, not {name}"))
            }
        },
        Value::Dict(dict) => match item {
            Value::List(_) | Value::Dict(_) => {
                type_error(format!("unhashable type: '{}'", item.type_name()))
            }
            _ => Ok(dict.get(item, budget)?.is_some()),
        },
        Value::List(_) | Value::Tuple(_) | Value::Iter(_) => {
            let items = iterate(container, budget)?;
            Ok(position(items.iter(), item, budget)?.is_some())
        }
        other => type_error(format!("argument of type '{}' is not iterable", other.type_name())),
    }
}

/// What a loop over the value goes through.
pub fn iterate(value: &Value, budget: &mut Budget) -> Res<Rc<Vec<Value>>> {
    let size = size_of::<Value>();
    Ok(match value {
        Value::List(seq) | Value::Tuple(seq) => {
            budget.spend(seq.items.len() * size)?;
            Rc::new(seq.items.clone())
        }
        Value::Dict(dict) => {
            budget.spend(dict.entries.len() * size)?;
            Rc::new(dict.entries.iter().map(|entry| entry.0.clone()).collect())
        }
        Value::Text(text) | Value::Safe(text) => {
            budget.spend(text.len().saturating_mul(2 * size))?;
            let mut buffer = [0; 4];
            Rc::new(text.chars().map(|c| Value::text(c.encode_utf8(&mut buffer))).collect())
        }
        Value::Iter(iter) => {
            budget.spend(iter.len() * size)?;
            iter.take()
        }
        Value::Undefined(_) => Rc::default(),
        other => return type_error(format!("'{}' object is not iterable", other.type_name())),
    })
}

pub fn length(value: &Value) -> Res<usize> {
    Ok(match value {
        Value::Text(text) | Value::Safe(text) => text.chars().count(),
        Value::List(seq) | Value::Tuple(seq) => seq.items.len(),
        Value::Dict(dict) => dict.entries.len(),
        Value::Iter(iter) if !iter.once => iter.len(),
        Value::Undefined(_) => 0,
        other => return type_error(format!("object of type '{}' has no len()", other.type_name())),
    })
}

/// How jinja2 names the type of a value in its errors.
fn shown_type(value: &Value) -> String {
    match value {
        Value::None => "None".into(),
        other => format!("{} object", other.type_name()),
    }
}

pub fn missing_attribute(value: &Value, name: &str) -> Value {
    Value::Undefined(format!("'{}' has no attribute '{name}'", shown_type(value)).into())
}

fn place(index: i128, length: usize) -> Option<usize> {
    let at = if index < 0 { index + length as i128 } else { index };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// `value[key]`; what is not there is undefined.
pub fn item(value: &Value, key: &Value, budget: &mut Budget) -> Res<Value> {
    defined(value)?;
    let found = match (value, key.as_int()) {
        (Value::Dict(dict), _) => match key {
            Value::Undefined(_) => None,
            _ => dict.get(key, budget)?.cloned(),
        },
        (Value::List(seq) | Value::Tuple(seq), Some(index)) => {
            place(index, seq.items.len()).map(|at| seq.items[at].clone())
        }
        (Value::Text(text) | Value::Safe(text), Some(index)) => {
            budget.spend(text.len())?;
            let length = if text.is_ascii() { text.len() } else { text.chars().count() };
            let c = place(index, length).and_then(|at| text.chars().nth(at));
            c.map(|c| Value::text(c.encode_utf8(&mut [0; 4])))
        }
        _ => None,
    };
    if let Some(found) = found {
        return Ok(found);
    }
    if let Some(name) = key.as_str() {
        return Ok(missing_attribute(value, name));
    }
    let mut shown = String::new();
    super::text::repr(&mut shown, key, budget)?;
    Ok(Value::Undefined(format!("{} has no element {shown}", shown_type(value)).into()))
}

/// Indices of `[start:stop:step]` over `length` items, as Python's slice.indices().
fn slice_places(length: usize, bounds: &[Option<i128>; 3]) -> Res<Vec<usize>> {
    let length = length as i128;
    let step = bounds[2].unwrap_or(1);
    if step == 0 {
        return fault("ValueError: slice step cannot be zero");
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: Option<i128>, absent: i128| match bound {
        None => absent,
        Some(at) if at < 0 => at.saturating_add(length).max(low),
        Some(at) => at.min(high),
    };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    let (mut at, stop) = (clamp(bounds[0], first), clamp(bounds[1], last));
    let mut places = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        places.push(at as usize);
        at = at.saturating_add(step);
    }
    Ok(places)
}

pub fn slice(value: &Value, bounds: [Value; 3], budget: &mut Budget) -> Res<Value> {
    defined(value)?;
    let mut numbers = [None; 3];
    for (number, bound) in numbers.iter_mut().zip(&bounds) {
        *number = match (bound, bound.as_int()) {
            (Value::None, _) => None,
            (_, Some(index)) => Some(index),
            _ => {
                let rule = "slice indices must be integers or None or have an __index__ method";
                return type_error(rule);
            }
        };
    }
    match value {
        Value::Text(text) | Value::Safe(text) => {
            budget.spend(text.len().saturating_mul(4))?;
            let chars: Vec<char> = text.chars().collect();
            let places = slice_places(chars.len(), &numbers)?;
            let made: String = places.into_iter().map(|at| chars[at]).collect();
            Ok(match value {
                Value::Safe(_) => Value::Safe(made.into()),
                _ => Value::Text(made.into()),
            })
        }
        Value::List(seq) | Value::Tuple(seq) => {
            budget.spend(seq.items.len().saturating_mul(size_of::<Value>()))?;
            let places = slice_places(seq.items.len(), &numbers)?;
            let items = places.into_iter().map(|at| seq.items[at].clone()).collect();
            match value {
                Value::List(_) => Value::list(items),
                _ => Value::tuple(items),
            }
        }
        // jinja2 looks for an item first and gives undefined when there is none
        other => Ok(Value::Undefined(format!("{} has no element slice", shown_type(other)).into())),
    }
}
