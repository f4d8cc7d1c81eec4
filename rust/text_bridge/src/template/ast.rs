//! The template as this renderer walks it. Names are numbers into `Program::names`.

use std::sync::Arc;

pub type Name = u32;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
    Concat,
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Debug)]
pub enum Const {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Arc<str>),
}

#[derive(Debug)]
pub enum Arg {
    Positional(Expr),
    Keyword(Arc<str>, Expr),
    Splat(Expr),
    KeywordSplat(Expr),
}

#[derive(Debug)]
pub struct Applied {
    pub name: Arc<str>,
    pub base: Option<Expr>, // none: the block's text
    pub args: Vec<Arg>,
}

#[derive(Debug)]
pub enum Expr {
    Const(Const),
    Var(Name),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Binary(Operator, Box<(Expr, Expr)>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    Conditional(Box<(Expr, Expr, Option<Expr>)>), // test, then, else
    Filter(Box<Applied>),
    Test(Box<Applied>),
    Attribute(Box<Expr>, Arc<str>),
    Item(Box<(Expr, Expr)>),
    Slice(Box<(Expr, [Option<Expr>; 3])>),
    Call(Box<Expr>, Vec<Arg>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
}

#[derive(Debug)]
pub enum Target {
    Name(Name),
    Attribute(Name, Arc<str>), // of a namespace
    Unpack(Vec<Target>),
}

#[derive(Debug)]
pub struct For {
    pub target: Target,
    pub iterable: Expr,
    pub condition: Option<Expr>,
    pub recursive: bool,
    pub body: Vec<Stmt>,
    pub otherwise: Vec<Stmt>,
}

#[derive(Debug)]
pub struct Macro {
    pub name: Arc<str>,
    pub params: Vec<Name>,
    pub defaults: Vec<Expr>, // of the last params
    pub body: Vec<Stmt>,
    pub reads_varargs: bool,
    pub reads_kwargs: bool,
    pub reads_caller: bool,
}

#[derive(Debug)]
pub enum Stmt {
    Text(Arc<str>),
    Emit(Expr),
    For(Arc<For>),
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    With(Vec<(Target, Expr)>, Vec<Stmt>),
    Set(Target, Expr),
    SetBlock(Target, Option<Expr>, Vec<Stmt>),
    FilterBlock(Expr, Vec<Stmt>),
    Scope(Vec<Stmt>),
    Macro(Name, Arc<Macro>),
    CallBlock(Expr, Arc<Macro>),
    Break,
    Continue,
}

#[derive(Debug)]
pub struct Program {
    pub body: Vec<Stmt>,
    pub names: Vec<Arc<str>>,
}
