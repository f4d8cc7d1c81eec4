"""The program as a command: what it must refuse at the start, and how it says so."""

import json
import os
import pathlib
import subprocess
import tempfile

import tiny_model

PATIENCE_S = 60  # only a hang takes so long
USAGE, BAD_MODEL, ENVIRONMENT = 2, 3, 4
SMALL = ("--kv-cache-memory-bytes", "16M", "--max-num-seqs", "4", "--threads", "1",
         "--max-num-batched-tokens", "256")


def run(program, *arguments, environment=None, **more):
    """The exit status and what was written to stderr and stdout."""
    done = subprocess.run([program, *arguments], capture_output=True, timeout=PATIENCE_S,
                          env={**os.environ, **(environment or {})}, check=False, **more)
    return done.returncode, (done.stderr + done.stdout).decode(errors="replace")


def expect(got, status, *says):
    code, told = got
    assert code == status, f"exit status {code}, expected {status}: {told[-1500:]}"
    for words in says:
        assert words in told, f"'{words}' is not in: {told[-1500:]}"


def refuses(status, says, *arguments, environment=None):
    """`vsurge serve` of a good model with these arguments ends so, and names what is wrong."""
    def act(server):
        with tempfile.TemporaryDirectory() as folder:
            model = tiny_model.write(folder)
            got = run(server.program, "serve", str(model), "--port", "0", *SMALL, *arguments,
                      environment=environment)
            expect(got, status, says)
            assert "ready" not in got[1], "it listened"
    return act


def refuses_model(says, template=tiny_model.TEMPLATE, **changed):
    """A checkpoint with these files changed is refused with its own status, by name. A file's
    value is bytes, or members to be put over those of the JSON that is there."""
    def act(server):
        with tempfile.TemporaryDirectory() as folder:
            model = tiny_model.write(folder, template)
            for name, members in changed.items():
                change(pathlib.Path(folder), name, members)
            got = run(server.program, "serve", str(model), "--port", "0", *SMALL)
            expect(got, BAD_MODEL, says)
            assert "ready" not in got[1], "it listened"
    return act


def change(folder, name, members):
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **members}))
