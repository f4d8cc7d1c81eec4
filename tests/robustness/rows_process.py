"""L: the command line, variables and files of settings. P: the process and its machine."""

import contextlib
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import harness
import tiny_model
from expect import ok
from harness import text
from program import BAD_MODEL, ENVIRONMENT, SMALL, USAGE, expect, refuses, refuses_model, run
from table import Row
from wire import Wire, request

LONG_STREAM = text(max_tokens=400, ignore_eos=True, stream=True)
NUMBERS = ("-1", "abc", "1e3", "99999999999999999999", "0x10", " 8 ", "", "8.5", "٣")


def number_rows():
    for value in NUMBERS:
        yield Row("L02", f"--max-concurrent-prefill '{value}'",
                  refuses(USAGE, "prefill", f"--max-concurrent-prefill={value}"))
        yield Row("L02", f"VSURGE_SEED='{value}'", starts() if value in ("", "-1") else
                  refuses(USAGE, "VSURGE_SEED", environment={"VSURGE_SEED": value}))
    for option, values in {"port": ("-1", "65536", "a"), "page-size": ("0", "17", "1000"),
                           "drain-timeout": ("-1", "86401", "x"), "max-request-size": ("0", "10"),
                           "max-workers": ("-1", "5000"), "threads": ("-1", "100000"),
                           "max-model-len": ("0", "-5", "2000000"), "log-level": ("loud",),
                           "kv-cache-memory-bytes": ("x", "-1", "1"), "dtype": ("int3",),
                           "speculative-tokens": ("-1", "17"), "log-format": ("xml",),
                           "tool-call-parser": ("x",), "reasoning-parser": ("x",),
                           "unknown-fields": ("x",), "isa": ("z80",), "seed": ("x",),
                           "served-model-name": ("a" * 300,), "host": ("a" * 300,)
                           }.items():
        for value in values:
            yield Row("L02", f"--{option} {value[:12]!r}", any_refusal(option, value))


def any_refusal(option, value):
    """Usage or, where only the machine can tell, its own status; the option is named."""
    def act(server):
        with tempfile.TemporaryDirectory() as folder:
            model = tiny_model.write(folder)
            sizes = [s for pair in zip(SMALL[::2], SMALL[1::2]) if pair[0] != f"--{option}"
                     for s in pair]
            port = [] if option == "port" else ["--port", "0"]
            code, told = run(server.program, "serve", str(model), *port, *sizes,
                             f"--{option}={value}")
            assert code in (USAGE, ENVIRONMENT), f"{code}: {told[-800:]}"
            word = option.replace("-", "[-_ ]")
            assert re.search(word, told) or value in told, told[-800:]
            assert len(told) < 8000 and "ready" not in told, told[-800:]
    return act


def starts(*options, environment=None, limits=None):
    """It starts, answers, and ends with 0."""
    def act(server):
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, **(environment or {})}
            model = tiny_model.write(folder)
            with Fresh(server.program, model, options, env, limits) as fresh:
                ok()(fresh.ask(text()))
                assert fresh.stop() == 0
    return act


class Fresh(harness.Server):
    """A server of its own with other variables and limits."""

    def __init__(self, program, model, options=(), environment=None, limits=None, **more):
        before = {kind: resource.getrlimit(kind) for kind in limits or {}}
        kept = dict(os.environ)
        try:
            for kind, value in (limits or {}).items():
                resource.setrlimit(kind, (value, before[kind][1]))
            os.environ.clear()
            os.environ.update(environment or kept)
            super().__init__(program, model, options, patience_s=60, **more)
        finally:
            os.environ.clear()
            os.environ.update(kept)
            for kind, value in before.items():
                resource.setrlimit(kind, value)


def address_rows():
    yield Row("L04", "a name that is none",
              refuses(ENVIRONMENT, "no-such-host.invalid", "--host", "no-such-host.invalid"))
    yield Row("L04", "an address of another machine",
              refuses(ENVIRONMENT, "192.0.2.1", "--host", "192.0.2.1"))
    yield Row("L04", "a port that is taken", taken_port)
    yield Row("L04", "::1 in brackets", starts_on("[::1]"))
    yield Row("L04", "localhost", starts_on("localhost"))


def taken_port(server):
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model.write(folder)
        got = run(server.program, "serve", str(model), "--port", str(server.port), *SMALL)
        expect(got, ENVIRONMENT, str(server.port))


def starts_on(host):
    def act(server):
        if ":" in host and not socket.has_ipv6:
            return
        with tempfile.TemporaryDirectory() as folder:
            model = tiny_model.write(folder)
            process = subprocess.Popen(
                [server.program, "serve", str(model), "--port", "0", "--host", host, *SMALL],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for line in process.stdout:
                if "ready" in line:
                    break
            process.send_signal(signal.SIGTERM)
            told = process.stdout.read()
            assert process.wait(60) == 0, told
    return act


def settings(content, *arguments, says, status=USAGE):
    def act(server):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "s.toml"
            path.write_bytes(content)
            refuses(status, says, "--config", str(path), *arguments)(server)
    return act


def setting_rows():
    yield Row("L07", "an option that is none", refuses(USAGE, "--zzz", "--zzz", "1"))
    yield Row("L07", "an option twice", refuses(USAGE, "--seed", "--seed", "1", "--seed", "2"))
    yield Row("L07", "an option without its value", refuses(USAGE, "--seed", "--seed"))
    yield Row("L07", "a key without a certificate",
              refuses(USAGE, "ssl_", "--ssl-keyfile", "/nowhere"))
    yield Row("L07", "a certificate that is not there", refuses(
        ENVIRONMENT, "/nowhere", "--ssl-keyfile", "/nowhere", "--ssl-certfile", "/nowhere"))
    yield Row("L07", "settings that are not there",
              refuses(USAGE, "/nowhere.toml", "--config", "/nowhere.toml"))
    for what, content, says in (("no TOML", b"= 1", "s.toml:1"),
                                ("not UTF-8", b'a = "\xff"', "s.toml"),
                                ("an unknown key", b"zzz = 1", "zzz"), ("a table", b"[zzz]", "zzz"),
                                ("a table as a value", b"seed = {a=1}", "seed"),
                                ("an array of tables", b"seed = [[1]]", "seed"),
                                ("a wrong value", b'seed = "x"', "seed"),
                                ("a date", b"seed = 2020-01-01", "seed"),
                                ("both names", b"max_length=9\nmax_model_len=9", "one option"),
                                ("20,000 levels", b"a=" + b"[" * 20_000, "s.toml"),
                                ("2 MiB", b"#" * (2 << 20), "s.toml")):
        yield Row("L07", f"settings: {what}", settings(content, says=says))
    yield Row("L07", "the command line before the variable",
              refuses(USAGE, "loud", "--log-level", "loud",
                      environment={"VSURGE_LOG_LEVEL": "info"}))
    yield Row("L07", "the variable before the file", before_file)
    for name, value in (("LC_ALL", "tr_TR.UTF-8"), ("LC_ALL", "xx_YY"), ("LC_ALL", "de_DE.UTF-8"),
                        ("TZ", "Nowhere/Never"), ("TZ", ":/etc/passwd"), ("HOME", "/nowhere")):
        yield Row("L12", f"{name}={value}", starts(environment={**os.environ, name: value}))
    for arguments, says in ((("--help",), "serve"), (("serve", "--help"), "--port"),
                            (("--help-all",), "--port"), (("--version",), "vsurge "),
                            (("version",), "vsurge ")):
        yield Row("L14", " ".join(arguments),
                  lambda server, a=arguments, s=says: expect(run(server.program, *a), 0, s))
    for arguments in ((), ("zzz",), ("serve", "a", "b")):
        yield Row("L14", f"vsurge {' '.join(arguments)}",
                  lambda server, a=arguments: expect(run(server.program, *a), USAGE))


def before_file(server):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "s.toml"
        path.write_text('log_level = "loud"')
        starts("--config", str(path),
               environment={**os.environ, "VSURGE_LOG_LEVEL": "info"})(server)


def model_rows():
    for what, path in (("that is not there", "/nowhere"), ("that is a device", "/dev/null"),
                       ("that is an empty folder", None)):
        def act(server, path=path):
            with tempfile.TemporaryDirectory() as folder:
                got = run(server.program, "serve", path or folder, "--port", "0")
                expect(got, BAD_MODEL)
        yield Row("P-12", f"a model {what}", act)
    for name, members, says in (("config", {"num_attention_heads": 0}, "num_attention_heads"),
                                ("config", {"vocab_size": 2**31}, "vocab"),
                                ("config", {"architectures": ["X"]}, "X"),
                                ("config", {"eos_token_id": 99999}, "eos_token_id"),
                                ("tokenizer", {"model": {"type": "X"}}, "tokenizer")):
        yield Row("P-12", f"{name}: {members}", refuses_model(says, **{name: members}))


def signals(server):
    """Signals that mean nothing to a server cost nothing; a stream goes on."""
    with server.connect() as connection:
        connection.send(request("/v1/completions", LONG_STREAM))
        for _ in range(2000):
            for kind in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG,
                         signal.SIGCONT):
                server.process.send_signal(kind)
        assert connection.answer().events()[-1] == "[DONE]"


def killed_and_back(server):
    """After SIGKILL with a connection open the same port can be had at once."""
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model.write(folder)
        port = free_port()
        first = on_port(server.program, model, port)
        before = ask_port(port).json()["choices"]
        with Wire(port) as held:
            held.send(request("/v1/completions", LONG_STREAM))
            held.until(b"data: ")
            first.kill()
            first.wait()
            second = on_port(server.program, model, port)
            assert ask_port(port).json()["choices"] == before, "other bytes after a restart"
            second.send_signal(signal.SIGTERM)
            assert second.wait(60) == 0


def ends_by(kind, expected):
    """How a signal ends it, while an answer runs."""
    def act(server):
        with tempfile.TemporaryDirectory() as folder:
            with Fresh(server.program, tiny_model.write(folder)) as fresh:
                connection = fresh.connect()
                connection.send(request("/v1/completions", LONG_STREAM))
                connection.until(b"data: ")
                fresh.process.send_signal(kind)
                connection.until(b"data: [DONE]")
                connection.close()
                assert fresh.process.wait(60) == expected, fresh.process.returncode
    return act


def few_files(server):
    """No descriptor left: who is served goes on, others wait, and nobody spins meanwhile; with some
    again all are served."""
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model.write(folder)
        # The hard limit, too: the program would raise the other one.
        few = ("sh", "-c", 'ulimit -n 64; exec "$0" "$@"')
        with Fresh(server.program, model, through=few) as fresh:
            with fresh.connect() as first, fresh.connect() as streaming:
                first.send(request("/version", method="GET"))
                ok()(first.answer())
                streaming.send(request("/v1/completions", LONG_STREAM))
                streaming.until(b"data: ")
                full = time.monotonic()
                held = [fresh.connect() for _ in range(100)]
                for path in ("/metrics", "/health"):
                    first.send(request(path, method="GET"))
                    assert first.answer().status == 200, path
                first.send(request("/v1/completions", text()))
                ok()(first.answer())
                streaming.until(b"data: [DONE]")
                before = cpu_seconds(fresh.process.pid)
                time.sleep(2)
                used = cpu_seconds(fresh.process.pid) - before
                assert used < 0.2, f"{used:.2f} s of CPU in 2 s in which there is nothing to do"
                told = [line for line in fresh.lines if "cannot accept" in line]
                assert 1 <= len(told) <= 1 + (time.monotonic() - full) // 5, told
                last = fresh.connect()
                last.send(request("/version", method="GET"))
                for connection in held:
                    connection.close()
                begin = time.monotonic()
                ok()(last.answer())
                took = time.monotonic() - begin
                assert took < 2, f"accepting again took {took:.1f} s"
                last.close()
            ok()(fresh.ask(text()))
            assert fresh.stop() == 0


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def full_log(server):
    """stderr on a device that is full: it serves."""
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model.write(folder)
        port = free_port()
        with open("/dev/full", "w") as full:
            process = on_port(server.program, model, port, stdout=full, stderr=full)
            answer = ask_port(port)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            ok()(answer)


def closed_log(server):
    """Whoever read stderr has gone."""
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model.write(folder)
        port = free_port()
        process = on_port(server.program, model, port, stdout=subprocess.PIPE)
        process.stdout.close()
        ok()(ask_port(port))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def on_port(program, model, port, **more):
    process = subprocess.Popen([program, "serve", str(model), "--port", str(port),
                                "--served-model-name", "m", *SMALL],
                               **{"stdout": subprocess.DEVNULL,
                                  "stderr": subprocess.DEVNULL, **more})
    wait_until_ready(port, process)
    return process


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(port, process):
    """It listens before its model is warm; until then all but probes is refused."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, f"it ended with {process.returncode}"
        with contextlib.suppress(OSError):  # nobody listens, or 503
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10).close()
            return
        time.sleep(0.02)
    raise AssertionError("it was not ready after a minute")


def ask_port(port):
    with Wire(port) as connection:
        connection.send(request("/v1/completions", text()))
        return connection.answer()


def no_network_no_program(server):
    """Nothing that it has open leads out, and it has no child."""
    pid = server.process.pid
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    assert children == "", children
    ok()(server.ask(text()))
    own = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    inodes = {name[8:-1] for name in own if name.startswith("socket:[")}
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    remote = {row[2].split(":")[0] for row in rows if row[9] in inodes}
    assert remote <= {"00000000", "0100007F"}, remote


def process_rows(server):
    # Instrumented frames of threads are larger: TSan needs a MiB.
    stack_bytes = (1024 if server.thread_sanitized() else 256) << 10
    yield Row("P-02", "10,000 signals that mean nothing", signals)
    yield Row("P-02", "SIGINT ends it properly", ends_by(signal.SIGINT, 0))
    yield Row("P-02", "SIGTERM ends it properly", ends_by(signal.SIGTERM, 0))
    yield Row("P-05", "SIGKILL, and at once again on the same port", killed_and_back)
    yield Row("P-09", "64 descriptors, 100 connections", few_files)
    yield Row("P-09", "a log that nothing can be written to", full_log)
    yield Row("P-09", "a log that nobody reads any more", closed_log)
    yield Row("P-10", f"stacks of {stack_bytes >> 10} KiB",
              starts(limits={resource.RLIMIT_STACK: stack_bytes}))
    yield Row("P-12", "no folder for temporary files",
              starts(environment={**os.environ, "TMPDIR": "/nowhere"}))
    yield Row("P-15", "one CPU", one_cpu)
    yield Row("P-22", "no variable at all", starts(environment={"VSURGE_SEED": "0"}))
    yield Row("P-25", "nothing open leads out, no child", no_network_no_program)


def one_cpu(server):
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        starts()(server)
    finally:
        os.sched_setaffinity(0, before)


def rows(server):
    yield from number_rows()
    yield from address_rows()
    yield from setting_rows()
    yield from model_rows()
    yield from process_rows(server)


SKIPPED = {"L05": "a context of 1 and past the model's: L02 has the rows of --max-model-len",
           "L09": "keys of clients have rows of their own where they are kept",
           "P-04": "there is no handler of crashes: the kernel's dump is the operator's choice",
           "P-07": "a limit of memory below what the sanitizers map cannot be set here",
           "P-14": "the clock of the machine is not a test's to set; waits use the steady clock",
           "P-17": "needs rights over the machine (swap, huge pages)",
           "P-19": "needs a network namespace", "P-20": "there is no GPU code",
           "P-24": "counters are of 64 bits and do not wrap in a life"}
