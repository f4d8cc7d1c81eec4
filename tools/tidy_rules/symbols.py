"""ISA units export one symbol: what else they define could be chosen by the linker for code that
runs on a machine without that ISA."""

import pathlib
import re
import shutil
import subprocess

from .tree import Fault, Tree

UNIT = re.compile(r"src/kernels/cpu/((?:sse|avx|amx|neon|sve|scalar)\w*)\.cc$")
# Strong, weak and unique definitions; local ones (lower case) cannot be chosen by others.
DEFINED = re.compile(r"^\S*\s*([TDBRSVWCGuvwi])\s+(.+)$")
# Of the sanitizers: made by the compiler, the same in every unit.
RUNTIME = re.compile(r"^(__(asan|tsan|ubsan|odr_asan|sanitizer|start_|stop_)|_?DW\.ref|asan\.)")


def check(tree: Tree, build: pathlib.Path) -> list[Fault]:
    units = {m.group(1): p for p in tree.paths if (m := UNIT.search(p))}
    if not units:
        return [Fault("src/kernels/cpu", 1, "nm", "no ISA unit found")]
    faults = []
    for name, path in units.items():
        objects = list(build.glob(f"src/kernels/CMakeFiles/*/cpu/{name}.cc.o"))
        if not objects:
            faults.append(Fault(path, 1, "nm", f"no object of it in {build}"))
        for built in objects:
            faults += _check_object(path, exported(built))
    return faults


def _check_object(path: str, symbols: list[tuple[str, str]]) -> list[Fault]:
    if len(symbols) == 1 and symbols[0][0] not in "VWvwu":
        return []
    listed = ", ".join(f"{name} ({kind})" for kind, name in symbols) or "none"
    return [Fault(path, 1, "nm", f"exports {len(symbols)} symbols, expected one: {listed}")]


def exported(built: pathlib.Path) -> list[tuple[str, str]]:
    """(kind, name) of each symbol that an object defines for others."""
    nm = shutil.which("nm") or "nm"
    out = subprocess.run([nm, "-C", "--defined-only", "--extern-only", str(built)], check=True,
                         capture_output=True, text=True).stdout
    found = [m.groups() for m in map(DEFINED.match, out.splitlines()) if m]
    return [(kind, name) for kind, name in found if not RUNTIME.match(name)]
