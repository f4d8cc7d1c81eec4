#!/usr/bin/env python3
"""Mutation test of the simulation: plants the faults of tests/mutants/mutants.txt one by one.

    mutants.py --check                       that each fault still has its place in src/engine
    mutants.py --build DIR [--only WORDS]    each in a program of its own, which must find it

Each fault is compiled (its one source, as the build does it, without optimisation) and linked with
the rest of vsurge_sim, which then runs until it finds a fault, at most --steps steps. A CHECK that
fails counts, and so does a run without an end. Exit status 1 when a fault survives.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src" / "engine"
LIST = ROOT / "tests" / "mutants" / "mutants.txt"
PROGRAM = "bin/vsurge_sim"
SECONDS_MAX = 300
CONTROL_STEPS = 50_000


@dataclasses.dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str

    def apply(self, source: str) -> str | None:
        """None unless the old lines stand there exactly once."""
        text, old = f"\n{source}", f"\n{self.old}\n"
        if text.count(old) != 1:
            return None
        return text.replace(old, f"\n{self.new}\n")[1:]


def parse(text: str) -> list[Mutant]:
    mutants = []
    for block in text.split("\n== ")[1:]:
        name, file, *lines = block.splitlines()
        old = [line[1:] for line in lines if line.startswith("-")]
        new = [line[1:] for line in lines if line.startswith("+")]
        mutants.append(Mutant(name.strip(), file.strip(), "\n".join(old), "\n".join(new)))
    return mutants


def misplaced(mutants: list[Mutant]) -> list[str]:
    faults = [f"two faults have the name: {name}" for name in
              {m.name for m in mutants if [n.name for n in mutants].count(m.name) > 1}]
    for mutant in mutants:
        path = SOURCES / mutant.file
        if not path.is_file():
            faults.append(f"{mutant.name}: no file {mutant.file}")
        elif mutant.old == mutant.new:
            faults.append(f"{mutant.name}: changes nothing")
        elif mutant.apply(path.read_text()) is None:
            faults.append(f"{mutant.name}: its place in {mutant.file} is gone, or not the only one")
    return faults


class Build:
    """The commands of a build folder in which vsurge_sim is built."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder.resolve()
        rules = subprocess.run(["ninja", "-C", self.folder, "-t", "compdb"], check=True,
                               capture_output=True, text=True).stdout
        self.compiles = {pathlib.Path(entry["file"]).resolve(): entry["command"]
                         for entry in json.loads(rules)
                         if entry["file"].endswith(".cc") and "-c " in entry["command"]}
        commands = subprocess.run(["ninja", "-C", self.folder, "-t", "commands", PROGRAM],
                                  check=True, capture_output=True, text=True).stdout
        self.link = commands.strip().splitlines()[-1]

    def compile(self, original: pathlib.Path, source: pathlib.Path, output: pathlib.Path) -> str:
        words = shlex.split(self.compiles[original.resolve()])
        words = words[next(i for i, word in enumerate(words) if word.endswith("ccache")) + 1:] \
            if any(word.endswith("ccache") for word in words) else words
        kept, skip = [], False
        for word in words:
            if skip:
                skip = False
            elif word in ("-o", "-c", "-MF", "-MT"):
                skip = True
            elif word not in ("-MD", "-Werror"):
                kept.append(word)
        return self._run([*kept, "-O1", "-w", "-c", str(source), "-o", str(output)])

    def link_with(self, extra: pathlib.Path, output: pathlib.Path) -> str:
        command = self.link.replace(f"-o {PROGRAM}", f"-o {output} {extra}")
        return self._run(["sh", "-c", command])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stderr or "failed"


@dataclasses.dataclass(frozen=True)
class Outcome:
    mutant: Mutant
    found: bool
    how: str
    seconds: float


def try_one(mutant: Mutant, build: Build, steps: int) -> Outcome:
    original = SOURCES / mutant.file
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        source, extra, program = folder / mutant.file, folder / "mutant.o", folder / "sim"
        text = original.read_text()
        source.write_text(mutant.apply(text) or "" if mutant.old else text)
        fault = build.compile(original, source, extra) or build.link_with(extra, program)
        if fault:
            return Outcome(mutant, False, f"does not build: {fault.splitlines()[0]}", 0)
        begin = time.monotonic()
        try:
            done = subprocess.run([program, "--steps", str(steps), "--no-shrink"], text=True,
                                  capture_output=True, timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return Outcome(mutant, True, "no end", SECONDS_MAX)
        seconds = time.monotonic() - begin
        if done.returncode == 0:
            return Outcome(mutant, False, f"not found in {steps} steps", seconds)
        return Outcome(mutant, True, done.stdout.splitlines()[0], seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--build", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--only", default="", help="part of the name or file")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()

    mutants = parse(LIST.read_text())
    faults = misplaced(mutants)
    for fault in faults:
        print(fault)
    if faults or args.check or args.build is None:
        print(f"{len(mutants)} faults listed, {len(faults)} out of place")
        return 1 if faults else 0
    chosen = [m for m in mutants if args.only in m.name or args.only in m.file]
    build = Build(args.build)
    survivors = []
    for file in sorted({m.file for m in chosen}):
        if try_one(Mutant(f"{file} as it is", file, "", ""), build, CONTROL_STEPS).found:
            print(f"{file}: a fault is found though none is planted; is {args.build} up to date?")
            return 1
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for outcome in pool.map(lambda m: try_one(m, build, args.steps), chosen):
            mark = "found   " if outcome.found else "SURVIVES"
            print(f"{mark} {outcome.seconds:6.1f} s  {outcome.mutant.file:18} "
                  f"{outcome.mutant.name:52.52}  {outcome.how:.90}", flush=True)
            if not outcome.found:
                survivors.append(outcome.mutant.name)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} found")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
