"""P19, P25: the system calls of a server, from its first to its last: nothing leads out, nothing is
opened that nobody named, no program is started. Read from what strace writes down."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import rows_tls
import tiny_model
from expect import ok, stream
from harness import chat, text
from rows_manager import Manager
from rows_process import Fresh
from table import Row
from wire import Wire, request

TRACED = ("%file,%network,%process,io_uring_setup,bpf,ptrace,process_vm_writev,mount,"
          "open_by_handle_at")
STRACE = ("strace", "-D", "-f", "-qq", "-y", "-s", "64", "-e", f"trace={TRACED}", "-e",
          "signal=none", "-o")
# What belongs to the system: libraries, its settings for them, and what the kernel tells.
SYSTEM = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/usr/share/zoneinfo/", "/etc/ld.so.",
          "/etc/localtime", "/etc/ssl/openssl.cnf", "/proc/", "/sys/", "/dev/")
NEVER = {"connect", "fork", "vfork", "io_uring_setup", "bpf", "ptrace", "process_vm_writev",
         "mount", "open_by_handle_at", "execveat", "umount2", "chroot", "pivot_root"}
OPENS = {"open", "openat", "openat2", "creat"}
# Names are looked at on the way to a file that is named: these only must not change anything.
LOOKS = {"stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink",
         "readlinkat", "getcwd", "statfs", "chdir"}
SOCKETS = {"accept", "accept4", "bind", "listen", "getsockname", "getpeername", "setsockopt",
           "getsockopt", "recvfrom", "recvmsg", "shutdown", "socketpair"}
LIVES = {"clone", "clone3", "exit", "exit_group", "wait4", "waitid", "execve", "kill", "tgkill",
         "tkill", "pidfd_send_signal", "rt_sigqueueinfo"}
CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<arguments>.*)$")


def unfit():
    """Why the calls cannot be seen here, or None."""
    if shutil.which("strace") is None:
        return "no strace (./dev setup installs it)"
    tried = subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True)
    return f"no tracing here: {tried.stderr.decode().strip()}" if tried.returncode else None


class Call:
    def __init__(self, line):
        found = CALL.match(line)
        self.line = line
        self.name, self.arguments = found["name"], found["arguments"]

    def path(self):
        """Of the file that it names, from the root; None when it names none."""
        found = re.match(r'(?:(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"',
                         self.arguments)
        if found is None:
            return None
        return os.path.normpath(os.path.join(found["folder"] or os.getcwd(), found["path"]))

    def writes(self):
        return re.search(r"\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND)\b", self.arguments) is not None


class Audit:
    """What a server may do. `read`: folders and files; `write`: beginnings of names."""

    def __init__(self, program, read, write):
        self.program = os.path.realpath(program)
        self.read, self.write = tuple(read), tuple(write)
        self.seen = {}

    def fault(self, call):
        """What is wrong about a call, or None."""
        self.seen[call.name] = self.seen.get(call.name, 0) + 1
        if call.name in NEVER:
            return "may not be called"
        if call.name == "execve":
            return None if self.seen["execve"] == 1 else "starts a program"
        if call.name in ("clone", "clone3"):
            return None if "CLONE_THREAD" in call.arguments else "starts a process"
        if call.name == "socket":
            return self.fault_of_socket(call)
        if call.name in ("sendto", "sendmsg", "sendmmsg"):
            return self.fault_of_sending(call)
        if call.name in OPENS:
            return self.fault_of_opening(call)
        if call.name in SOCKETS | LIVES | LOOKS:
            return None
        path = call.path()
        if path is None:
            return "is not known to this test"
        return None if path.startswith(self.write) else f"changes {path}"

    def fault_of_socket(self, call):
        stream = call.arguments.startswith(("AF_INET, SOCK_STREAM", "AF_INET6, SOCK_STREAM"))
        return None if stream or call.arguments.startswith("AF_UNIX, ") else "is no listener"

    def fault_of_sending(self, call):
        """To the other end of its connection, or to the manager."""
        if "sa_family=" not in call.arguments and "msg_name=NULL" not in call.arguments:
            return None if call.name == "sendto" else "has an address"
        places = re.findall(r'sa_family=(\w+)(?:, sun_path="([^"]*)")?', call.arguments)
        told = all(family == "AF_UNIX" and path.startswith(self.write) for family, path in places)
        return None if told else "sends to an address"

    def fault_of_opening(self, call):
        path = call.path()
        if path is None:
            return "names no file"
        if path.startswith(self.write):
            return None
        if call.writes():
            kernel = path.startswith(("/dev/null", "/proc/self/"))
            return None if kernel else f"opens {path} to write"
        allowed = path.startswith(SYSTEM) or path == self.program
        allowed = allowed or any(path == name or path.startswith(name + "/") for name in self.read)
        return None if allowed else f"opens {path}"


def calls_of(trace):
    """Once the last one is there."""
    end = time.monotonic() + 20
    while not re.search(r"exit_group\(0\) += \?\s*(\n.*)*$", content := trace.read_text()):
        assert time.monotonic() < end, f"the trace does not end: {content[-400:]}"
        time.sleep(0.05)
    for line in content.splitlines():
        if CALL.match(line):
            yield Call(line)
        else:
            assert "resumed>" in line or "+++" in line, f"a line of strace: {line}"


def all_of_it(server):
    """Keys, TLS, stored responses, a Unix socket, a manager, many kinds of requests, SIGHUP."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        files, tls = rows_tls.prepare(folder)
        model = tiny_model.write(pathlib.Path(folder) / "model")
        manager = Manager(folder)
        keys, own = f"{folder}/keys", f"{folder}/own"
        os.mkdir(own)
        key = subprocess.run([server.program, "keys", "add", "alice", "--key-file", keys],
                             check=True, capture_output=True, text=True).stdout.split()
        key = next(word for word in key if word.startswith("vs-"))
        settings = pathlib.Path(folder) / "s.toml"
        settings.write_text(f'api_key_file = "{keys}"\nresponse_store = "{own}/responses"\n')
        options = [*files, "--config", str(settings), "--listen", f"unix:{own}/s"]
        environment = {**os.environ, "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "1000000",
                       "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        trace = pathlib.Path(folder) / "trace"
        with Fresh(server.program, model, options, environment, tls=tls,
                   headers=[("Authorization", f"Bearer {key}")],
                   through=(*STRACE, str(trace))) as fresh:
            use(fresh, f"{own}/s")
            fresh.process.send_signal(signal.SIGHUP)
            assert manager.next()["READY"] == "1"
            assert "RELOADING" in manager.next()
            assert manager.next()["READY"] == "1"
            ok()(fresh.ask(text()))
            assert fresh.stop() == 0
        named = [str(model), own, keys, str(settings), *(files[i] for i in (1, 3))]
        audit = Audit(server.program, named, [f"{own}/", manager.path])
        faults = [f"{why}: {call.line[:300]}" for call in calls_of(trace)
                  if (why := audit.fault(call)) is not None]
        assert not faults, f"{len(faults)} faults, such as " + "\n".join(faults[:12])
        seen = audit.seen
        for name in ("openat", "accept", "bind", "listen", "sendto", "execve", "unlink"):
            assert any(call.startswith(name) for call in seen), f"no {name} is in the trace: {seen}"
        print(f"audited {sum(seen.values())} calls: " +
              ", ".join(f"{name} {count}" for name, count in sorted(seen.items())))


def use(fresh, unix):
    """Many kinds of requests; those that name things elsewhere are refused."""
    ok()(fresh.ask(text()))
    stream()(fresh.ask(chat(stream=True)))
    stored = fresh.post("/v1/responses", {"model": "m", "input": "a", "max_output_tokens": 4})
    ok()(stored)
    ok()(fresh.send(fresh.request(f"/v1/responses/{stored.json()['id']}", method="GET")))
    for path in ("/health", "/metrics", "/v1/models", "/version", "/openapi.json"):
        assert fresh.send(fresh.request(path, method="GET")).status == 200, path
    for place in ("http://192.0.2.1/a.png", "https://example.org/a.png", "file:///etc/passwd"):
        image = [{"type": "image_url", "image_url": {"url": place}}]
        answer = fresh.ask(chat(messages=[{"role": "user", "content": image}]))
        assert answer.status == 400, answer
    schema = {"type": "object", "properties": {"a": {"$ref": "http://192.0.2.1/schema"}}}
    answer = fresh.ask(chat(response_format={"type": "json_schema", "json_schema": {
        "name": "a", "schema": schema}}))
    assert answer.status in (200, 400), answer
    for path in ("/../../etc/passwd", "/%2e%2e/etc/passwd", "/v1/models/../../etc/passwd"):
        assert fresh.send(fresh.request(path, method="GET")).status in (400, 404), path
    with Wire(unix) as connection:
        connection.send(request("/live", method="GET"))
        ok()(connection.answer())
    with fresh.connect() as connection:
        connection.send(fresh.request("/v1/completions", LONG_STREAM_BODY))
        connection.until(b"data: ")


LONG_STREAM_BODY = text(max_tokens=400, ignore_eos=True, stream=True)


def finds_faults(server):
    """The audit itself: it must see what a program does that it may not do."""
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder) / "trace"
        code = ("import os, socket\n"
                "s = socket.socket(); s.settimeout(0.1); s.connect_ex(('127.0.0.1', 9))\n"
                "socket.socket(type=socket.SOCK_DGRAM).sendto(b'a', ('127.0.0.1', 9))\n"
                f"open('{folder}/new', 'w'); open('/etc/passwd'); os.rename('{folder}/new', "
                f"'{folder}/old')\nos.system('true')\n")
        subprocess.run([*STRACE, str(trace), sys.executable, "-S", "-c", code], check=True)
        audit = Audit(sys.executable, [sys.prefix], [f"{folder}/own/"])
        faults = [why for call in calls_of(trace) if (why := audit.fault(call))]
        for why in ("may not be called", "sends to an address", f"opens {folder}/new to write",
                    "opens /etc/passwd", f"changes {folder}/new", "starts a program",
                    "is no listener"):
            assert why in faults, f"'{why}' is not seen: {faults}"


def rows(server):
    if server.thread_sanitized():
        print("skipped P25: TSan opens files of its own")
    else:
        yield Row("P25", "a life of a server: nothing leads out", all_of_it)
    yield Row("P25", "the audit finds what it must find", finds_faults)
