"""A row of the table: an id of the catalogue, what it sends, and what must come of it."""

import dataclasses
from collections.abc import Callable

import wire


@dataclasses.dataclass
class Row:
    id: str
    what: str
    act: Callable  # of the server; raises when it is not as it must be


def raw(body, path="/v1/chat/completions"):
    """A request whose body is these bytes."""
    return wire.request(path, body)


def row(id, what, sent, expected):
    """`sent`: a body of harness.chat() or harness.text(), or the bytes of a whole request."""
    def act(server):
        expected(server.send(sent) if isinstance(sent, bytes) else server.ask(sent))
    return Row(id, what, act)


def call(id, what, path, body, expected):
    """A body for another path."""
    return Row(id, what, lambda server: expected(server.post(path, body)))
