//! jinja2's filters on sequences.

use super::ast::{Comparison, Operator};
use super::calls::Args;
use super::eval::Render;
use super::methods;
use super::ops;
use super::text::to_str;
use super::value::{fault, position, type_error, Fault, Res, Value};
use std::cmp::Ordering;

impl Render<'_> {
    #[inline(never)]
    pub fn list_filter(&mut self, name: &str, value: Value, mut args: Args) -> Res<Value> {
        match name {
            "length" | "count" => Ok(Value::Int(ops::length(&value)? as i128)),
            "list" => Value::list(self.all(&value)?),
            "first" => match &value {
                Value::Iter(iter) => Ok(iter.next().unwrap_or_else(|| empty("first"))),
                _ => Ok(self.all(&value)?.into_iter().next().unwrap_or_else(|| empty("first"))),
            },
            "last" => match &value {
                Value::Iter(iter) if iter.once => {
                    type_error(format!("'{}' object is not reversible", iter.kind))
                }
                _ => Ok(self.all(&value)?.pop().unwrap_or_else(|| empty("last"))),
            },
            "reverse" => self.reverse(&value),
            "join" => self.join(&value, &args),
            "items" => match &value {
                Value::Undefined(_) => Value::iter("generator", Vec::new()),
                Value::Dict(dict) => {
                    let pairs = methods::view("items", dict)?;
                    Value::iter("generator", self.all(&pairs)?)
                }
                _ => type_error("Can only get item pairs from a mapping."),
            },
            "map" => self.map(&value, args),
            "select" | "reject" | "selectattr" | "rejectattr" => self.select(name, &value, args),
            "sort" => self.sort(&value, &args),
            "dictsort" => self.dict_sort(&value, &args),
            "unique" => self.unique(&value, &args),
            "groupby" => self.group_by(&value, &args),
            "min" | "max" => self.extreme(name, &value, &args),
            "sum" => self.sum(&value, &args),
            "batch" | "slice" => self.portions(name, &value, &args),
            "attr" => match args.text(0, "name")? {
                Some(key) => {
                    let key = key.into();
                    let found = self.attribute(&value, &key)?;
                    // Attributes alone, never items.
                    let is_item =
                        matches!(&value, Value::Dict(_)) && !methods::exists(&value, &key);
                    Ok(if is_item { ops::missing_attribute(&value, &key) } else { found })
                }
                None => type_error("attr wants a name"),
            },
            _ => {
                args.list.clear();
                fault(format!("TemplateRuntimeError: No filter named '{name}' found."))
            }
        }
    }

    fn all(&mut self, value: &Value) -> Res<Vec<Value>> {
        Ok(ops::iterate(value, &mut self.budget)?.to_vec())
    }

    /// map and select take whatever is false, such as none, for an empty list.
    fn all_or_nothing(&mut self, value: &Value) -> Res<Vec<Value>> {
        if value.is_true() {
            self.all(value)
        } else {
            Ok(Vec::new())
        }
    }

    fn reverse(&mut self, value: &Value) -> Res<Value> {
        match value {
            Value::Text(text) | Value::Safe(text) => {
                self.budget.spend(text.len())?;
                Ok(Value::Text(text.chars().rev().collect::<String>().into()))
            }
            _ => {
                let mut items = self.all(value)?;
                items.reverse();
                Value::iter("list_reverseiterator", items)
            }
        }
    }

    fn join(&mut self, value: &Value, args: &Args) -> Res<Value> {
        let separator = match args.get(0, "d") {
            Some(separator) => to_str(separator, &mut self.budget)?.into_owned(),
            None => String::new(),
        };
        let attribute = args.get(1, "attribute").cloned();
        let mut out = String::new();
        for (n, item) in self.all(value)?.into_iter().enumerate() {
            let item = match &attribute {
                Some(attribute) => self.path(&item, attribute, None)?,
                None => item,
            };
            let text = to_str(&item, &mut self.budget)?;
            let separator = if n > 0 { separator.as_str() } else { "" };
            self.budget.room(out.len(), separator.len() + text.len())?;
            out.push_str(separator);
            out.push_str(&text);
        }
        Ok(Value::Text(out.into()))
    }

    /// "a.b.0": items (or attributes) of each other; what is missing becomes `absent`.
    fn path(&mut self, value: &Value, path: &Value, absent: Option<&Value>) -> Res<Value> {
        let Some(path) = path.as_str() else { return self.subscript(value, path) };
        let mut found = value.clone();
        for part in path.split('.') {
            let key = match part.parse::<i128>() {
                Ok(index) if part.bytes().all(|c| c.is_ascii_digit()) => Value::Int(index),
                _ => Value::text(part),
            };
            found = self.subscript(&found, &key)?;
            if let (true, Some(absent)) = (found.is_undefined(), absent) {
                found = absent.clone();
            }
        }
        Ok(found)
    }

    fn map(&mut self, value: &Value, mut args: Args) -> Res<Value> {
        let items = self.all_or_nothing(value)?;
        let mut made = Vec::with_capacity(items.len());
        if args.list.is_empty() {
            let Some(attribute) = args.take_named("attribute") else {
                return fault("FilterArgumentError: map requires a filter argument");
            };
            let absent = args.take_named("default");
            for item in items {
                made.push(self.path(&item, &attribute, absent.as_ref())?);
            }
            return Value::iter("generator", made);
        }
        let name = args.list.remove(0);
        let Some(name) = name.as_str() else { return type_error("map wants a filter's name") };
        for item in items {
            let args = Args { list: args.list.clone(), named: args.named.clone() };
            made.push(self.filter(name, item, args)?);
        }
        Value::iter("generator", made)
    }

    fn select(&mut self, name: &str, value: &Value, mut args: Args) -> Res<Value> {
        let items = self.all_or_nothing(value)?;
        let attribute = match name.ends_with("attr") {
            true if args.list.is_empty() => {
                return fault("FilterArgumentError: Missing parameter for attribute name")
            }
            true => Some(args.list.remove(0)),
            false => None,
        };
        let test = (!args.list.is_empty()).then(|| args.list.remove(0));
        let wanted = name.starts_with("select");
        let mut kept = Vec::new();
        for item in items {
            let looked_at = match &attribute {
                Some(attribute) => self.path(&item, attribute, None)?,
                None => item.clone(),
            };
            let hit = match test.as_ref().map(|test| test.as_str()) {
                None => looked_at.is_true(),
                Some(Some(test)) => self.test(test, &looked_at, &args)?,
                Some(None) => return type_error("a test's name is a str"),
            };
            if hit == wanted {
                kept.push(item);
            }
        }
        Value::iter("generator", kept)
    }

    /// What sorting looks at: the attribute when one is given, without case unless asked for.
    fn key(&mut self, value: &Value, attribute: Option<&Value>, cased: bool) -> Res<Value> {
        let key = match attribute {
            Some(attribute) => self.path(value, attribute, None)?,
            None => value.clone(),
        };
        Ok(match key.as_str() {
            Some(text) if !cased => {
                self.budget.spend(text.len())?;
                Value::text(text.to_lowercase())
            }
            _ => key,
        })
    }

    /// "a,b" sorts by a, then b.
    fn keys(&mut self, value: &Value, attribute: Option<&Value>, cased: bool) -> Res<Value> {
        match attribute.and_then(Value::as_str).filter(|text| text.contains(',')) {
            None => self.key(value, attribute, cased),
            Some(list) => {
                let mut keys = Vec::new();
                for one in list.split(',') {
                    keys.push(self.key(value, Some(&Value::text(one)), cased)?);
                }
                Value::list(keys)
            }
        }
    }

    fn sorted(&mut self, mut keyed: Vec<(Value, Value)>, reverse: bool) -> Res<Vec<Value>> {
        let mut failed: Option<Fault> = None;
        let budget = &mut self.budget;
        keyed.sort_by(|a, b| {
            if failed.is_some() {
                return Ordering::Equal;
            }
            match ops::order(&a.0, &b.0, "<", budget) {
                Ok(order) if reverse => order.reverse(),
                Ok(order) => order,
                Err(error) => {
                    failed = Some(error);
                    Ordering::Equal
                }
            }
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(keyed.into_iter().map(|(_, value)| value).collect()),
        }
    }

    fn sort(&mut self, value: &Value, args: &Args) -> Res<Value> {
        let reverse = args.flag(0, "reverse").unwrap_or(false);
        let cased = args.flag(1, "case_sensitive").unwrap_or(false);
        let attribute = args.get(2, "attribute").filter(|a| !matches!(a, Value::None));
        let mut keyed = Vec::new();
        for item in self.all(value)? {
            keyed.push((self.keys(&item, attribute, cased)?, item));
        }
        Value::list(self.sorted(keyed, reverse)?)
    }

    fn dict_sort(&mut self, value: &Value, args: &Args) -> Res<Value> {
        let Value::Dict(dict) = value else {
            ops::defined(value)?;
            let name = value.type_name();
            return fault(format!("AttributeError: '{name}' object has no attribute 'items'"));
        };
        let cased = args.flag(0, "case_sensitive").unwrap_or(false);
        let by_value = match args.text(1, "by")?.unwrap_or("key") {
            "key" => false,
            "value" => true,
            _ => {
                return fault(
                    "FilterArgumentError: You can only sort by either \"key\" or \"value\"",
                )
            }
        };
        let reverse = args.flag(2, "reverse").unwrap_or(false);
        let mut keyed = Vec::new();
        for (key, item) in &dict.entries {
            let looked_at = if by_value { item } else { key };
            let pair = Value::tuple(vec![key.clone(), item.clone()])?;
            keyed.push((self.key(looked_at, None, cased)?, pair));
        }
        Value::list(self.sorted(keyed, reverse)?)
    }

    fn unique(&mut self, value: &Value, args: &Args) -> Res<Value> {
        let cased = args.flag(0, "case_sensitive").unwrap_or(false);
        let attribute = args.get(1, "attribute").filter(|a| !matches!(a, Value::None));
        let (mut seen, mut kept) = (Vec::<Value>::new(), Vec::new());
        for item in self.all(value)? {
            let key = self.key(&item, attribute, cased)?;
            if position(seen.iter(), &key, &mut self.budget)?.is_some() {
                continue;
            }
            seen.push(key);
            kept.push(item);
        }
        Value::iter("generator", kept)
    }

    fn group_by(&mut self, value: &Value, args: &Args) -> Res<Value> {
        let Some(attribute) = args.get(0, "attribute") else {
            return type_error("do_groupby() missing 1 required argument: 'attribute'");
        };
        let absent = args.get(1, "default");
        let cased = args.flag(2, "case_sensitive").unwrap_or(false);
        let mut keyed = Vec::new();
        for item in self.all(value)? {
            let shown = self.path(&item, attribute, absent)?;
            let pair = Value::tuple(vec![shown.clone(), item])?;
            keyed.push((self.key(&shown, None, cased)?, pair));
        }
        let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
        for pair in self.sorted(keyed, false)? {
            let parts = self.all(&pair)?;
            let [shown, item] = parts.as_slice() else { continue };
            let key = self.key(shown, None, cased)?;
            match groups.last_mut() {
                Some(group) if group.0.equals(&key, &mut self.budget)? => {
                    group.2.push(item.clone());
                }
                _ => groups.push((key, shown.clone(), vec![item.clone()])),
            }
        }
        let made: Res<Vec<_>> = groups
            .into_iter()
            .map(|(_, shown, items)| Value::tuple(vec![shown, Value::list(items)?]))
            .collect();
        Value::list(made?)
    }

    fn extreme(&mut self, name: &str, value: &Value, args: &Args) -> Res<Value> {
        let cased = args.flag(0, "case_sensitive").unwrap_or(false);
        let attribute = args.get(1, "attribute").filter(|a| !matches!(a, Value::None));
        let op = if name == "min" { Comparison::Lt } else { Comparison::Gt };
        let mut best: Option<(Value, Value)> = None;
        for item in self.all(value)? {
            let key = self.key(&item, attribute, cased)?;
            let better = match &best {
                Some((old, _)) => ops::compare(op, &key, old, &mut self.budget)?,
                None => true,
            };
            if better {
                best = Some((key, item));
            }
        }
        let absent = || Value::Undefined("No aggregated item, sequence was empty.".into());
        Ok(best.map_or_else(absent, |(_, item)| item))
    }

    fn sum(&mut self, value: &Value, args: &Args) -> Res<Value> {
        let attribute = args.get(0, "attribute").filter(|a| !matches!(a, Value::None));
        let mut total = args.get(1, "start").cloned().unwrap_or(Value::Int(0));
        for item in self.all(value)? {
            let one = match attribute {
                Some(attribute) => self.path(&item, attribute, None)?,
                None => item,
            };
            if total.as_str().is_some() {
                return type_error("sum() can't sum strings [use ''.join(seq) instead]");
            }
            total = ops::binary(Operator::Add, &total, &one, &mut self.budget)?;
        }
        Ok(total)
    }

    /// batch(n): lists of n; slice(n): n lists.
    fn portions(&mut self, name: &str, value: &Value, args: &Args) -> Res<Value> {
        let fill = args.get(1, "fill_with").filter(|fill| !matches!(fill, Value::None));
        let count = args.int(0, "count")?.unwrap_or(0);
        let items = self.all(value)?;
        let most = items.len() as i128 + 100_000;
        if count < 1 || count > most {
            return fault(format!("ValueError: {name} of {count}"));
        }
        let count = count as usize;
        self.budget.spend(count * 4 * size_of::<Value>())?;
        let mut made = Vec::new();
        if name == "batch" {
            for part in items.chunks(count) {
                let mut part = part.to_vec();
                if let Some(fill) = fill {
                    part.resize(count, fill.clone());
                }
                made.push(Value::list(part)?);
            }
            return Value::iter("generator", made);
        }
        let (each, longer) = (items.len() / count, items.len() % count);
        let mut rest = items.as_slice();
        for n in 0..count {
            let (part, tail) = rest.split_at(each + usize::from(n < longer));
            rest = tail;
            let mut part = part.to_vec();
            if let (Some(fill), true) = (fill, n >= longer) {
                part.push(fill.clone());
            }
            made.push(Value::list(part)?);
        }
        Value::iter("generator", made)
    }
}

fn empty(which: &str) -> Value {
    Value::Undefined(format!("No {which} item, sequence was empty.").into())
}
