"""The files of the project, read once, and what several rules need to know about them."""

import dataclasses
import functools
import pathlib
import re
import subprocess

CPP = (".cc", ".h", ".cpp")


@dataclasses.dataclass(frozen=True, order=True)
class Fault:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


class Tree:
    """Files by their path relative to the root: what git tracks or would add, else all of them."""

    def __init__(self, root: pathlib.Path):
        self.root = root.resolve()
        self.paths = sorted(p for p in self._list() if (self.root / p).is_file())
        self._set = set(self.paths)

    def _list(self) -> list[str]:
        if (self.root / ".git").exists():
            listed = subprocess.run(
                ["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others",
                 "--exclude-standard"], check=True, capture_output=True, text=True).stdout
            return [path for path in listed.split("\0") if path]
        files = (p.relative_to(self.root) for p in self.root.rglob("*") if p.is_file())
        return [str(p) for p in files
                if p.parts[0] != "build" and not {"__pycache__", "node_modules"} & set(p.parts)]

    def __contains__(self, path: str) -> bool:
        return path in self._set

    @functools.cache
    def text(self, path: str) -> str | None:
        """None for what is not text."""
        data = (self.root / path).read_bytes()
        if b"\0" in data:
            return None
        return data.decode("utf-8", errors="replace")

    @functools.cache
    def lines(self, path: str) -> list[str]:
        return (self.text(path) or "").splitlines()

    @functools.cache
    def code_lines(self, path: str) -> list[str]:
        """Lines of C++ without comments and without what strings hold."""
        return strip_cpp(self.text(path) or "").splitlines()

    @functools.cached_property
    def cpp(self) -> list[str]:
        return [p for p in self.paths if p.endswith(CPP)]


TEST_ENDS = ("_test.cc", "_test.h", "_bench.cc", "_fixture.cc", "_fixture.h")


def is_test(path: str) -> bool:
    """Sources that are built into tests alone."""
    return path.endswith(TEST_ENDS) or path.startswith(("tests/", "fuzz/")) or "/test_" in path


_TOKEN = re.compile(
    r"""//[^\n]*(?:\\\n[^\n]*)*"""
    r"""|/\*.*?\*/"""
    r"""|R"(?P<tag>[^()\s\\"]{0,16})\(.*?\)(?P=tag)\""""
    r"""|"(?:[^"\\\n]|\\.)*\""""
    r"""|(?<![0-9a-zA-Z_])'(?:[^'\\\n]|\\.)+'""", re.S)
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b.*$", re.M)


def strip_cpp(text: str) -> str:
    """Blanks comments and the insides of literals; keeps lines, columns and #include lines."""
    keep = {m.start(): m.end() for m in _INCLUDE.finditer(text)}

    def blank(match: re.Match) -> str:
        start = match.start()
        line_start = text.rfind("\n", 0, start) + 1
        if line_start in keep and start < keep[line_start] and text[start] == '"':
            return match.group()
        inside = re.sub(r"[^\n]", " ", match.group())
        if text[start] == "/":
            return inside
        return '"' + inside[1:-1] + '"' if len(inside) >= 2 else inside

    return _TOKEN.sub(blank, text)
