"""HTTP by hand: the bytes that a row sends are the bytes it says, and what comes back is read to
its end. Standard library only."""

import contextlib
import json
import socket
import struct

PATIENCE_S = 60  # longer than any row waits for an answer; only a hang takes so long


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def error(self):
        return self.json()["error"]

    def events(self):
        """What stands behind `data: `, in order; comments are left out."""
        blocks = self.body.decode().split("\n\n")
        assert blocks.pop() == "", f"the stream ends within an event: {self.body[-200:]}"
        lines = [line for block in blocks for line in block.split("\n")]
        return [line[6:] for line in lines if line.startswith("data: ")]

    def __repr__(self):
        return f"{self.status} {self.body[:600]}"


def request(path, body=b"", method="POST", headers=(), version="HTTP/1.1"):
    """The bytes of a request; a body that is no bytes is sent as JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    given = {name.lower() for name, _ in headers}
    lines = [f"{method} {path} {version}", "Host: h"]
    if method == "POST" and "content-type" not in given:
        lines.append("Content-Type: application/json")
    if method == "POST" and not given & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Wire:
    """One connection; `port` may be the path of a Unix socket."""

    def __init__(self, port, patience_s=PATIENCE_S, tls=None, receive_buffer=None):
        unix = isinstance(port, str)
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(patience_s)
        self.socket.connect(port if unix else ("127.0.0.1", port))
        if not unix:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket)
        self.buffer = b""

    def send(self, data):
        """What a server that has refused does not take is not sent."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self):
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"the connection ended, before it: {self.buffer[-200:]}")
        self.buffer += data

    def nibble(self, count):
        """What is there, as far as so many bytes."""
        with contextlib.suppress(BlockingIOError):
            self.buffer += self.socket.recv(count, socket.MSG_DONTWAIT)

    def until(self, mark):
        while mark not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def exactly(self, count):
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            headers[name.lower()] = value
        return int(lines[0].split(" ")[1]), headers

    def answer(self, bodiless=False):
        status, headers = self.head()
        body = b""
        if bodiless or status in (204, 304) or status < 200:
            pass
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                assert self.exactly(2) == b"\r\n"
            assert self.exactly(2) == b"\r\n"
        else:
            body = self.exactly(int(headers["content-length"]))
        return Answer(status, headers, body)

    def ended(self):
        """True when the server closes without another byte."""
        try:
            return self.buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
