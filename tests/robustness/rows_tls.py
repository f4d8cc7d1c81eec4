"""T: TLS."""

import contextlib
import pathlib
import socket
import ssl
import subprocess
import threading

import wire
from expect import ok, stream
from harness import text
from table import Row
from wire import request

LONG = request("/v1/completions", text(max_tokens=400, ignore_eos=True, stream=True))


def prepare(folder):
    """A key and a certificate for an hour; the options that use them, and a client's context."""
    key, certificate = (str(pathlib.Path(folder) / name) for name in ("key.pem", "cert.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                    "-days", "1", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return ("--ssl-keyfile", key, "--ssl-certfile", certificate), trusting(certificate)


def trusting(certificate):
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    return context


def bare(server):
    """A connection without TLS."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=wire.PATIENCE_S)
    return connection


def client(change):
    """A client's context that trusts anyone, changed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    change(context)
    return context


def versions(highest):
    def change(context):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = highest
    return change


def refuses_handshake(change):
    def act(server):
        try:
            with server.connect(tls=client(change)) as connection:
                connection.send(request("/version", method="GET"))
                connection.answer()
        except (ssl.SSLError, ConnectionResetError, EOFError):
            return
        raise AssertionError("the handshake was accepted")
    return act


def takes_handshake(change):
    def act(server):
        with server.connect(tls=client(change)) as connection:
            connection.send(request("/version", method="GET"))
            ok()(connection.answer())
    return act


def says(data):
    """Bytes that are no TLS: the connection ends, nothing is answered in the clear."""
    def act(server):
        with bare(server) as connection:
            got = b""
            with contextlib.suppress(OSError):  # it may have closed before all was sent
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while more := connection.recv(4096):
                    got += more
            assert b"HTTP" not in got, got
    return act


def abrupt(server):
    """TCP ends in the middle of a stream, without close_notify."""
    for how in ("FIN", "RST") * 3:
        connection = server.connect()
        connection.send(LONG)
        connection.until(b"data: ")
        if how == "RST":
            connection.reset()
        else:
            raw = connection.socket.detach()
            socket.socket(fileno=raw).close()


def many_handshakes(server):
    """Handshakes without a request beside a stream that goes on."""
    def shake():
        for _ in range(40):
            server.connect().close()

    threads = [threading.Thread(target=shake) for _ in range(4)]
    with server.connect() as connection:
        connection.send(LONG)
        for thread in threads:
            thread.start()
        stream()(connection.answer())
        for thread in threads:
            thread.join()


def half_handshakes(server):
    """Those that stop within a handshake hold nobody up."""
    held = [bare(server) for _ in range(200)]
    for i, connection in enumerate(held):
        if i % 2:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    ok()(server.ask(text()))
    for connection in held:
        connection.close()


def pieces(server):
    """A request in records of one byte."""
    with server.connect() as connection:
        for byte in request("/v1/completions", text()):
            connection.send(bytes([byte]))
        ok()(connection.answer())


def large(server):
    """A body of 1 MiB, and one that is refused for its size."""
    ok()(server.send(request("/v1/completions", text(), headers=[("X-A", "a" * 9000)])))
    with server.connect() as connection:
        connection.send(b"POST /v1/completions HTTP/1.1\r\nHost: h\r\n"
                        b"Content-Length: 10737418240\r\n\r\n")
        assert connection.answer().status == 413


def rows(_):
    for what, highest in (("1.0", ssl.TLSVersion.TLSv1), ("1.1", ssl.TLSVersion.TLSv1_1)):
        yield Row("T02", f"TLS {what} at most", refuses_handshake(versions(highest)))
    for ciphers in ("eNULL", "aNULL", "PSK", "CAMELLIA"):
        def change(context, ciphers=ciphers):
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        yield Row("T02", f"only {ciphers}", refuses_handshake(change))
    for what, version in (("1.2", ssl.TLSVersion.TLSv1_2), ("1.3", ssl.TLSVersion.TLSv1_3)):
        yield Row("T02", f"TLS {what}", takes_handshake(
            lambda context, version=version: setattr(context, "maximum_version", version)))
    for what, data in (("HTTP in the clear", request("/version", method="GET")),
                       ("nothing", b""), ("zeros", b"\0" * 4096), ("0xff", b"\xff" * 4096),
                       ("SSLv2", b"\x80\x2e\x01\x00\x02" + b"\0" * 41),
                       ("a record of 64 KiB", b"\x16\x03\x01\xff\xff" + b"a" * 65535),
                       ("an alert", b"\x15\x03\x03\x00\x02\x02\x28"),
                       ("data before the handshake", b"\x17\x03\x03\x00\x05hello"),
                       ("half a hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")):
        yield Row("T12", what, says(data))
    yield Row("T12", "a server's name of 200 letters", long_name)
    yield Row("T05", "the end of TCP without close_notify, in a stream", abrupt)
    yield Row("T07", "160 handshakes beside a stream", many_handshakes)
    yield Row("T07", "200 handshakes that do not go on", half_handshakes)
    yield Row("T05", "a request in records of one byte", pieces)
    yield Row("T05", "a large head, a large body", large)


def long_name(server):
    context = client(lambda context: None)
    with bare(server) as connection, context.wrap_socket(
            connection, server_hostname=".".join(["a" * 49] * 4)) as secured:
        secured.sendall(request("/version", method="GET"))
        assert secured.recv(4096).startswith(b"HTTP/1.1 200")


SKIPPED = {"T04": "Python's client can ask neither for a renegotiation nor for a key update"}
