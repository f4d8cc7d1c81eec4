//! From the source to a Program: minijinja's parser, then its tree in our own form, with every
//! depth bounded so that nothing that walks or drops a tree can run out of stack.

use super::ast::*;
use crate::{refuse, Outcome};
use minijinja::machinery::{ast as parsed, parse, tokenize, Token};
use minijinja::value::ValueKind;
use std::collections::HashMap;
use std::sync::Arc;

/// Of nested statements and expressions together.
const DEPTH_MAX: usize = 200;
/// In one tag. The parser turns a chain of operators into a tree of that depth.
const TAG_TOKENS_MAX: usize = 4096;
const ELIF_MAX: usize = 1000;

pub fn compile(source: &str) -> Outcome<Program> {
    let source = normalized(source);
    let mut syntax = minijinja::syntax::SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    let syntax = syntax.build()?;
    check_tokens(&source, &syntax)?;
    let tree = parse(&source, "template", syntax)?;
    let parsed::Stmt::Template(template) = &tree else { return refuse("not a template") };
    let mut lowering = Lowering { names: Vec::new(), numbers: HashMap::new(), depth: 0, reads: 0 };
    let body = lowering.body(&template.children)?;
    Ok(Program { body, names: lowering.names })
}

/// Line ends as jinja2 reads them, and `{% generation %}` (a mark for training) as a plain scope.
fn normalized(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(at) = rest.find("{%") {
        let (head, tag) = rest.split_at(at + 2);
        out.push_str(head);
        rest = tag;
        let body = tag.trim_start_matches(['-', '+']).trim_start();
        for (word, scope) in [("generation", "with"), ("endgeneration", "endwith")] {
            let Some(tail) = body.strip_prefix(word) else { continue };
            if tail.trim_start().trim_start_matches(['-', '+']).starts_with("%}") {
                out.push_str(&tag[..tag.len() - body.len()]);
                out.push_str(scope);
                rest = tail;
            }
        }
    }
    out.push_str(rest);
    out
}

fn check_tokens(source: &str, syntax: &minijinja::syntax::SyntaxConfig) -> Outcome<()> {
    let (mut in_tag, mut elifs) = (0, 0);
    for token in tokenize(source, false, syntax.clone()) {
        match token?.0 {
            Token::TemplateData(_) | Token::VariableEnd | Token::BlockEnd => in_tag = 0,
            Token::Ident("elif") => elifs += 1,
            _ => in_tag += 1,
        }
        if in_tag > TAG_TOKENS_MAX {
            return refuse(format!("more than {TAG_TOKENS_MAX} tokens in one tag"));
        }
        if elifs > ELIF_MAX {
            return refuse(format!("more than {ELIF_MAX} elif"));
        }
    }
    Ok(())
}

const READS_VARARGS: u8 = 1;
const READS_KWARGS: u8 = 2;
const READS_CALLER: u8 = 4;

struct Lowering {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, Name>,
    depth: usize,
    reads: u8, // of the macro at hand
}

impl Lowering {
    fn name(&mut self, text: &str) -> Name {
        self.reads |= match text {
            "varargs" => READS_VARARGS,
            "kwargs" => READS_KWARGS,
            "caller" => READS_CALLER,
            _ => 0,
        };
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let name: Arc<str> = text.into();
        self.names.push(name.clone());
        let number = self.names.len() as Name - 1;
        self.numbers.insert(name, number);
        number
    }

    fn deeper<T>(&mut self, body: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.depth >= DEPTH_MAX {
            return refuse(format!("nested deeper than {DEPTH_MAX}"));
        }
        self.depth += 1;
        let result = body(self);
        self.depth -= 1;
        result
    }

    fn body(&mut self, statements: &[parsed::Stmt]) -> Outcome<Vec<Stmt>> {
        self.deeper(|this| statements.iter().map(|one| this.statement(one)).collect())
    }

    fn statement(&mut self, statement: &parsed::Stmt) -> Outcome<Stmt> {
        Ok(match statement {
            parsed::Stmt::EmitRaw(raw) => Stmt::Text(raw.raw.into()),
            parsed::Stmt::EmitExpr(emit) => Stmt::Emit(self.expr(&emit.expr)?),
            parsed::Stmt::ForLoop(one) => self.for_loop(one)?,
            parsed::Stmt::IfCond(one) => self.conditional(one)?,
            parsed::Stmt::WithBlock(one) => {
                let mut set = Vec::new();
                for (target, value) in &one.assignments {
                    set.push((self.target(target)?, self.expr(value)?));
                }
                Stmt::With(set, self.body(&one.body)?)
            }
            parsed::Stmt::Set(one) => Stmt::Set(self.target(&one.target)?, self.expr(&one.expr)?),
            parsed::Stmt::SetBlock(one) => {
                let filter = one.filter.as_ref().map(|f| self.expr(f)).transpose()?;
                Stmt::SetBlock(self.target(&one.target)?, filter, self.body(&one.body)?)
            }
            parsed::Stmt::FilterBlock(one) => {
                Stmt::FilterBlock(self.expr(&one.filter)?, self.body(&one.body)?)
            }
            parsed::Stmt::Block(one) => Stmt::Scope(self.body(&one.body)?),
            parsed::Stmt::Macro(one) => {
                let name = self.name(one.name);
                Stmt::Macro(name, Arc::new(self.definition(one)?))
            }
            parsed::Stmt::CallBlock(one) => {
                let caller = Arc::new(self.definition(&one.macro_decl)?);
                Stmt::CallBlock(self.call(&one.call)?, caller)
            }
            parsed::Stmt::Continue(_) => Stmt::Continue,
            parsed::Stmt::Break(_) => Stmt::Break,
            parsed::Stmt::Do(_) => return refuse("Encountered unknown tag 'do'."),
            parsed::Stmt::AutoEscape(_) => return refuse("autoescape is not supported"),
            _ => return refuse("a chat template stands alone: it cannot load another one"),
        })
    }

    fn for_loop(&mut self, one: &parsed::ForLoop) -> Outcome<Stmt> {
        Ok(Stmt::For(Arc::new(For {
            target: self.target(&one.target)?,
            iterable: self.expr(&one.iter)?,
            condition: one.filter_expr.as_ref().map(|f| self.expr(f)).transpose()?,
            recursive: one.recursive,
            body: self.body(&one.body)?,
            otherwise: self.body(&one.else_body)?,
        })))
    }

    /// A chain of elif is one statement, not a nest.
    fn conditional(&mut self, first: &parsed::IfCond) -> Outcome<Stmt> {
        let mut branches = Vec::new();
        let mut one = first;
        loop {
            branches.push((self.expr(&one.expr)?, self.body(&one.true_body)?));
            match one.false_body.as_slice() {
                [parsed::Stmt::IfCond(next)] => one = next,
                other => return Ok(Stmt::If(branches, self.body(other)?)),
            }
        }
    }

    fn definition(&mut self, one: &parsed::Macro) -> Outcome<Macro> {
        let outer = std::mem::take(&mut self.reads);
        let mut params = Vec::new();
        for param in &one.args {
            match param {
                parsed::Expr::Var(var) => params.push(self.name(var.id)),
                _ => return refuse("a macro parameter must be a name"),
            }
        }
        self.reads = 0;
        let defaults: Outcome<Vec<_>> = one.defaults.iter().map(|d| self.expr(d)).collect();
        let (defaults, body) = (defaults?, self.body(&one.body)?);
        let reads = std::mem::replace(&mut self.reads, outer);
        Ok(Macro {
            name: one.name.into(),
            params,
            defaults,
            body,
            reads_varargs: reads & READS_VARARGS != 0,
            reads_kwargs: reads & READS_KWARGS != 0,
            reads_caller: reads & READS_CALLER != 0,
        })
    }

    fn target(&mut self, target: &parsed::Expr) -> Outcome<Target> {
        self.deeper(|this| match target {
            parsed::Expr::Var(var) => Ok(Target::Name(this.name(var.id))),
            parsed::Expr::GetAttr(attribute) => match &attribute.expr {
                parsed::Expr::Var(var) => {
                    Ok(Target::Attribute(this.name(var.id), attribute.name.into()))
                }
                _ => refuse("only an attribute of a namespace can be set"),
            },
            parsed::Expr::List(list) => this.unpack(&list.items),
            parsed::Expr::Tuple(tuple) => this.unpack(&tuple.items),
            _ => refuse("this cannot be assigned to"),
        })
    }

    fn unpack(&mut self, items: &[parsed::Expr]) -> Outcome<Target> {
        let targets: Outcome<Vec<_>> = items.iter().map(|one| self.target(one)).collect();
        Ok(Target::Unpack(targets?))
    }

    fn boxed(&mut self, expr: &parsed::Expr) -> Outcome<Box<Expr>> {
        Ok(Box::new(self.expr(expr)?))
    }

    fn optional(&mut self, expr: &Option<parsed::Expr>) -> Outcome<Option<Expr>> {
        expr.as_ref().map(|e| self.expr(e)).transpose()
    }

    fn list(&mut self, items: &[parsed::Expr]) -> Outcome<Vec<Expr>> {
        items.iter().map(|one| self.expr(one)).collect()
    }

    fn expr(&mut self, expr: &parsed::Expr) -> Outcome<Expr> {
        self.deeper(|this| this.expr_here(expr))
    }

    fn expr_here(&mut self, expr: &parsed::Expr) -> Outcome<Expr> {
        Ok(match expr {
            parsed::Expr::Var(var) => Expr::Var(self.name(var.id)),
            parsed::Expr::Const(one) => Expr::Const(constant(&one.value)?),
            parsed::Expr::Slice(one) => Expr::Slice(Box::new((
                self.expr(&one.expr)?,
                [self.optional(&one.start)?, self.optional(&one.stop)?, self.optional(&one.step)?],
            ))),
            parsed::Expr::UnaryOp(one) => match one.op {
                parsed::UnaryOpKind::Not => Expr::Not(self.boxed(&one.expr)?),
                parsed::UnaryOpKind::Neg => Expr::Negate(self.boxed(&one.expr)?),
            },
            parsed::Expr::BinOp(one) => self.binary(one)?,
            parsed::Expr::Compare(one) => {
                let first = self.boxed(&one.expr)?;
                let mut rest = Vec::new();
                for next in &one.ops {
                    rest.push((comparison(next.op), self.expr(&next.expr)?));
                }
                Expr::Compare(first, rest)
            }
            parsed::Expr::IfExpr(one) => Expr::Conditional(Box::new((
                self.expr(&one.test_expr)?,
                self.expr(&one.true_expr)?,
                self.optional(&one.false_expr)?,
            ))),
            parsed::Expr::Filter(one) => Expr::Filter(Box::new(Applied {
                name: one.name.into(),
                base: self.optional(&one.expr)?,
                args: self.args(&one.args)?,
            })),
            parsed::Expr::Test(one) => Expr::Test(Box::new(Applied {
                name: one.name.into(),
                base: Some(self.expr(&one.expr)?),
                args: self.args(&one.args)?,
            })),
            parsed::Expr::GetAttr(one) => Expr::Attribute(self.boxed(&one.expr)?, one.name.into()),
            parsed::Expr::GetItem(one) => {
                Expr::Item(Box::new((self.expr(&one.expr)?, self.expr(&one.subscript_expr)?)))
            }
            parsed::Expr::Call(one) => self.call(one)?,
            parsed::Expr::List(one) => Expr::List(self.list(&one.items)?),
            parsed::Expr::Tuple(one) => Expr::Tuple(self.list(&one.items)?),
            parsed::Expr::Map(one) => {
                let (keys, values) = (self.list(&one.keys)?, self.list(&one.values)?);
                Expr::Dict(keys.into_iter().zip(values).collect())
            }
        })
    }

    fn binary(&mut self, one: &parsed::BinOp) -> Outcome<Expr> {
        use parsed::BinOpKind as Kind;
        let (left, right) = (self.expr(&one.left)?, self.expr(&one.right)?);
        let operator = match one.op {
            Kind::Add => Operator::Add,
            Kind::Sub => Operator::Sub,
            Kind::Mul => Operator::Mul,
            Kind::Div => Operator::Div,
            Kind::FloorDiv => Operator::FloorDiv,
            Kind::Rem => Operator::Rem,
            Kind::Pow => Operator::Pow,
            Kind::Concat => Operator::Concat,
            Kind::ScAnd => Operator::And,
            Kind::ScOr => Operator::Or,
            kind => {
                let op = match kind {
                    Kind::Eq => Comparison::Eq,
                    Kind::Ne => Comparison::Ne,
                    Kind::Lt => Comparison::Lt,
                    Kind::Lte => Comparison::Le,
                    Kind::Gt => Comparison::Gt,
                    Kind::Gte => Comparison::Ge,
                    _ => Comparison::In,
                };
                return Ok(Expr::Compare(Box::new(left), vec![(op, right)]));
            }
        };
        Ok(Expr::Binary(operator, Box::new((left, right))))
    }

    fn call(&mut self, one: &parsed::Call) -> Outcome<Expr> {
        Ok(Expr::Call(self.boxed(&one.expr)?, self.args(&one.args)?))
    }

    fn args(&mut self, args: &[parsed::CallArg]) -> Outcome<Vec<Arg>> {
        let mut out = Vec::with_capacity(args.len());
        for arg in args {
            out.push(match arg {
                parsed::CallArg::Pos(value) => Arg::Positional(self.expr(value)?),
                parsed::CallArg::Kwarg(name, value) => {
                    Arg::Keyword((*name).into(), self.expr(value)?)
                }
                parsed::CallArg::PosSplat(value) => Arg::Splat(self.expr(value)?),
                parsed::CallArg::KwargSplat(value) => Arg::KeywordSplat(self.expr(value)?),
            });
        }
        Ok(out)
    }
}

fn comparison(kind: parsed::CompareOpKind) -> Comparison {
    match kind {
        parsed::CompareOpKind::Eq => Comparison::Eq,
        parsed::CompareOpKind::Ne => Comparison::Ne,
        parsed::CompareOpKind::Lt => Comparison::Lt,
        parsed::CompareOpKind::Lte => Comparison::Le,
        parsed::CompareOpKind::Gt => Comparison::Gt,
        parsed::CompareOpKind::Gte => Comparison::Ge,
        parsed::CompareOpKind::In => Comparison::In,
        parsed::CompareOpKind::NotIn => Comparison::NotIn,
    }
}

fn constant(value: &minijinja::Value) -> Outcome<Const> {
    Ok(match value.kind() {
        ValueKind::None => Const::None,
        ValueKind::Bool => Const::Bool(value.is_true()),
        ValueKind::String => Const::Text(value.as_str().unwrap_or_default().into()),
        ValueKind::Number if value.is_integer() => Const::Int(i128::try_from(value.clone())?),
        ValueKind::Number => Const::Float(f64::try_from(value.clone())?),
        kind => return refuse(format!("a constant of kind {kind}")),
    })
}
