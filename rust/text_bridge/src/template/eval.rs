//! Walks a Program: statements and expressions with jinja2's scopes.

use super::ast::*;
use super::budget::Budget;
use super::calls::Args;
use super::ops;
use super::text::to_str;
use super::value::{fault, type_error, Dict, Fault, Loop, Macro as MacroValue, Res, Scope, Value};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

pub struct Render<'t> {
    pub program: &'t Program,
    pub context: Rc<Dict>,
    pub budget: Budget,
    pub now_local: i64,
    pub out: String,
    pub scope: Rc<Scope>,
}

impl<'t> Render<'t> {
    fn deeper<T>(&mut self, body: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        self.budget.enter()?;
        let result = body(self);
        self.budget.leave();
        result
    }

    /// Runs in a new scope below `parent`.
    fn scoped<T>(&mut self, parent: Rc<Scope>, body: impl FnOnce(&mut Self) -> Res<T>) -> Res<T> {
        let outer = std::mem::replace(&mut self.scope, Scope::inside(Some(parent)));
        let result = body(self);
        self.scope = outer;
        result
    }

    /// What the body writes, as text of its own.
    fn captured(&mut self, body: impl FnOnce(&mut Self) -> Res<()>) -> Res<String> {
        let outer = std::mem::take(&mut self.out);
        let result = body(self);
        let text = std::mem::replace(&mut self.out, outer);
        result.map(|()| text)
    }

    pub fn write(&mut self, text: &str) -> Res<()> {
        self.budget.room(self.out.len(), text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    pub fn body(&mut self, statements: &[Stmt]) -> Res<()> {
        self.deeper(|this| {
            for statement in statements {
                this.statement(statement)?;
            }
            Ok(())
        })
    }

    fn statement(&mut self, statement: &Stmt) -> Res<()> {
        self.budget.step()?;
        match statement {
            Stmt::Text(text) => self.write(text),
            Stmt::Emit(expr) => {
                let value = self.expr(expr)?;
                self.emit(&value)
            }
            Stmt::For(node) => self.start_loop(node),
            Stmt::If(branches, otherwise) => {
                for (test, body) in branches {
                    if self.expr(test)?.is_true() {
                        return self.body(body);
                    }
                }
                self.body(otherwise)
            }
            Stmt::With(assignments, body) => self.with(assignments, body),
            Stmt::Set(target, expr) => {
                let value = self.expr(expr)?;
                self.assign(target, value)
            }
            Stmt::SetBlock(target, filter, body) => {
                let text = self.block_text(body)?;
                let value = match filter {
                    Some(filter) => self.filtered(filter, text)?,
                    None => text,
                };
                self.assign(target, value)
            }
            Stmt::FilterBlock(filter, body) => {
                let text = self.block_text(body)?;
                let value = self.filtered(filter, text)?;
                self.emit(&value)
            }
            Stmt::Scope(body) => self.scoped(self.scope.clone(), |this| this.body(body)),
            Stmt::Macro(name, definition) => {
                let value = self.macro_here(definition);
                self.scope.set(*name, value);
                Ok(())
            }
            Stmt::CallBlock(call, caller) => self.call_block(call, caller),
            Stmt::Break => Err(Fault::Break),
            Stmt::Continue => Err(Fault::Continue),
        }
    }

    fn emit(&mut self, value: &Value) -> Res<()> {
        match value.as_str() {
            Some(text) => self.write(text),
            None => {
                let text = to_str(value, &mut self.budget)?.into_owned();
                self.write(&text)
            }
        }
    }

    fn block_text(&mut self, body: &[Stmt]) -> Res<Value> {
        let scope = self.scope.clone();
        let text = self.captured(|this| this.scoped(scope, |this| this.body(body)))?;
        Ok(Value::Text(text.into()))
    }

    #[inline(never)]
    fn with(&mut self, assignments: &[(Target, Expr)], body: &[Stmt]) -> Res<()> {
        // All values are found before any of the names is set.
        let mut values = Vec::with_capacity(assignments.len());
        for (_, expr) in assignments {
            values.push(self.expr(expr)?);
        }
        self.scoped(self.scope.clone(), |this| {
            for ((target, _), value) in assignments.iter().zip(values) {
                this.assign(target, value)?;
            }
            this.body(body)
        })
    }

    fn macro_here(&self, definition: &Arc<Macro>) -> Value {
        Value::Macro(Rc::new(MacroValue {
            definition: definition.clone(),
            scope: Rc::downgrade(&self.scope),
        }))
    }

    #[inline(never)]
    fn call_block(&mut self, call: &Expr, caller: &Arc<Macro>) -> Res<()> {
        let Expr::Call(callee, args) = call else { return fault("not a call") };
        let caller = self.macro_here(caller);
        let callee = self.expr(callee)?;
        let mut args = self.args(args)?;
        args.named.push(("caller".into(), caller));
        let value = self.call(&callee, args)?;
        self.emit(&value)
    }

    pub fn assign(&mut self, target: &Target, value: Value) -> Res<()> {
        match target {
            Target::Name(name) => {
                self.scope.set(*name, value);
                Ok(())
            }
            Target::Attribute(name, attribute) => {
                let Some(Value::Namespace(namespace)) = self.scope.get(*name) else {
                    return fault(
                        "TemplateRuntimeError: cannot assign attribute on non-namespace object",
                    );
                };
                value.check_held()?;
                let mut vars = namespace.vars.borrow_mut();
                match vars.iter_mut().find(|(known, _)| known == attribute) {
                    Some(entry) => entry.1 = value,
                    None => vars.push((attribute.clone(), value)),
                }
                Ok(())
            }
            Target::Unpack(targets) => {
                if !matches!(
                    value,
                    Value::List(_)
                        | Value::Tuple(_)
                        | Value::Dict(_)
                        | Value::Iter(_)
                        | Value::Text(_)
                        | Value::Safe(_)
                ) {
                    let name = value.type_name();
                    return type_error(format!("cannot unpack non-iterable {name} object"));
                }
                let items = ops::iterate(&value, &mut self.budget)?;
                let (want, got) = (targets.len(), items.len());
                if got < want {
                    return fault(format!(
                        "ValueError: not enough values to unpack (expected {want}, got {got})"
                    ));
                }
                if got > want {
                    return fault(format!(
                        "ValueError: too many values to unpack (expected {want})"
                    ));
                }
                for (target, item) in targets.iter().zip(items.iter()) {
                    self.assign(target, item.clone())?;
                }
                Ok(())
            }
        }
    }

    // --- loops -------------------------------------------------------------------------------

    #[inline(never)]
    fn start_loop(&mut self, node: &Arc<For>) -> Res<()> {
        let iterable = self.expr(&node.iterable)?;
        self.run_loop(node, &iterable, self.scope.clone(), 0)
    }

    /// A recursive loop's loop(items): what it writes is the value.
    pub fn descend(&mut self, from: &Rc<Loop>, iterable: &Value) -> Res<Value> {
        let Some((node, scope)) = &from.recursive else {
            return type_error(
                "The loop must have the 'recursive' marker to be called recursively.",
            );
        };
        let Some(scope) = scope.upgrade() else { return fault("a loop used after its end") };
        let node = node.clone();
        let text = self.deeper(|this| {
            this.captured(|this| this.run_loop(&node, iterable, scope, from.level + 1))
        })?;
        Ok(Value::Text(text.into()))
    }

    fn run_loop(
        &mut self,
        node: &Arc<For>,
        iterable: &Value,
        parent: Rc<Scope>,
        level: usize,
    ) -> Res<()> {
        let mut items = ops::iterate(iterable, &mut self.budget)?;
        if let Some(condition) = &node.condition {
            let mut kept = Vec::new();
            for item in items.iter() {
                let keep = self.scoped(parent.clone(), |this| {
                    this.assign(&node.target, item.clone())?;
                    Ok(this.expr(condition)?.is_true())
                })?;
                if keep {
                    kept.push(item.clone());
                }
            }
            items = Rc::new(kept);
        }
        if items.is_empty() {
            return self.scoped(parent, |this| this.body(&node.otherwise));
        }
        let state = Rc::new(Loop {
            items: items.clone(),
            index: Cell::new(0),
            level,
            changed: RefCell::new(None),
            recursive: node.recursive.then(|| (node.clone(), Rc::downgrade(&parent))),
        });
        let loop_name = self.program.names.iter().position(|name| &**name == "loop");
        for (index, item) in items.iter().enumerate() {
            self.budget.step()?;
            state.index.set(index);
            let result = self.scoped(parent.clone(), |this| {
                if let Some(name) = loop_name {
                    this.scope.set(name as Name, Value::Loop(state.clone()));
                }
                this.assign(&node.target, item.clone())?;
                this.body(&node.body)
            });
            match result {
                Err(Fault::Break) => break,
                Ok(()) | Err(Fault::Continue) => {}
                other => return other,
            }
        }
        Ok(())
    }

    // --- expressions -------------------------------------------------------------------------

    pub fn expr(&mut self, expr: &Expr) -> Res<Value> {
        self.budget.step()?;
        match expr {
            Expr::Const(constant) => Ok(constant_value(constant)),
            Expr::Var(name) => Ok(self.variable(*name)),
            Expr::Attribute(base, name) => {
                let base = self.deep_expr(base)?;
                self.attribute(&base, name)
            }
            _ => self.deeper(|this| this.compound(expr)),
        }
    }

    fn deep_expr(&mut self, expr: &Expr) -> Res<Value> {
        self.deeper(|this| this.expr(expr))
    }

    fn variable(&self, name: Name) -> Value {
        if let Some(value) = self.scope.get(name) {
            return value;
        }
        let name = &self.program.names[name as usize];
        if let Some(value) = self.context.get_text(name) {
            return value.clone();
        }
        match super::calls::global(name) {
            Some(function) => Value::Function(function),
            None => Value::Undefined(format!("'{name}' is undefined").into()),
        }
    }

    fn compound(&mut self, expr: &Expr) -> Res<Value> {
        match expr {
            Expr::Not(inner) => Ok(Value::Bool(!self.expr(inner)?.is_true())),
            Expr::Negate(inner) => ops::negate(&self.expr(inner)?),
            Expr::Binary(op, sides) => self.binary(*op, &sides.0, &sides.1),
            Expr::Compare(first, rest) => self.comparison(first, rest),
            Expr::Conditional(parts) => {
                let (test, then, otherwise) = &**parts;
                match (self.expr(test)?.is_true(), otherwise) {
                    (true, _) => self.expr(then),
                    (false, Some(otherwise)) => self.expr(otherwise),
                    (false, None) => Ok(Value::Undefined(
                        "the inline if-expression evaluated to false and no else section was \
                         defined."
                            .into(),
                    )),
                }
            }
            Expr::Filter(applied) => {
                let base = match &applied.base {
                    Some(base) => self.expr(base)?,
                    None => return fault("a filter without a value"),
                };
                let args = self.args(&applied.args)?;
                self.filter(&applied.name, base, args)
            }
            Expr::Test(applied) => {
                let base = match &applied.base {
                    Some(base) => self.expr(base)?,
                    None => return fault("a test without a value"),
                };
                let args = self.args(&applied.args)?;
                Ok(Value::Bool(self.test(&applied.name, &base, &args)?))
            }
            Expr::Item(parts) => {
                let base = self.expr(&parts.0)?;
                let key = self.expr(&parts.1)?;
                self.subscript(&base, &key)
            }
            Expr::Slice(parts) => self.slice(&parts.0, &parts.1),
            Expr::Call(callee, args) => {
                let callee = self.expr(callee)?;
                let args = self.args(args)?;
                self.call(&callee, args)
            }
            Expr::List(items) => Value::list(self.items(items)?),
            Expr::Tuple(items) => Value::tuple(self.items(items)?),
            Expr::Dict(entries) => {
                let mut made = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    made.push((self.expr(key)?, self.expr(value)?));
                }
                Value::dict(made, &mut self.budget)
            }
            simple => self.expr(simple),
        }
    }

    fn items(&mut self, items: &[Expr]) -> Res<Vec<Value>> {
        items.iter().map(|item| self.expr(item)).collect()
    }

    #[inline(never)]
    fn binary(&mut self, op: Operator, left: &Expr, right: &Expr) -> Res<Value> {
        let left = self.expr(left)?;
        match op {
            Operator::And if !left.is_true() => return Ok(left),
            Operator::Or if left.is_true() => return Ok(left),
            _ => {}
        }
        let right = self.expr(right)?;
        match op {
            Operator::And | Operator::Or => Ok(right),
            _ => ops::binary(op, &left, &right, &mut self.budget),
        }
    }

    #[inline(never)]
    fn comparison(&mut self, first: &Expr, rest: &[(Comparison, Expr)]) -> Res<Value> {
        let mut left = self.expr(first)?;
        for (op, right) in rest {
            let right = self.expr(right)?;
            if !ops::compare(*op, &left, &right, &mut self.budget)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    #[inline(never)]
    fn slice(&mut self, base: &Expr, bounds: &[Option<Expr>; 3]) -> Res<Value> {
        let base = self.expr(base)?;
        let mut values = [Value::None, Value::None, Value::None];
        for (value, bound) in values.iter_mut().zip(bounds) {
            if let Some(bound) = bound {
                *value = self.expr(bound)?;
            }
        }
        ops::slice(&base, values, &mut self.budget)
    }

    fn filtered(&mut self, filter: &Expr, text: Value) -> Res<Value> {
        let Expr::Filter(applied) = filter else { return fault("not a filter") };
        let base = match &applied.base {
            Some(inner) => self.deeper(|this| this.filtered(inner, text))?,
            None => text,
        };
        let args = self.args(&applied.args)?;
        self.filter(&applied.name, base, args)
    }

    #[inline(never)]
    pub fn args(&mut self, args: &[Arg]) -> Res<Args> {
        let mut made = Args::default();
        for arg in args {
            match arg {
                Arg::Positional(expr) => made.list.push(self.expr(expr)?),
                Arg::Keyword(name, expr) => made.named.push((name.clone(), self.expr(expr)?)),
                Arg::Splat(expr) => {
                    let value = self.expr(expr)?;
                    let items = ops::iterate(&value, &mut self.budget)?;
                    made.list.extend(items.iter().cloned());
                }
                Arg::KeywordSplat(expr) => match self.expr(expr)? {
                    Value::Dict(dict) => {
                        for (key, value) in &dict.entries {
                            let Some(key) = key.as_str() else {
                                return type_error("keywords must be strings");
                            };
                            made.named.push((key.into(), value.clone()));
                        }
                    }
                    other => {
                        let name = other.type_name();
                        return type_error(format!(
                            "argument after ** must be a mapping, not {name}"
                        ));
                    }
                },
            }
        }
        Ok(made)
    }

    /// Calls a macro: its text is its value.
    #[inline(never)]
    pub fn call_macro(&mut self, called: &MacroValue, mut args: Args) -> Res<Value> {
        let Some(parent) = called.scope.upgrade() else {
            return fault("a macro called after the end of its scope");
        };
        let definition = called.definition.clone();
        let caller = args.take_named("caller");
        self.budget.enter()?;
        let outer = std::mem::replace(&mut self.scope, Scope::inside(Some(parent)));
        let result = self
            .bind(&definition, args, caller)
            .and_then(|()| self.captured(|this| this.body(&definition.body)));
        self.scope = outer;
        self.budget.leave();
        Ok(Value::Text(result?.into()))
    }

    fn bind(&mut self, definition: &Macro, mut args: Args, caller: Option<Value>) -> Res<()> {
        let (names, program) = (&definition.params, self.program);
        let no_default = names.len() - definition.defaults.len().min(names.len());
        let mut extra = args.list.split_off(args.list.len().min(names.len()));
        let mut given = std::mem::take(&mut args.list).into_iter();
        for (n, name) in names.iter().enumerate() {
            let text = &program.names[*name as usize];
            let value = match (given.next(), args.take_named(text)) {
                (Some(_), Some(_)) => {
                    let called = &definition.name;
                    return type_error(format!(
                        "macro '{called}' got multiple values for argument '{text}'"
                    ));
                }
                (Some(value), None) | (None, Some(value)) => value,
                (None, None) if n >= no_default => {
                    self.expr(&definition.defaults[n - no_default])?
                }
                (None, None) => {
                    Value::Undefined(format!("parameter '{text}' was not provided").into())
                }
            };
            self.scope.set(*name, value);
        }
        let called = &definition.name;
        let set = |this: &Self, text: &str, value: Value| {
            if let Some(name) = program.names.iter().position(|known| &**known == text) {
                this.scope.set(name as Name, value);
            }
        };
        if definition.reads_caller {
            let absent = || Value::Undefined("No caller defined".into());
            set(self, "caller", caller.unwrap_or_else(absent));
        } else if caller.is_some() {
            return type_error(format!(
                "macro '{called}' was invoked with two values for the \
                                       special caller argument."
            ));
        }
        if definition.reads_kwargs {
            let named = std::mem::take(&mut args.named);
            let entries = named.into_iter().map(|(key, value)| (Value::Text(key), value));
            let kwargs = Value::dict(entries.collect(), &mut self.budget)?;
            set(self, "kwargs", kwargs);
        } else if let Some((name, _)) = args.named.first() {
            return type_error(format!("macro '{called}' takes no keyword argument '{name}'"));
        }
        if definition.reads_varargs {
            set(self, "varargs", Value::tuple(std::mem::take(&mut extra))?);
        } else if !extra.is_empty() {
            let most = names.len();
            return type_error(format!("macro '{called}' takes not more than {most} argument(s)"));
        }
        Ok(())
    }
}

fn constant_value(constant: &Const) -> Value {
    match constant {
        Const::None => Value::None,
        Const::Bool(value) => Value::Bool(*value),
        Const::Int(number) => Value::Int(*number),
        Const::Float(number) => Value::Float(*number),
        Const::Text(text) => Value::Text(text.clone()),
    }
}
