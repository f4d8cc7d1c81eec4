//! Values as Python has them, as far as a chat template can see.

use super::ast;
use super::budget::Budget;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// Of lists and dicts within each other, so that walking or dropping one needs little stack.
const NESTING_MAX: u16 = 250;
/// Of values in one container, each counted as often as it is reached: a list may hold one list
/// many times, and whoever walks it meets that many.
const WEIGHT_MAX: u64 = 50_000_000;

/// How far a container reaches.
#[derive(Clone, Copy, Default)]
pub struct Extent {
    depth: u16,
    pub weight: u64,
    /// Something in it can change or call: it cannot be assigned to a namespace.
    live: bool,
}

/// Why a render ends early.
pub enum Fault {
    /// raise_exception(), with its message.
    Raised(String),
    /// What Python or jinja2 would raise: "TypeError: ...".
    Error(String),
    /// A limit of this renderer.
    Limit(String),
    Break,
    Continue,
}
pub type Res<T> = Result<T, Fault>;

pub fn fault<T>(text: impl Into<String>) -> Res<T> {
    Err(Fault::Error(text.into()))
}
pub fn type_error<T>(text: impl std::fmt::Display) -> Res<T> {
    fault(format!("TypeError: {text}"))
}

#[derive(Clone)]
pub enum Value {
    /// Why it is undefined, as jinja2 words it.
    Undefined(Arc<str>),
    None,
    Bool(bool),
    Int(i128),
    /// An integer of the context beyond 128 bits: passed on, not computed with.
    Big(Arc<str>),
    Float(f64),
    Text(Arc<str>),
    /// Markup: text that `|safe` has marked. Joined with plain text, it escapes that.
    Safe(Arc<str>),
    List(Rc<Seq>),
    Tuple(Rc<Seq>),
    Dict(Rc<Dict>),
    Iter(Rc<Iter>),
    Namespace(Rc<Namespace>),
    Macro(Rc<Macro>),
    Loop(Rc<Loop>),
    Method(Rc<(Value, Arc<str>)>),
    Function(&'static str),
    Cycler(Rc<(Vec<Value>, Cell<usize>)>),
    Joiner(Rc<(Value, Cell<bool>)>),
}

pub struct Seq {
    pub items: Vec<Value>,
    extent: Extent,
}

/// Entries in order; of equal keys the last value counts, at the place of the first.
pub struct Dict {
    pub entries: Vec<(Value, Value)>,
    index: HashMap<Arc<str>, usize>, // filled when there are many entries
    extent: Extent,
}
const INDEXED_FROM: usize = 12;

/// A generator (read once) or a view of a dict (read at will).
pub struct Iter {
    pub kind: &'static str,
    pub once: bool,
    items: RefCell<Option<Rc<Vec<Value>>>>,
    extent: Extent,
}

/// A new one may hold others; later assignments may not, so that no cycle can come to be.
pub struct Namespace {
    pub vars: RefCell<Vec<(Arc<str>, Value)>>,
    extent: Extent,
}

pub struct Macro {
    pub definition: Arc<ast::Macro>,
    /// Weak, because the scope holds the macro; a scope outlives all that runs inside it.
    pub scope: Weak<Scope>,
}

pub struct Loop {
    pub items: Rc<Vec<Value>>,
    pub index: Cell<usize>,
    pub level: usize,
    pub changed: RefCell<Option<Vec<Value>>>,
    /// To go down again in a recursive loop.
    pub recursive: Option<(Arc<ast::For>, Weak<Scope>)>,
}

pub struct Scope {
    pub vars: RefCell<Vec<(ast::Name, Value)>>,
    pub parent: Option<Rc<Scope>>,
}

impl Scope {
    pub fn inside(parent: Option<Rc<Scope>>) -> Rc<Scope> {
        Rc::new(Scope { vars: RefCell::new(Vec::new()), parent })
    }
    pub fn set(&self, name: ast::Name, value: Value) {
        let mut vars = self.vars.borrow_mut();
        match vars.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => vars.push((name, value)),
        }
    }
    pub fn get(&self, name: ast::Name) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some(entry) = scope.vars.borrow().iter().find(|(known, _)| *known == name) {
                return Some(entry.1.clone());
            }
            scope = scope.parent.as_deref()?;
        }
    }
}

/// Extent of a container of these, or a fault.
fn extent_over<'a>(items: impl Iterator<Item = &'a Value>) -> Res<Extent> {
    let mut extent = Extent::default();
    for item in items {
        let one = item.extent()?;
        extent.depth = extent.depth.max(one.depth);
        extent.live |= one.live;
        extent.weight = extent.weight.saturating_add(one.weight).saturating_add(1);
    }
    if extent.depth >= NESTING_MAX {
        return Err(Fault::Limit(format!("values nested deeper than {NESTING_MAX}")));
    }
    if extent.weight > WEIGHT_MAX {
        return Err(Fault::Limit(format!("more than {WEIGHT_MAX} values in one")));
    }
    extent.depth += 1;
    Ok(extent)
}

impl Value {
    pub fn text(text: impl AsRef<str>) -> Value {
        Value::Text(text.as_ref().into())
    }
    pub fn list(items: Vec<Value>) -> Res<Value> {
        let extent = extent_over(items.iter())?;
        Ok(Value::List(Rc::new(Seq { items, extent })))
    }
    pub fn tuple(items: Vec<Value>) -> Res<Value> {
        let extent = extent_over(items.iter())?;
        Ok(Value::Tuple(Rc::new(Seq { items, extent })))
    }
    pub fn iter(kind: &'static str, items: Vec<Value>) -> Res<Value> {
        let extent = extent_over(items.iter())?;
        let once = !kind.starts_with("dict_");
        let items = RefCell::new(Some(Rc::new(items)));
        Ok(Value::Iter(Rc::new(Iter { kind, once, items, extent })))
    }
    pub fn namespace(vars: Vec<(Arc<str>, Value)>) -> Res<Value> {
        let extent = extent_over(vars.iter().map(|(_, value)| value))?;
        Ok(Value::Namespace(Rc::new(Namespace { vars: RefCell::new(vars), extent })))
    }
    pub fn dict(entries: Vec<(Value, Value)>, budget: &mut Budget) -> Res<Value> {
        let extent = extent_over(entries.iter().flat_map(|(key, value)| [key, value]))?;
        let mut dict = Dict { entries: Vec::new(), index: HashMap::new(), extent };
        dict.entries.reserve(entries.len());
        if entries.len() >= INDEXED_FROM {
            for (key, value) in entries {
                dict.insert_indexed(key, value, budget)?;
            }
        } else {
            for (key, value) in entries {
                let key = hashable(key)?;
                match place_of(&dict.entries, &key, budget)? {
                    Some(at) => dict.entries[at].1 = value,
                    None => dict.entries.push((key, value)),
                }
            }
        }
        Ok(Value::Dict(Rc::new(dict)))
    }

    pub fn extent(&self) -> Res<Extent> {
        match self {
            Value::List(seq) | Value::Tuple(seq) => Ok(seq.extent),
            Value::Dict(dict) => Ok(dict.extent),
            Value::Iter(iter) => Ok(iter.extent),
            Value::Method(bound) => {
                let inner = bound.0.extent()?;
                Ok(Extent { depth: inner.depth.saturating_add(1), ..inner })
            }
            // What is in it is not walked through: it stands for itself.
            Value::Namespace(ns) => Ok(Extent { depth: ns.extent.depth, weight: 0, live: true }),
            Value::Macro(_) | Value::Loop(_) | Value::Cycler(_) | Value::Joiner(_) => {
                Ok(Extent { live: true, ..Extent::default() })
            }
            _ => Ok(Extent::default()),
        }
    }
    /// For what is assigned to things that live on.
    pub fn check_held(&self) -> Res<()> {
        if extent_over(std::iter::once(self))?.live {
            return fault(format!("this {} cannot be kept", self.type_name()));
        }
        Ok(())
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Safe(text) => Some(text),
            _ => None,
        }
    }
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Bool(value) => Some(i128::from(*value)),
            _ => None,
        }
    }
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            Value::Big(digits) => digits.parse().ok(),
            _ => self.as_int().map(|number| number as f64),
        }
    }
    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined(_))
    }
    pub fn is_true(&self) -> bool {
        match self {
            Value::Undefined(_) | Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Text(text) | Value::Safe(text) => !text.is_empty(),
            Value::List(seq) | Value::Tuple(seq) => !seq.items.is_empty(),
            Value::Dict(dict) => !dict.entries.is_empty(),
            Value::Iter(iter) if !iter.once => iter.len() > 0,
            _ => true,
        }
    }

    /// Python's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Undefined(_) => "Undefined",
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::Big(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) => "str",
            Value::Safe(_) => "Markup",
            Value::List(_) => "list",
            Value::Tuple(_) => "tuple",
            Value::Dict(_) => "dict",
            Value::Iter(iter) => iter.kind,
            Value::Namespace(_) => "Namespace",
            Value::Macro(_) => "Macro",
            Value::Loop(_) => "LoopContext",
            Value::Method(_) => "builtin_function_or_method",
            Value::Function(_) => "function",
            Value::Cycler(_) => "Cycler",
            Value::Joiner(_) => "Joiner",
        }
    }

    /// Every pair of values that is looked at costs a step: lists may hold one list many times, and
    /// a look-up may meet many long keys.
    pub fn equals(&self, other: &Value, budget: &mut Budget) -> Res<bool> {
        use Value::*;
        budget.step()?;
        Ok(match (self, other) {
            (Undefined(_), Undefined(_)) | (None, None) => true,
            (Text(a) | Safe(a), Text(b) | Safe(b)) => {
                if a.len() == b.len() {
                    budget.spend(a.len())?;
                }
                a == b
            }
            (List(a), List(b)) | (Tuple(a), Tuple(b)) => {
                a.items.len() == b.items.len() && all_equal(&a.items, &b.items, budget)?
            }
            (Dict(a), Dict(b)) => {
                let mut same = a.entries.len() == b.entries.len();
                for (key, value) in &a.entries {
                    if !same {
                        break;
                    }
                    same = match b.get(key, budget)? {
                        Some(found) => value.equals(found, budget)?,
                        Option::None => false,
                    };
                }
                same
            }
            (Big(a), Big(b)) => a == b,
            (Namespace(a), Namespace(b)) => Rc::ptr_eq(a, b),
            (Macro(a), Macro(b)) => Rc::ptr_eq(a, b),
            (Loop(a), Loop(b)) => Rc::ptr_eq(a, b),
            (Iter(a), Iter(b)) => Rc::ptr_eq(a, b),
            _ => match (self.as_int(), other.as_int()) {
                (Some(a), Some(b)) => a == b,
                _ => matches!((self.as_float(), other.as_float()), (Some(a), Some(b)) if a == b),
            },
        })
    }
}

pub fn all_equal(a: &[Value], b: &[Value], budget: &mut Budget) -> Res<bool> {
    for (one, two) in a.iter().zip(b) {
        if !one.equals(two, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where the value is among `items`.
pub fn position<'a>(
    mut items: impl Iterator<Item = &'a Value>,
    value: &Value,
    budget: &mut Budget,
) -> Res<Option<usize>> {
    let mut at = 0;
    loop {
        match items.next() {
            Some(one) if one.equals(value, budget)? => return Ok(Some(at)),
            Some(_) => at += 1,
            None => return Ok(None),
        }
    }
}

fn place_of(entries: &[(Value, Value)], key: &Value, budget: &mut Budget) -> Res<Option<usize>> {
    position(entries.iter().map(|entry| &entry.0), key, budget)
}

fn hashable(key: Value) -> Res<Value> {
    match key {
        Value::List(_) | Value::Dict(_) => {
            type_error(format!("unhashable type: '{}'", key.type_name()))
        }
        _ => Ok(key),
    }
}

impl Dict {
    fn insert_indexed(&mut self, key: Value, value: Value, budget: &mut Budget) -> Res<()> {
        let key = hashable(key)?;
        let found = match &key {
            Value::Text(text) | Value::Safe(text) => {
                budget.spend(text.len())?;
                self.index.get(text).copied()
            }
            _ => place_of(&self.entries, &key, budget)?,
        };
        match found {
            Some(at) => self.entries[at].1 = value,
            None => {
                if let Value::Text(text) | Value::Safe(text) = &key {
                    self.index.insert(text.clone(), self.entries.len());
                }
                self.entries.push((key, value));
            }
        }
        Ok(())
    }
    pub fn get(&self, key: &Value, budget: &mut Budget) -> Res<Option<&Value>> {
        Ok(match key.as_str() {
            Some(text) => {
                let compared = if self.index.is_empty() { self.entries.len() } else { 2 };
                budget.spend(text.len().saturating_mul(compared))?;
                self.get_text(text)
            }
            None => place_of(&self.entries, key, budget)?.map(|at| &self.entries[at].1),
        })
    }
    pub fn get_text(&self, key: &str) -> Option<&Value> {
        if !self.index.is_empty() {
            return self.index.get(key).map(|at| &self.entries[*at].1);
        }
        self.entries.iter().find(|(known, _)| known.as_str() == Some(key)).map(|e| &e.1)
    }
}

impl Iter {
    pub fn len(&self) -> usize {
        self.items.borrow().as_ref().map_or(0, |items| items.len())
    }
    /// All that is left; a generator is empty afterwards.
    pub fn take(&self) -> Rc<Vec<Value>> {
        let mut items = self.items.borrow_mut();
        let left = if self.once { items.take() } else { items.clone() };
        left.unwrap_or_default()
    }
    pub fn next(&self) -> Option<Value> {
        let items = self.take();
        let first = items.first().cloned();
        if self.once && items.len() > 1 {
            *self.items.borrow_mut() = Some(Rc::new(items[1..].to_vec()));
        }
        first
    }
}
