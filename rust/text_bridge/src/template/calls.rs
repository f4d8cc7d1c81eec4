//! Arguments, globals, attributes and calls.

use super::eval::Render;
use super::ops;
use super::value::{fault, type_error, Fault, Loop, Res, Value};
use super::{methods, strftime};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// jinja2's sandbox allows no longer one.
const RANGE_MAX: i128 = 100_000;

#[derive(Default)]
pub struct Args {
    pub list: Vec<Value>,
    pub named: Vec<(Arc<str>, Value)>,
}

impl Args {
    pub fn take_named(&mut self, name: &str) -> Option<Value> {
        let at = self.named.iter().position(|(known, _)| **known == *name)?;
        Some(self.named.remove(at).1)
    }
    /// The argument at place `at` or of that name.
    pub fn get(&self, at: usize, name: &str) -> Option<&Value> {
        let named = || self.named.iter().find(|(known, _)| **known == *name).map(|e| &e.1);
        self.list.get(at).or_else(named)
    }
    pub fn text(&self, at: usize, name: &str) -> Res<Option<&str>> {
        match self.get(at, name) {
            None | Some(Value::None) => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) => Ok(Some(text)),
                None => {
                    ops::defined(value)?;
                    type_error(format!("'{name}' must be str, not {}", value.type_name()))
                }
            },
        }
    }
    pub fn int(&self, at: usize, name: &str) -> Res<Option<i128>> {
        match self.get(at, name) {
            None | Some(Value::None) => Ok(None),
            Some(value) => match value.as_int() {
                Some(number) => Ok(Some(number)),
                None => {
                    ops::defined(value)?;
                    let found = value.type_name();
                    type_error(format!("'{found}' object cannot be interpreted as an integer"))
                }
            },
        }
    }
    pub fn flag(&self, at: usize, name: &str) -> Option<bool> {
        self.get(at, name).map(Value::is_true)
    }
}

pub fn global(name: &str) -> Option<&'static str> {
    const NAMES: [&str; 7] =
        ["range", "dict", "namespace", "raise_exception", "strftime_now", "cycler", "joiner"];
    NAMES.into_iter().find(|known| *known == name)
}

impl Render<'_> {
    pub fn call(&mut self, callee: &Value, mut args: Args) -> Res<Value> {
        self.budget.step()?;
        match callee {
            Value::Macro(called) => self.call_macro(called, args),
            Value::Method(bound) => methods::call(&bound.0, &bound.1, args, &mut self.budget),
            Value::Function(name) => self.call_global(name, args),
            Value::Loop(state) => match args.get(0, "iterable") {
                Some(items) => {
                    let items = items.clone();
                    self.descend(state, &items)
                }
                None => type_error("loop() missing 1 required positional argument: 'iterable'"),
            },
            Value::Joiner(joiner) => {
                let first = !joiner.1.replace(true);
                Ok(if first { Value::text("") } else { joiner.0.clone() })
            }
            Value::Undefined(_) => {
                ops::defined(callee)?;
                Ok(Value::None)
            }
            other => {
                args.list.clear();
                type_error(format!("'{}' object is not callable", other.type_name()))
            }
        }
    }

    #[inline(never)]
    fn call_global(&mut self, name: &str, args: Args) -> Res<Value> {
        match name {
            "raise_exception" => {
                let message = match args.get(0, "message") {
                    Some(value) => super::text::to_str(value, &mut self.budget)?.into_owned(),
                    None => return type_error("raise_exception() missing an argument: 'message'"),
                };
                Err(Fault::Raised(message))
            }
            "strftime_now" => match args.text(0, "format")? {
                Some(format) => strftime(self.now_local, format).map(Value::text),
                None => type_error("strftime_now() missing an argument: 'format'"),
            },
            "range" => self.range(&args),
            "dict" => {
                let mut entries = Vec::new();
                match args.list.first() {
                    Some(Value::Dict(dict)) => entries.extend(dict.entries.iter().cloned()),
                    Some(other) => {
                        for pair in ops::iterate(other, &mut self.budget)?.iter() {
                            let pair = ops::iterate(pair, &mut self.budget)?;
                            let [key, value] = pair.as_slice() else {
                                return fault(
                                    "ValueError: dictionary update sequence element has \
                                              a wrong length; 2 is required",
                                );
                            };
                            entries.push((key.clone(), value.clone()));
                        }
                    }
                    None => {}
                }
                entries
                    .extend(args.named.into_iter().map(|(key, value)| (Value::Text(key), value)));
                Value::dict(entries, &mut self.budget)
            }
            "namespace" => {
                let mut vars: Vec<(Arc<str>, Value)> = Vec::new();
                if let Some(Value::Dict(dict)) = args.list.first() {
                    for (key, value) in &dict.entries {
                        vars.push((key.as_str().unwrap_or_default().into(), value.clone()));
                    }
                }
                for (key, value) in args.named {
                    vars.retain(|(known, _)| *known != key);
                    vars.push((key, value));
                }
                Value::namespace(vars)
            }
            "cycler" if args.list.is_empty() => {
                fault("RuntimeError: at least one item has to be provided")
            }
            "cycler" => {
                args.list.iter().try_for_each(Value::check_held)?;
                Ok(Value::Cycler(Rc::new((args.list, Cell::new(0)))))
            }
            _ => {
                let separator = args.get(0, "sep").cloned().unwrap_or_else(|| Value::text(", "));
                separator.check_held()?;
                Ok(Value::Joiner(Rc::new((separator, Cell::new(false)))))
            }
        }
    }

    fn range(&mut self, args: &Args) -> Res<Value> {
        let mut numbers = Vec::new();
        for at in 0..args.list.len() {
            numbers.push(args.int(at, "range")?.unwrap_or(0));
        }
        let (start, stop, step) = match numbers.as_slice() {
            [stop] => (0, *stop, 1),
            [start, stop] => (*start, *stop, 1),
            [start, stop, step] => (*start, *stop, *step),
            _ => return type_error("range expected 1 to 3 arguments"),
        };
        if step == 0 {
            return fault("ValueError: range() arg 3 must not be zero");
        }
        let span = if step > 0 { stop.saturating_sub(start) } else { start.saturating_sub(stop) };
        let size = step.unsigned_abs().min(i128::MAX as u128) as i128;
        let count = if span <= 0 { 0 } else { (span - 1) / size + 1 };
        if count > RANGE_MAX {
            return fault(format!(
                "OverflowError: Range too big. The sandbox blocks ranges larger than MAX_RANGE \
                 ({RANGE_MAX})."
            ));
        }
        self.budget.spend(count as usize * size_of::<Value>())?;
        Value::list((0..count).map(|n| Value::Int(start + n * step)).collect())
    }

    /// `value.name`: Python's attribute first, then an item of that name.
    pub fn attribute(&mut self, value: &Value, name: &Arc<str>) -> Res<Value> {
        ops::defined(value)?;
        match value {
            Value::Namespace(namespace) => {
                let found =
                    namespace.vars.borrow().iter().find(|(known, _)| known == name).cloned();
                let absent = || ops::missing_attribute(value, name);
                return Ok(found.map_or_else(absent, |entry| entry.1));
            }
            Value::Loop(state) => return loop_attribute(state, value, name),
            Value::Cycler(cycler) => match &**name {
                "current" => return Ok(cycler.0[cycler.1.get()].clone()),
                "next" | "reset" => {}
                _ => return Ok(ops::missing_attribute(value, name)),
            },
            Value::Macro(called) if &**name == "name" => {
                return Ok(Value::Text(called.definition.name.clone()))
            }
            _ => {}
        }
        if methods::exists(value, name) {
            return Ok(Value::Method(Rc::new((value.clone(), name.clone()))));
        }
        ops::item(value, &Value::Text(name.clone()), &mut self.budget)
    }

    /// `value[key]`: an item first, then an attribute of that name.
    pub fn subscript(&mut self, value: &Value, key: &Value) -> Res<Value> {
        let found = ops::item(value, key, &mut self.budget)?;
        match key {
            Value::Text(name) | Value::Safe(name) if found.is_undefined() => {
                let other = self.attribute(value, name)?;
                Ok(if other.is_undefined() { found } else { other })
            }
            _ => Ok(found),
        }
    }
}

fn loop_attribute(state: &Rc<Loop>, value: &Value, name: &Arc<str>) -> Res<Value> {
    let (index, length) = (state.index.get(), state.items.len());
    let int = |number: usize| Ok(Value::Int(number as i128));
    match &**name {
        "index" => int(index + 1),
        "index0" => int(index),
        "revindex" => int(length - index),
        "revindex0" => int(length - index - 1),
        "first" => Ok(Value::Bool(index == 0)),
        "last" => Ok(Value::Bool(index + 1 == length)),
        "length" => int(length),
        "depth" => int(state.level + 1),
        "depth0" => int(state.level),
        "previtem" => Ok(match index.checked_sub(1) {
            Some(before) => state.items[before].clone(),
            None => Value::Undefined("there is no previous item".into()),
        }),
        "nextitem" => Ok(match state.items.get(index + 1) {
            Some(next) => next.clone(),
            None => Value::Undefined("there is no next item".into()),
        }),
        "cycle" | "changed" => Ok(Value::Method(Rc::new((value.clone(), name.clone())))),
        _ => Ok(ops::missing_attribute(value, name)),
    }
}
