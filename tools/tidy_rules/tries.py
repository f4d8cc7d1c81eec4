"""VSURGE_TRY stands in no initialiser and no lambda capture: g++ 12 does not destroy the parts of
an aggregate, array or closure that were made before it returns."""

import re

from .tree import Fault, Tree, strip_cpp

_BEFORE_BLOCK = re.compile(
    r"(\)|\]|\b(else|do|try|const|override|final|noexcept|mutable)|[;{}:])\s*$")


def check(tree: Tree) -> list[Fault]:
    faults = []
    for path in tree.cpp:
        text = strip_cpp(tree.text(path) or "")
        for place in _tries_in_initialisers(text):
            line = text.count("\n", 0, place) + 1
            faults.append(Fault(path, line, "try", "VSURGE_TRY in an initialiser or capture leaks "
                                "the parts before it; name its value first"))
    return faults


def _tries_in_initialisers(text: str):
    open_brackets = []  # (bracket, whether it is an initialiser's)
    statement = 0
    for match in re.finditer(r"[(){}\[\];]|\bVSURGE_TRY\s*\(", text):
        token = match.group()
        if token.startswith("VSURGE_TRY"):
            for bracket, initialises in reversed(open_brackets):
                if initialises:
                    yield match.start()
                if bracket == "{":
                    break
            open_brackets.append(("(", False))
        elif token in "([":
            # Captures; an index can be named first, too.
            open_brackets.append((token, token == "["))
        elif token == "{":
            before = text[statement:match.start()]
            block = bool(_BEFORE_BLOCK.search(before)) or "->" in before or not before.strip()
            open_brackets.append(("{", not block))
            if block:
                statement = match.end()
        elif token in ")]}":
            if open_brackets:
                open_brackets.pop()
            if token == "}":
                statement = match.end()
        else:
            statement = match.end()
