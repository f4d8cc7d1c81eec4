"""The load generator replays a schedule: run.py VSURGE_LOAD

Against its own canned answers, so that what it writes down is known beforehand."""

import csv
import json
import pathlib
import subprocess
import sys
import tempfile

ANSWER = 40  # tokens of a canned answer


def load(program, folder, lines, *options):
    """The status, figures and records of a schedule."""
    schedule, figures, records = (folder / name for name in ("schedule", "figures", "records"))
    schedule.write_text(lines)
    done = subprocess.run(
        [program, "--yardstick", "--clients", "4", "--answer-tokens", str(ANSWER), "--schedule",
         schedule, "--json", figures, "--records", records, *options],
        capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        return done, None, None
    with open(records) as file:
        return done, json.loads(figures.read_text()), list(csv.DictReader(file))


def replays(program, folder, *options):
    """Each request is begun when it is due, once, and all that is told of it fits together."""
    due = [0, 0, 0.15, 0.3, 0.3]
    _, figures, rows = load(program, folder, "".join(f"{at} 3 {ANSWER}\n" for at in due), *options)
    assert figures["good"] == figures["begun"] == len(due), figures
    assert figures["tokens"] == len(due) * ANSWER, figures
    assert figures["seconds"] >= due[-1], figures
    assert sorted(float(row["at_s"]) for row in rows) == due, rows
    for row in rows:
        late, first, whole = (float(row[key]) for key in ("late_ms", "first_ms", "whole_ms"))
        assert row["status"] == "200" and int(row["tokens"]) == ANSWER, row
        assert 0 <= late <= first <= whole, row


def refuses(program, folder):
    """A schedule that is not in order is told by its line."""
    for lines, fault in (("0 1 1\n1 x 1\n", "line 2"), ("1 1 1\n0 1 1\n", "line 2"),
                         ("0 1 0\n", "line 1"), ("", "line 1"), ("0 -1 1\n", "line 1")):
        done, _, _ = load(program, folder, lines)
        assert done.returncode == 1 and fault in done.stderr, (lines, done)


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        replays(sys.argv[1], folder)
        replays(sys.argv[1], folder, "--fresh")
        refuses(sys.argv[1], folder)
    print("load: all checks pass")


if __name__ == "__main__":
    main()
