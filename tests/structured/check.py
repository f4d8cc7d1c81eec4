"""Answers under constraints that a random model writes, judged by Python's jsonschema:
check.py SAMPLER MODEL schemas|keywords [COUNT]

Exit status 77, with one line that says why, when the model or jsonschema is not there."""

import collections
import decimal
import json
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tools" / "load")]
import served  # noqa: E402

TOKENS_MAX = 2000
SEED = 20250117


def skip(why):
    print(f"skipped: {why}")
    sys.exit(served.SKIP)


def sample(program, model, rows, seed=SEED):
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    done = subprocess.run([program, str(model), str(TOKENS_MAX), str(seed)], input=lines.encode(),
                          capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} ended with {done.returncode}: {done.stderr.decode()}")
    out = [json.loads(line) for line in done.stdout.decode().split("\n") if line]
    return out[:-1], out[-1]


def unusual_day(instance):
    """29 February and second 60 exist in some years and minutes; a pattern allows them always."""
    return re.search(r"-02-29|:60", instance) is not None


def number(text):
    """Exact; beyond the exponents of decimal, infinite, which is a number still."""
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation:
        return decimal.Decimal("-Infinity" if text.startswith("-") else "Infinity")


class Judge:
    def __init__(self):
        import jsonschema
        self.jsonschema = jsonschema
        decimal.getcontext().prec = 5000  # 0.07 is a multiple of 0.01
        sys.set_int_max_str_digits(0)

    def fault(self, schema, text):
        """Why an answer does not satisfy a schema; None when it does."""
        exact = json.loads(json.dumps(schema), parse_float=decimal.Decimal)
        if isinstance(exact, dict):
            exact.setdefault("$schema", "https://json-schema.org/draft/2020-12/schema")
        kind = self.jsonschema.validators.validator_for(exact)
        kind.check_schema(schema)
        try:
            instance = json.loads(text, parse_float=number)
        except ValueError as error:
            return f"not JSON: {error}"
        found = [it for it in kind(exact, format_checker=kind.FORMAT_CHECKER).iter_errors(instance)
                 if not (it.validator == "format" and unusual_day(it.instance))]
        return found[0].message if found else None


def row_of(schema, whitespace=""):
    return {"kind": "json_schema", "text": json.dumps(schema, ensure_ascii=False),
            "whitespace": whitespace}


def judge(judge_it, schemas, answers):
    counts = collections.Counter()
    faults = []
    for schema, answer in zip(schemas, answers):
        counts[answer["status"]] += 1
        if answer["status"] == "failed":
            faults.append(f"{answer['message']}\n  {json.dumps(schema)}")
        if answer["status"] == "ended":
            why = judge_it.fault(schema, answer["text"])
            if why:
                faults.append(f"{why}\n  {json.dumps(schema)}\n  {answer['text']!r}")
    return counts, faults


def check_schemas(program, model, count):
    from schemas import schemas
    made = schemas(SEED, count)
    begun = time.monotonic()
    blanks = [r"[ \t\r\n]{1,32}" if index % 10 == 0 else "" for index in range(count)]
    answers, times = sample(program, model, [row_of(s, w) for s, w in zip(made, blanks)])
    counts, faults = judge(Judge(), made, answers)
    for fault in faults[:10]:
        print(fault)
    reasons = collections.Counter(re.sub(r"[0-9]+", "N", answer["message"])[:70]
                                  for answer in answers if answer["status"] == "refused")
    print(f"{count} schemas: {dict(counts)}, {len(faults)} faults, "
          f"{time.monotonic() - begun:.0f} s; refused: {reasons.most_common(8)}")
    for name, row in times.items():
        print(f"  {name}: " + ", ".join(f"{key} {value:.0f}" for key, value in row.items()))
    assert not faults, f"{len(faults)} answers do not satisfy their schema"
    assert counts["ended"] >= 0.7 * count, "most answers must come to an end"
    assert counts["refused"] <= 0.15 * count, "too much is refused"


def check_keywords(program, model):
    """Every row of the table is enforced or refused as it says, and docs/API.md lists the same."""
    from keywords import ENFORCED, REFUSED
    rows = [(name, schema) for name, schemas in ENFORCED.items() for schema in schemas]
    judge_it = Judge()
    for turn in range(8):
        answers, _ = sample(program, model, [row_of(it) for _, it in rows], SEED + 1000 * turn)
        for (name, schema), answer in zip(rows, answers):
            assert answer["status"] in ("ended", "cut"), (name, schema, answer)
            if answer["status"] == "ended":
                why = judge_it.fault(schema, answer["text"])
                assert why is None, (name, why, schema, answer["text"])
    refused, _ = sample(program, model, [row_of(it) for it in REFUSED.values()])
    for (name, schema), answer in zip(REFUSED.items(), refused):
        keyword = name.split(" ")[0]
        assert answer["status"] == "refused", (name, schema, answer)
        assert keyword in answer["message"], (name, answer["message"])
    page = (ROOT / "docs" / "API.md").read_text()
    section = page[page.index("## Structured output"):].split("\n## ")[0]
    for label, names in (("Enforced keywords:", {it.split(" ")[0] for it in ENFORCED}),
                         ("Refused keywords:", {it.split(" ")[0] for it in REFUSED})):
        line = section[section.index(label):].split("\n\n")[0]
        listed = set(re.findall(r"`([^`]+)`", line))
        assert listed == names, (label, "listed but not tried", listed - names,
                                 "tried but not listed", names - listed)
    print(f"{len(rows)} schemas of {len(ENFORCED)} keywords hold, {len(REFUSED)} are refused")


def main():
    program, model, what = sys.argv[1:4]
    model = served.test_model() if model == "default" else model
    if model is None:
        skip("the default model is not there (./dev setup fetches it)")
    try:
        import jsonschema  # noqa: F401
    except ImportError:
        skip("no jsonschema package (./dev setup installs it)")
    if what == "schemas":
        check_schemas(program, model, int(sys.argv[4]))
    else:
        check_keywords(program, model)


main()
