"""L04: where it listens: TCP and Unix sockets, a door for admins, and what is refused."""

import contextlib
import os
import pathlib
import signal
import socket
import stat
import subprocess
import tempfile

import rows_tls
import tiny_model
from expect import ok, stream
from harness import text
from program import ENVIRONMENT, SMALL, USAGE, expect, refuses, run
from rows_process import LONG_STREAM, Fresh
from table import Row
from wire import Wire, request

VERSION = request("/version", method="GET")


def answer(place, data):
    with Wire(place) as connection:
        connection.send(data)
        return connection.answer()


@contextlib.contextmanager
def served(server, *options):
    """A server with these options, in which {} is a folder of its own; gives it and the folder."""
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model.write(pathlib.Path(folder) / "model")
        options = [option.replace("{}", folder) for option in options]
        with Fresh(server.program, model, options) as fresh:
            yield fresh, folder


def unix_socket(server):
    """It answers there, too; the log names the user; its mode is as asked; it goes with it."""
    with served(server, "--listen", "unix:{}/s,mode=0600") as (fresh, folder):
        path = f"{folder}/s"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        ok()(answer(path, request("/v1/completions", text())))
        stream()(answer(path, request("/v1/completions", LONG_STREAM)))
        fresh.check("a Unix socket")
        assert fresh.stop() == 0
        assert not os.path.exists(path), "its file is still there"
        named = [line for line in fresh.lines if f"peer=unix:{os.getuid()} " in line]
        assert len(named) == 2, named
        assert any(f"also listening on unix:{path}" in line for line in fresh.lines)


def leaving_unix(server):
    """Who leaves a Unix socket ends its request."""
    with served(server, "--listen", "unix:{}/s") as (fresh, folder):
        for _ in range(8):
            with Wire(f"{folder}/s") as connection:
                connection.send(request("/v1/completions", LONG_STREAM))
                connection.until(b"data: ")
        fresh.check("clients of a Unix socket that leave")
        assert fresh.stop() == 0


def alone(server):
    """Without TCP; what a killed server leaves is replaced, what is in use is not."""
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model.write(pathlib.Path(folder) / "model")
        path = f"{folder}/s"
        command = ("serve", str(model), "--host", "none", "--listen", f"unix:{path}", *SMALL)
        for _ in range(2):
            process = start([server.program, *command])
            assert tcp_sockets(process.pid) == 0
            ok()(answer(path, VERSION))
            expect(run(server.program, *command), ENVIRONMENT, "another process listens")
            ok()(answer(path, VERSION))
            process.kill()
            process.communicate()
            assert os.path.exists(path)
        process = start([server.program, *command])
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate()
        assert process.returncode == 0, told
        assert not os.path.exists(path)


def start(command):
    """The process, when it has said that it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
    for line in process.stdout:
        if " ready: " in line:
            return process
    raise AssertionError(f"it ended with {process.wait()}")


def tcp_sockets(pid):
    """How many TCP sockets it listens on."""
    own = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            own.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    count = 0
    for table in ("tcp", "tcp6"):
        rows = pathlib.Path(f"/proc/net/{table}")
        lines = rows.read_text().splitlines()[1:] if rows.exists() else []
        count += sum(f"socket:[{line.split()[9]}]" in own for line in lines)
    return count


def other_file(server):
    """A file that is no socket is never replaced."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "mine"
        path.write_text("mine")
        refuses(ENVIRONMENT, "no socket", "--listen", f"unix:{path}")(server)
        assert path.read_text() == "mine"


def several(server):
    """Three ports and a Unix socket."""
    places = [free_port(), free_port()]
    with served(server, "--listen", f"tcp:127.0.0.1:{places[0]}", "--listen",
                f"tcp:localhost:{places[1]}", "--listen", "unix:{}/s") as (fresh, folder):
        places += [fresh.port, f"{folder}/s"]
        for place in places:
            ok()(answer(place, request("/v1/completions", text())))
        assert fresh.stop() == 0
        for place in places:
            with contextlib.suppress(OSError):
                Wire(place).close()
                raise AssertionError(f"{place} still takes connections")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tls_and_plain(server):
    """HTTPS for others, plain HTTP for this machine; TLS over a Unix socket where it is wanted."""
    with tempfile.TemporaryDirectory() as folder:
        files, context = rows_tls.prepare(folder)
        model = tiny_model.write(pathlib.Path(folder) / "model")
        plain = free_port()
        options = [*files, "--listen", f"tcp:127.0.0.1:{plain},plain", "--listen",
                   f"unix:{folder}/plain", "--listen", f"unix:{folder}/tls,tls"]
        with Fresh(server.program, model, options, tls=context) as fresh:
            assert fresh.url.startswith("https://")
            ok()(fresh.ask(text()))
            for place in (plain, f"{folder}/plain"):
                ok()(answer(place, request("/v1/completions", text())))
            with Wire(f"{folder}/tls", tls=context) as connection:
                connection.send(VERSION)
                ok()(connection.answer())
            assert fresh.stop() == 0


def admin_door(server):
    """Admin routes are there alone, without a key; nothing is generated there."""
    with served(server, "--admin-listen", "unix:{}/admin,mode=0600") as (fresh, folder):
        door = f"{folder}/admin"
        for method, path in (("GET", "/v1/engine"), ("POST", "/v1/engine/pause"),
                             ("POST", "/v1/engine/resume"), ("POST", "/v1/cache/reset")):
            refused = fresh.send(request(path, method=method))
            assert refused.status == 404, refused
            ok()(answer(door, request(path, method=method)))
        for path in ("/health", "/version", "/v1/models"):
            ok()(answer(door, request(path, method="GET")))
        assert answer(door, request("/metrics", method="GET")).status == 200
        for path in ("/v1/completions", "/v1/chat/completions", "/tokenize"):
            assert answer(door, request(path, text())).status == 404
        assert fresh.stop() == 0
        audits = [line for line in fresh.lines if "done by an admin" in line]
        assert len(audits) == 4 and all("peer=unix:" in line for line in audits), audits


def refused_rows():
    for spec in ("127.0.0.1:80", "tcp:h", "tcp::1:80", "tcp:h:65536", "udp:h:1", "unix:", "unix:@x",
                 "unix:/a,mode=1777", "unix:/a,x", "fd:-1", "unix:/" + "a" * 200):
        yield Row("L04", f"--listen {spec[:24]}", refuses(USAGE, "listener", "--listen", spec))
    yield Row("L04", "--admin-listen x", refuses(USAGE, "listener", "--admin-listen", "x"))
    yield Row("L04", "tls without files", refuses(USAGE, "ssl_", "--listen", "unix:/a,tls"))
    yield Row("L04", "twice the same",
              refuses(USAGE, "twice", "--listen", "unix:/a", "--admin-listen", "unix:/a"))
    yield Row("L04", "nowhere at all", refuses(USAGE, "host", "--host", "none"))
    yield Row("L04", "a descriptor that is no socket",
              refuses(ENVIRONMENT, "fd:0", "--listen", "fd:0"))
    yield Row("L04", "a folder that is not there",
              refuses(ENVIRONMENT, "/nowhere/s", "--listen", "unix:/nowhere/s"))
    yield Row("L04", "an address of another machine",
              refuses(ENVIRONMENT, "192.0.2.1", "--listen", "tcp:192.0.2.1:0"))


def rows(_):
    yield Row("L04", "a Unix socket", unix_socket)
    yield Row("L04", "clients of a Unix socket that leave", leaving_unix)
    yield Row("L04", "a Unix socket alone, and after SIGKILL", alone)
    yield Row("L04", "a file that is no socket", other_file)
    yield Row("L04", "three ports and a Unix socket", several)
    yield Row("L04", "with TLS and without", tls_and_plain)
    yield Row("P23", "a door for admins", admin_door)
    yield from refused_rows()
