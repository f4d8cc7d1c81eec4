//! jinja2's tests: `value is name`.

use super::ast::Comparison;
use super::calls::Args;
use super::eval::Render;
use super::ops;
use super::value::{fault, type_error, Res, Value};

impl Render<'_> {
    #[inline(never)]
    pub fn test(&mut self, name: &str, value: &Value, args: &Args) -> Res<bool> {
        self.budget.step()?;
        let other = args.get(0, "other");
        let compared = |this: &mut Self, op: Comparison| match other {
            Some(other) => ops::compare(op, value, other, &mut this.budget),
            None => type_error(format!("test '{name}' is missing an argument")),
        };
        Ok(match name {
            "defined" => !value.is_undefined(),
            "undefined" => value.is_undefined(),
            "none" => matches!(value, Value::None),
            "boolean" => matches!(value, Value::Bool(_)),
            "true" => matches!(value, Value::Bool(true)),
            "false" => matches!(value, Value::Bool(false)),
            "integer" => matches!(value, Value::Int(_) | Value::Big(_)),
            "float" => matches!(value, Value::Float(_)),
            "number" => value.as_float().is_some(),
            "string" => value.as_str().is_some(),
            "mapping" => matches!(value, Value::Dict(_)),
            "iterable" => matches!(
                value,
                Value::Undefined(_)
                    | Value::Text(_)
                    | Value::Safe(_)
                    | Value::List(_)
                    | Value::Tuple(_)
                    | Value::Dict(_)
                    | Value::Iter(_)
                    | Value::Loop(_)
            ),
            "sequence" => matches!(
                value,
                Value::Undefined(_)
                    | Value::Text(_)
                    | Value::Safe(_)
                    | Value::List(_)
                    | Value::Tuple(_)
                    | Value::Dict(_)
            ),
            "callable" => matches!(
                value,
                Value::Macro(_)
                    | Value::Method(_)
                    | Value::Function(_)
                    | Value::Loop(_)
                    | Value::Joiner(_)
                    | Value::Undefined(_)
            ),
            "sameas" => match other {
                Some(other) => same(value, other),
                None => return compared(self, Comparison::Eq),
            },
            "escaped" => matches!(value, Value::Safe(_)),
            "lower" => self.cased(value, |text| text.to_lowercase() == text)?,
            "upper" => self.cased(value, |text| text.to_uppercase() == text)?,
            "odd" | "even" | "divisibleby" => self.divided(name, value, args)?,
            "eq" | "equalto" | "==" => compared(self, Comparison::Eq)?,
            "ne" | "!=" => compared(self, Comparison::Ne)?,
            "lt" | "lessthan" | "<" => compared(self, Comparison::Lt)?,
            "le" | "<=" => compared(self, Comparison::Le)?,
            "gt" | "greaterthan" | ">" => compared(self, Comparison::Gt)?,
            "ge" | ">=" => compared(self, Comparison::Ge)?,
            "in" => compared(self, Comparison::In)?,
            "filter" => super::filters::NAMES.contains(&value.as_str().unwrap_or("")),
            "test" => NAMES.contains(&value.as_str().unwrap_or("")),
            _ => return fault(format!("TemplateRuntimeError: No test named '{name}' found.")),
        })
    }

    fn cased(&mut self, value: &Value, is: impl Fn(&str) -> bool) -> Res<bool> {
        let text = super::text::to_str(value, &mut self.budget)?;
        let has_case = text.chars().any(|c| c.is_lowercase() || c.is_uppercase());
        Ok(has_case && is(&text))
    }

    fn divided(&mut self, name: &str, value: &Value, args: &Args) -> Res<bool> {
        ops::defined(value)?;
        let by = match name {
            "divisibleby" => args.get(0, "num").cloned().unwrap_or(Value::None),
            _ => Value::Int(2),
        };
        let rest = ops::binary(super::ast::Operator::Rem, value, &by, &mut self.budget)?;
        let wanted = Value::Int(i128::from(name == "odd"));
        rest.equals(&wanted, &mut self.budget)
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::None, Value::None) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::List(a), Value::List(b)) => std::rc::Rc::ptr_eq(a, b),
        (Value::Dict(a), Value::Dict(b)) => std::rc::Rc::ptr_eq(a, b),
        _ => false,
    }
}

pub const NAMES: [&str; 35] = [
    "defined",
    "undefined",
    "none",
    "boolean",
    "true",
    "false",
    "integer",
    "float",
    "number",
    "string",
    "mapping",
    "iterable",
    "sequence",
    "callable",
    "sameas",
    "escaped",
    "lower",
    "upper",
    "odd",
    "even",
    "divisibleby",
    "eq",
    "equalto",
    "==",
    "ne",
    "!=",
    "lt",
    "lessthan",
    "le",
    "gt",
    "greaterthan",
    "ge",
    "in",
    "filter",
    "test",
];
