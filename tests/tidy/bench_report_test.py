"""tools/bench/report.py: ratios, what holds, the table and the file."""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "bench"))
from report import KEYS, Report  # noqa: E402


class ReportTest(unittest.TestCase):
    def test_ratio_is_to_the_peer_else_to_the_limit(self):
        report = Report("t")
        row = report.add("a", 90, "x", peer="p", peer_value=100, limit=180)
        self.assertEqual(row["ratio"], 0.9)
        self.assertEqual(report.add("b", 90, "x", limit=180)["ratio"], 0.5)
        self.assertIsNone(report.add("c", 90, "x")["ratio"])
        self.assertIsNone(report.add("d", 90, "x", peer="p", peer_value=0)["ratio"])

    def test_holds(self):
        report = Report("t")
        for ours, better, holds in ((80, "higher", True), (79, "higher", False),
                                    (80, "lower", True), (81, "lower", False)):
            row = report.add("a", ours, "x", limit=100, must=0.8, better=better)
            self.assertIs(row["holds"], holds)
        self.assertIs(report.add("a", float("nan"), "x", limit=1, must=0.8)["holds"], False)
        self.assertIsNone(report.add("a", 1, "x", limit=1)["holds"])

    def test_refuses_what_cannot_be_judged(self):
        with self.assertRaises(ValueError):
            Report("t").add("a", 1, "x", must=1)
        with self.assertRaises(ValueError):
            Report("t").add("a", 1, "x", limit=1, better="bigger")

    def finish(self, report: Report, path: str | None = None) -> tuple[int, str]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            return report.finish(path), out.getvalue()

    def test_table_file_and_status(self):
        report = Report("speed")
        report.add("decode", 123.456, "tokens/s", peer="other", peer_value=100.0, must=0.8, aim=1.2)
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/rows.json"
            status, table = self.finish(report, path)
            rows = json.loads(pathlib.Path(path).read_text())
        self.assertEqual(status, 0)
        self.assertEqual([tuple(row) for row in rows], [KEYS])
        self.assertEqual(rows[0]["ratio"], 1.23456)
        lines = table.splitlines()
        self.assertEqual(lines[0], "speed")
        self.assertEqual(lines[1].split(), list(KEYS))
        self.assertEqual(lines[3].split(),
                         ["decode", "123.5", "tokens/s", "other", "100.0", "-", "1.23", "0.8",
                          "1.2", "yes"])
        report.add("nothing", float("nan"), "x")
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/rows.json"
            self.finish(report, path)
            self.assertIsNone(json.loads(pathlib.Path(path).read_text())[1]["ours"])
        report.add("prefill", 1.0, "tokens/s", limit=10.0, must=0.5)
        status, table = self.finish(report)
        self.assertEqual(status, 1)
        self.assertTrue(table.rstrip().endswith("NO"))


if __name__ == "__main__":
    unittest.main()
