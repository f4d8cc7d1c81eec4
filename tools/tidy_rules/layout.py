"""The layout table in docs/ARCHITECTURE.md and the folders that are there say the same."""

import posixpath
import re

from .tree import Fault, Tree

DOCUMENT = "docs/ARCHITECTURE.md"
# Folders whose own folders are rows too.
OPENED = ("src", "tools", "rust", "include", "tests", "fuzz")
# Below these, folders come and go with the data they hold.
CLOSED = ("fuzz/corpus",)
_ROW = re.compile(r"^\|\s*`([^`]+)`\s*\|\s*(.*?)\s*\|\s*$")


def rows(tree: Tree) -> dict[str, tuple[int, str]]:
    """path -> (line, what it is for), of the table below the heading Layout."""
    found, inside = {}, False
    for number, line in enumerate(tree.lines(DOCUMENT), 1):
        if line.startswith("#"):
            inside = bool(re.search(r"\bLayout\b", line))
        match = _ROW.match(line) if inside else None
        if match:
            found[match.group(1).rstrip("/")] = (number, match.group(2))
    return found


def folders(tree: Tree) -> set[str]:
    """The folders that must have a row."""
    found = set()
    for path in tree.paths:
        parts = posixpath.dirname(path).split("/")
        if parts[0]:
            found.add(parts[0])
        if len(parts) > 1 and parts[0] in OPENED:
            found.add("/".join(parts[:2]))
    return found


def check(tree: Tree) -> list[Fault]:
    if DOCUMENT not in tree:
        return [Fault(DOCUMENT, 1, "layout", "is missing")]
    table, there = rows(tree), folders(tree)
    if not table:
        return [Fault(DOCUMENT, 1, "layout", "no table `path` | what it is for, under Layout")]
    faults = [Fault(DOCUMENT, 1, "layout", f"no row for {folder}/")
              for folder in there - set(table)]
    for path, (line, purpose) in table.items():
        exists = path in tree or any(p.startswith(path + "/") for p in tree.paths)
        if not exists:
            faults.append(Fault(DOCUMENT, line, "layout", f"{path} is not there"))
        if not purpose:
            faults.append(Fault(DOCUMENT, line, "layout", f"{path}: say what it is for"))
    return faults
