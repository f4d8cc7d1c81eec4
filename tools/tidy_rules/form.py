"""Lengths of files, functions and lines; those over a limit may only shrink (the ratchet)."""

import ast
import json
import re
import statistics

from .tree import CPP, Fault, Tree, strip_cpp

FILE_MAX, KERNEL_FILE_MAX = 600, 800
FUNCTION_MAX = 70
COLUMNS_MAX = 100
MEDIAN_MAX = 200
RATCHET = "tools/tidy_ratchet.json"
COUNTED = CPP + (".rs", ".py", ".sh", ".mjs", ".ts")


def file_max(path: str) -> int:
    return KERNEL_FILE_MAX if path.startswith("src/kernels/") else FILE_MAX


def counted(tree: Tree) -> list[str]:
    return [p for p in tree.paths if p.endswith(COUNTED) or p == "dev"]


def functions(tree: Tree, path: str) -> list[tuple[str, int, int]]:
    """(name, first line, number of lines) of each function of a source."""
    text = tree.text(path) or ""
    if path.endswith(CPP + (".rs",)):
        return brace_functions(text, path.endswith(".rs"))
    if path.endswith(".py"):
        try:
            nodes = ast.walk(ast.parse(text))
        except SyntaxError:
            return []
        return [(n.name, n.lineno, (n.end_lineno or n.lineno) - n.lineno + 1) for n in nodes
                if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return []


_SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern|mod|impl|trait)\b")
_NAME = re.compile(r"([~\w:]+|operator\S{1,3})\s*(?:<[^()]*>)?\s*\(")
_RUST_NAME = re.compile(r"\bfn\s+(\w+)")


def brace_functions(text: str, rust: bool) -> list[tuple[str, int, int]]:
    """Outermost braces that follow a parameter list; lambdas and blocks count to their function."""
    if rust:  # lifetimes look like open character literals
        text = re.sub(r"'(\w+)\b(?!')", r" \1", text)
    code = re.sub(r"^[ \t]*#.*(?:\\\n.*)*$", lambda m: re.sub(r"[^\n]", " ", m.group()),
                  strip_cpp(text), flags=re.M)
    found, stack = [], []  # of the open braces: (is function, name, first line)
    line, head, head_line = 1, [], 1
    for char in code:
        if char == "\n":
            line += 1
        if char == "{":
            signature = "".join(head)
            inside = any(is_function for is_function, _, _ in stack)
            name = _RUST_NAME.search(signature) if rust else _NAME.search(signature)
            is_function = not inside and name is not None and (
                rust or _is_cpp_function(signature))
            stack.append((is_function, name.group(1) if name else "", head_line))
            head = []
        elif char == "}":
            if stack:
                is_function, name, first = stack.pop()
                if is_function:
                    found.append((name, first, line - first + 1))
            head = []
        elif char == ";":
            head = []
        else:
            if not head:
                if char.isspace():
                    continue
                head_line = line
            head.append(char)
    return found


def _is_cpp_function(signature: str) -> bool:
    before = signature.split("(")[0]
    if "=" in before and "operator" not in before:
        return False  # an initialiser
    scope = _SCOPE.search(re.sub(r"<[^<>]*>", "", before))
    return scope is None or scope.group() in ("struct", "class", "union", "enum") and bool(
        re.search(r"\w\s+[\w:~]+\s*$", before.split(scope.group(), 1)[1]))


def lengths(tree: Tree) -> dict[str, tuple[int, int]]:
    """What is over its limit: key -> (line, length)."""
    over = {}
    for path in counted(tree):
        count = len(tree.lines(path))
        if count > file_max(path):
            over[path] = (1, count)
        for name, line, length in functions(tree, path):
            if length > FUNCTION_MAX:
                key = f"{path}:{name}"
                over[key] = max(over.get(key, (0, 0)), (line, length), key=lambda x: x[1])
    return over


def read_ratchet(tree: Tree) -> dict[str, int]:
    return json.loads(tree.text(RATCHET)) if RATCHET in tree else {}


def update_ratchet(tree: Tree) -> None:
    """Lowers every entry to what is there; drops what is within its limit; adds nothing."""
    over, old = lengths(tree), read_ratchet(tree)
    new = {key: min(value, over[key][1]) for key, value in old.items() if key in over}
    (tree.root / RATCHET).write_text(json.dumps(new, indent=2, sort_keys=True) + "\n")
    tree.text.cache_clear()


def check(tree: Tree) -> list[Fault]:
    faults = []
    over, ratchet = lengths(tree), read_ratchet(tree)
    for key, (line, length) in over.items():
        path, _, function = key.partition(":")
        what, limit = ("function", FUNCTION_MAX) if function else ("file", file_max(path))
        subject = f"{function} has" if function else "has"
        if key not in ratchet:
            faults.append(Fault(path, line, what, f"{subject} {length} lines, at most {limit}"))
        elif length > ratchet[key]:
            faults.append(Fault(path, line, what,
                                f"{subject} {length} lines, grown from {ratchet[key]}"))
    for key, value in ratchet.items():
        if key not in over or over[key][1] < value:
            faults.append(Fault(RATCHET, 1, "ratchet",
                                f"{key} is shorter than {value} now: tools/tidy.py --update"))
    sources = [p for p in tree.cpp if p.startswith(("src/", "apps/", "include/"))]
    if sources:
        median = statistics.median(len(tree.lines(p)) for p in sources)
        if median > MEDIAN_MAX:
            faults.append(Fault("src", 1, "file", f"median length {median}, at most {MEDIAN_MAX}"))
    for path in counted(tree):
        data = text_block_lines(tree.text(path) or "") if path.endswith(".py") else set()
        for number, line in enumerate(tree.lines(path), 1):
            if len(line) > COLUMNS_MAX and "http" not in line and number not in data:
                faults.append(Fault(path, number, "columns",
                                    f"{len(line)} columns, at most {COLUMNS_MAX}"))
    return faults


def text_block_lines(text: str) -> set[int]:
    """Lines inside Python strings of several lines: data, whose ends are not ours to choose."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return set()
    documentation = {id(n.value) for n in nodes if isinstance(n, ast.Expr)}
    return {line for n in nodes
            if isinstance(n, ast.Constant) and isinstance(n.value, str) and "\n" in n.value
            and id(n) not in documentation for line in range(n.lineno, (n.end_lineno or 0) + 1)}
