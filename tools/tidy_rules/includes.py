"""Who may include whom: the floors, the libraries of each, and no circles."""

import posixpath
import re

from .tree import Fault, Tree, is_test

# Floor -> what its files may include of ours: whole floors, or single files.
FLOORS: dict[str, set[str]] = {
    "base": {"base"},
    "kernels": {"kernels"},
    "tensor": {"tensor", "kernels", "base"},
    "text": {"text", "base", "text_bridge.h"},
    "model": {"model", "tensor", "base", "kernels/types.h"},
    "engine": {"engine", "model", "tensor", "base", "kernels/types.h", "kernels/sample.h"},
    "capacity": {"capacity", "engine", "model", "base", "kernels/sample.h"},
    "access": {"access", "base"},
    "api": {"api", "access", "engine", "text", "base"},
    "server": {"server", "api", "base"},
    "facade": {"facade", "server", "api", "access", "capacity", "engine", "text", "model", "tensor",
               "kernels", "base", "vsurge"},
    "include": {"vsurge"},
    "apps": {"apps", "vsurge", "base"},
    "examples": {"vsurge"},
}

# Floor -> third-party libraries, by the first part of the include.
LIBRARIES: dict[str, set[str]] = {
    "base": {"fmt", "spdlog"},
    "kernels": set(),
    "tensor": {"fmt"},
    "text": {"fmt", "boost/json", "boost/system"},
    "model": {"fmt", "boost/json", "boost/system"},  # system: error codes of the JSON parser
    "engine": {"fmt"},
    "capacity": {"fmt", "boost/json", "boost/system"},
    "access": {"fmt", "boost/json", "boost/system"},
    "api": {"fmt", "boost/json", "boost/system", "sqlite3.h"},
    "server": {"fmt"},
    "facade": {"fmt", "boost/json", "boost/system"},
    "include": set(),
    "apps": {"fmt", "CLI", "toml++", "editline"},
    "examples": set(),
}

# Libraries that take long to compile or rule how code is written stay where they are.
_SOCKETS = ("src/server/http_server.cc", "src/server/connection.h", "src/server/connection.cc",
            "src/server/address_counts.h", "src/server/tls.h", "src/server/tls.cc")
HOMES = {
    "boost/asio": _SOCKETS,
    "openssl": (*_SOCKETS, "src/access/secret.cc"),
    "boost/beast": ("src/server/request_reader.cc",),
    "editline": ("apps/chat.cc",),
    "sqlite3.h": ("src/api/response_file_store.cc",),
}
TEST_LIBRARIES = {"gtest", "gmock", "rapidcheck", "rapidcheck.h", "benchmark", "fmt", "boost/json",
                  "boost/asio", "boost/beast", "openssl"}

# Kernels: C headers, intrinsics, and of C++ only what holds no code that a linker could merge
# between ISA levels.
# The last two: to ask the system for the state of AMX tiles.
KERNEL_HEADERS = {"cmath", "cstddef", "cstdint", "cstdlib", "cstring", "cfloat", "climits",
                  "cassert", "bit", "type_traits", "cpuid.h", "immintrin.h", "math.h", "stddef.h",
                  "stdint.h", "string.h", "float.h", "limits.h", "sys/syscall.h", "unistd.h"}

# POSIX and Linux headers that are not C's.
SYSTEM = re.compile(r"(sys|linux|arpa|netinet|net)/|(unistd|fcntl|sched|signal|pthread|poll|termios"
                    r"|dlfcn|netdb|syslog|pwd|malloc|immintrin|cpuid|cxxabi|execinfo)\.h$")
_INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def floor_of(path: str) -> str | None:
    parts = path.split("/")
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    return parts[0] if parts[0] in ("apps", "include", "examples") else None


def includes_of(tree: Tree, path: str):
    """(line, name, quoted) of each include."""
    for number, line in enumerate(tree.code_lines(path), 1):
        match = _INCLUDE.match(line)
        if match:
            yield number, match.group(1) or match.group(2), match.group(1) is not None


def resolve(tree: Tree, path: str, name: str) -> str | None:
    """The file of ours that an include means."""
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
    for candidate in (f"src/{name}", f"include/{name}", f"rust/text_bridge/include/{name}",
                      name, beside):
        if candidate in tree:
            return candidate
    return None


def check(tree: Tree) -> list[Fault]:
    faults = []
    graph: dict[str, list[tuple[int, str]]] = {}
    for path in tree.cpp:
        edges = graph.setdefault(path, [])
        for line, name, quoted in includes_of(tree, path):
            target = resolve(tree, path, name) if quoted or name.startswith("vsurge/") else None
            if target:
                edges.append((line, target))
            faults += _check_one(path, line, name, quoted, target)
    return faults + _circles(graph)


def _check_one(path, line, name, quoted, target) -> list[Fault]:
    floor = floor_of(path)
    if target is None and quoted:
        return [Fault(path, line, "include", f'"{name}" is no file of ours; others take <>')]
    if target and target.endswith("base/test_data.h") and not is_test(path):
        return [Fault(path, line, "include", "base/test_data.h is for tests alone")]
    if target and target.endswith((".cc", "_test.h")) and not is_test(path):
        return [Fault(path, line, "include", f"{name} is not a header of the program")]
    if floor is None or path.startswith(("tests/", "fuzz/")):
        return []
    if floor not in FLOORS:
        return [Fault(path, line, "include", f"src/{floor} is no floor of tools/tidy_rules")]
    if target:
        return _check_ours(path, line, name, floor)
    return _check_library(path, line, name, floor)


def _check_ours(path, line, name, floor) -> list[Fault]:
    allowed = FLOORS[floor]
    if "/" not in name and name not in allowed and floor == "apps":
        return []  # beside it in apps/
    if name.split("/")[0] in allowed or name in allowed:
        return []
    return [Fault(path, line, "include", f"{floor} may not include {name} "
                  f"(only {', '.join(sorted(allowed))})")]


def _check_library(path, line, name, floor) -> list[Fault]:
    head = name.split("/")[0]
    library = "/".join(name.split("/")[:2]).removesuffix(".hpp") if head == "boost" else head
    if is_test(path):
        if "/" in name or name.endswith(".h"):
            known = TEST_LIBRARIES | LIBRARIES[floor]
            if library not in known and not SYSTEM.match(name) and name not in KERNEL_HEADERS:
                return [Fault(path, line, "include", f"tests may not include <{name}>")]
        return []
    homes = HOMES.get(library)
    if homes:
        if path in homes:
            return []
        return [Fault(path, line, "include", f"<{name}> belongs into {' and '.join(homes)} alone")]
    if floor == "kernels":
        if name in KERNEL_HEADERS:
            return []
        return [Fault(path, line, "include", f"kernels may not include <{name}>: "
                      "C headers and intrinsics only")]
    standard = "/" not in name and not name.endswith((".h", ".hpp"))
    if standard or library in LIBRARIES[floor]:
        return []
    if SYSTEM.match(name) and floor not in ("include", "examples"):
        return []
    return [Fault(path, line, "include", f"{floor} may not include <{name}>")]


def _circles(graph: dict[str, list[tuple[int, str]]]) -> list[Fault]:
    """One fault for each circle of includes, found by a walk that remembers its way."""
    faults, done = [], set()

    def walk(start: str) -> None:
        way = [(start, iter(graph.get(start, ())))]
        on_way = {start}
        while way:
            path, edges = way[-1]
            for line, target in edges:
                if target in on_way:
                    names = [p for p, _ in way]
                    circle = names[names.index(target):] + [target]
                    faults.append(Fault(path, line, "cycle", " -> ".join(circle)))
                elif target not in done:
                    on_way.add(target)
                    way.append((target, iter(graph.get(target, ()))))
                    break
            else:
                on_way.discard(path)
                done.add(path)
                way.pop()

    for path in sorted(graph):
        if path not in done:
            walk(path)
    return faults
