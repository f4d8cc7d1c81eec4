"""What every benchmark gives: a table for people and, with --json FILE, the same rows for programs.

    report = Report("quick")
    report.add("decode", ours, "tokens/s", peer="llama.cpp", peer_value=theirs, must=0.8)
    sys.exit(report.finish(args.json))

A row is {metric, ours, unit, peer, peer_value, limit, ratio, must, aim, holds}:
- ratio: ours / peer_value where there is a peer, else ours / limit, else null;
- limit: what the machine or the task allows at best, in the same unit;
- must, aim: what the ratio must reach and should reach. Where less is better (better="lower") it
  must not be above them;
- holds: whether must is met; null where there is none.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("VSURGE_BUILD") or ROOT / "build/release")
KEYS = ("metric", "ours", "unit", "peer", "peer_value", "limit", "ratio", "must", "aim", "holds")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every benchmark has."""
    parser.add_argument("--json", metavar="FILE", help="write the rows there as a JSON array")


def build_program(name: str) -> pathlib.Path:
    """The path of a benchmark's program of the release build, made or brought up to date."""
    built = subprocess.run(["ninja", "-C", BUILD, name], stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        sys.exit(f"{name}: not built; ./dev build says why\n{built.stdout[-2000:]}")
    return BUILD / "bin" / name


class Report:
    def __init__(self, title: str):
        self.title = title
        self.rows: list[dict] = []

    def add(self, metric: str, ours: float, unit: str, *, peer: str | None = None,
            peer_value: float | None = None, limit: float | None = None,
            must: float | None = None, aim: float | None = None, better: str = "higher") -> dict:
        if better not in ("higher", "lower"):
            raise ValueError(f"better: expected higher or lower, found {better}")
        base = peer_value if peer_value is not None else limit
        ratio = ours / base if base else None
        if must is not None and ratio is None:
            raise ValueError(f"{metric}: must needs a peer_value or a limit other than 0")
        holds = None
        if must is not None:
            holds = math.isfinite(ratio) and (
                ratio >= must if better == "higher" else ratio <= must)
        row = dict(zip(KEYS, (metric, ours, unit, peer, peer_value, limit, ratio, must, aim,
                              holds)))
        self.rows.append(row)
        return row

    def table(self) -> str:
        cells = [list(KEYS)] + [[_cell(row[key]) for key in KEYS] for row in self.rows]
        widths = [max(len(line[i]) for line in cells) for i in range(len(KEYS))]
        text = {0, 2, 3}  # left-aligned: metric, unit, peer
        lines = ["  ".join(cell.ljust(width) if i in text else cell.rjust(width)
                           for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
                 for line in cells]
        return "\n".join([self.title, lines[0], "-" * len(lines[0])] + lines[1:])

    def markdown(self) -> str:
        """The table for a document."""
        lines = [list(KEYS), ["---"] * len(KEYS)]
        lines += [[_cell(row[key]) for key in KEYS] for row in self.rows]
        rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"{self.title}\n\n{rows}\n"

    def finish(self, json_file: str | None) -> int:
        """Prints the table, writes the file; the exit status: 0 where every must holds."""
        print(self.table())
        if json_file:
            with open(json_file, "w", encoding="utf-8") as out:
                json.dump([{key: _finite(value) for key, value in row.items()}
                           for row in self.rows], out, indent=1, allow_nan=False)
                out.write("\n")
        missed = [row["metric"] for row in self.rows if row["holds"] is False]
        if missed:
            print(f"not held: {', '.join(missed)}", file=sys.stderr)
        return 1 if missed else 0


def write_section(path: str, name: str, text: str) -> None:
    """Puts the text between the lines <!-- name --> and <!-- /name --> of a document, which has
    both, once each; the rest stays as it is."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    with open(path, encoding="utf-8") as file:
        old = file.read()
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(begin) > old.index(end):
        raise ValueError(f"{path}: expected {begin.strip()} before {end.strip()}, once each")
    head, rest = old.split(begin)
    tail = rest.split(end)[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{head}{begin}\n{text}\n{end}{tail}")


def _finite(value):
    """JSON has no NaN: what could not be measured is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
