"""P10, P12, P26: what the program and its service manager (systemd) tell each other."""

import contextlib
import os
import pathlib
import signal
import socket
import sys
import tempfile
import time

import rows_tls
import tiny_model
from expect import ok
from harness import text
from program import USAGE, refuses
from rows_process import LONG_STREAM, Fresh
from table import Row
from wire import Wire, request

WATCHDOG_S = 1.2  # messages come four times as often

# Gives descriptors to a program as systemd does: from 3 on, named, for its process id.
HANDER = """
import os, sys
names, fds = sys.argv[1], [int(fd) for fd in sys.argv[2].split(",")]
high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Manager:
    """The socket of NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = f"{folder}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)

    def next(self, patience_s=20):
        """The next message that is no sign of life, as a dictionary."""
        end = time.monotonic() + patience_s
        while True:
            told = self.any(max(end - time.monotonic(), 0.001))
            assert told is not None, f"no message in {patience_s} s"
            if told != {"WATCHDOG": "1"}:
                return told

    def any(self, patience_s):
        self.socket.settimeout(patience_s)
        with contextlib.suppress(TimeoutError):
            lines = self.socket.recv(4096).decode().split("\n")
            return dict(line.split("=", 1) for line in lines)
        return None

    def alive(self, patience_s):
        """Whether a sign of life comes in time."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            if self.any(max(end - time.monotonic(), 0.001)) == {"WATCHDOG": "1"}:
                return True
        return False

    def forget(self):
        """What has come until now."""
        while self.any(0.001) is not None:
            pass


@contextlib.contextmanager
def managed(server, *options, tls=None, **more):
    """A server that tells a manager, which waits for signs of life."""
    with tempfile.TemporaryDirectory() as folder:
        manager = Manager(folder)
        environment = {**os.environ, "NOTIFY_SOCKET": manager.path,
                       "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
        model = tiny_model.write(pathlib.Path(folder) / "model")
        with Fresh(server.program, model, options, environment, tls=tls, **more) as fresh:
            yield fresh, manager


def life(server):
    """READY when requests are answered, signs of life, idle or busy, STOPPING before the end."""
    with managed(server) as (fresh, manager):
        ready = manager.next()
        assert ready["READY"] == "1" and fresh.url in ready["STATUS"], ready
        manager.forget()
        begin = time.monotonic()
        for _ in range(8):
            assert manager.alive(WATCHDOG_S), "no sign of life"
        took = time.monotonic() - begin
        assert WATCHDOG_S < took, f"8 messages in {took:.2f} s are too many"
        with fresh.connect() as connection:
            connection.send(request("/v1/completions", LONG_STREAM))
            connection.until(b"data: ")
            assert manager.alive(WATCHDOG_S), "no sign of life beside a stream"
            fresh.process.send_signal(signal.SIGTERM)
            stopping = manager.next()
            assert stopping["STOPPING"] == "1", stopping
            connection.until(b"data: [DONE]")
        assert fresh.process.wait(60) == 0


def stuck_engine(server):
    """A step that never ends ends the signs of life, though all threads of the server live."""
    with managed(server, "--failpoint", "hang@200", "--watchdog", "0.3", "--exit-on-fault=false",
                 "--drain-timeout", "1") as (fresh, manager):
        assert manager.next()["READY"] == "1"
        assert manager.alive(WATCHDOG_S)
        with fresh.connect() as connection:
            connection.send(request("/v1/completions", LONG_STREAM))
            end = time.monotonic() + 60
            while fresh.send(request("/health", method="GET")).status != 503:
                assert time.monotonic() < end, "the engine does not hang"
                time.sleep(0.05)
            manager.forget()
            assert not manager.alive(3 * WATCHDOG_S), "it says that it lives"
            assert fresh.send(request("/live", method="GET")).status == 200
        fresh.process.kill()


def stopped_process(server):
    """No sign of life of a process that is stopped; it goes on where it was."""
    with managed(server) as (fresh, manager):
        assert manager.next()["READY"] == "1"
        fresh.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        manager.forget()
        assert not manager.alive(WATCHDOG_S)
        fresh.process.send_signal(signal.SIGCONT)
        assert manager.alive(2 * WATCHDOG_S)
        ok()(fresh.ask(text()))
        assert fresh.stop() == 0


def reload(server):
    """SIGHUP: new files are used by new connections, open ones go on; with files that are not in
    order all stays. The manager is told when it begins and ends."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        options, old = rows_tls.prepare(first)
        _, new = rows_tls.prepare(second)
        with managed(server, *options, tls=old) as (fresh, manager):
            assert manager.next()["READY"] == "1"
            with fresh.connect() as connection:
                connection.send(request("/v1/completions", LONG_STREAM))
                connection.until(b"data: ")
                for name in ("key.pem", "cert.pem"):
                    os.replace(f"{second}/{name}", f"{first}/{name}")
                reloaded(fresh, manager)
                connection.until(b"data: [DONE]")
            fresh.tls = new
            ok()(fresh.ask(text()))
            pathlib.Path(f"{first}/key.pem").write_text("no key")
            reloaded(fresh, manager)
            ok()(fresh.ask(text()))
            assert fresh.stop() == 0
            assert manager.next()["STOPPING"] == "1"
            assert any("the old ones stay" in line for line in fresh.lines)


def reloaded(fresh, manager):
    before = int(time.monotonic() * 1e6)
    fresh.process.send_signal(signal.SIGHUP)
    told = manager.next()
    assert told["RELOADING"] == "1", told
    assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic() * 1e6, told
    assert manager.next()["READY"] == "1"


def nobody_there(server):
    """A manager that has gone costs warnings, no requests."""
    environment = {**os.environ, "NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "200000"}
    with tempfile.TemporaryDirectory() as folder:
        with Fresh(server.program, tiny_model.write(folder), (), environment) as fresh:
            ok()(fresh.ask(text()))
            assert fresh.stop() == 0
            assert any("NOTIFY_SOCKET" in line for line in fresh.lines)


def handed(server):
    """Sockets that were made before the program: --host and --port are not used, the one that is
    named admin is the door for admins, and none is lost: what connects while no server runs is
    answered by the next one."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        model = tiny_model.write(pathlib.Path(folder) / "model")
        public = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = public.getsockname()[1]
        door = stack.enter_context(socket.socket(socket.AF_UNIX))
        door.bind(f"{folder}/admin")
        door.listen()
        fds = [public.fileno(), door.fileno()]
        through = [sys.executable, "-c", HANDER, "vsurge.socket:admin", ",".join(map(str, fds))]
        for _ in range(2):
            waiting = stack.enter_context(Wire(port))
            waiting.send(request("/version", method="GET"))
            with Fresh(server.program, model, through=through, pass_fds=fds) as fresh:
                assert fresh.port == port
                ok()(waiting.answer())
                with Wire(f"{folder}/admin") as connection:
                    connection.send(request("/v1/engine", method="GET"))
                    ok()(connection.answer())
                assert fresh.send(request("/v1/engine", method="GET")).status == 404
                assert fresh.stop() == 0
            assert os.path.exists(f"{folder}/admin"), "the file is the manager's"


def rows(_):
    yield Row("P12", "READY, signs of life, STOPPING", life)
    yield Row("P10", "a stuck engine gives no sign of life", stuck_engine)
    yield Row("P10", "nor does a stopped process", stopped_process)
    yield Row("P26", "SIGHUP reads the TLS files anew", reload)
    yield Row("P-09", "a manager that has gone", nobody_there)
    yield Row("P12", "sockets that were handed over", handed)
    for count in ("x", "-1", "1000"):
        yield Row("L07", f"LISTEN_FDS={count}", handed_wrongly(count))


def handed_wrongly(count):
    """Refused, where it is meant for this process."""
    def act(server):
        program = server.program
        with tempfile.TemporaryDirectory() as folder:
            shell = pathlib.Path(folder) / "start"
            shell.write_text(f'#!/bin/sh\nexport LISTEN_PID=$$\nexec "{program}" "$@"\n')
            shell.chmod(0o755)
            server.program = str(shell)
            try:
                refuses(USAGE, "LISTEN_FDS", environment={"LISTEN_FDS": count})(server)
            finally:
                server.program = program
    return act
