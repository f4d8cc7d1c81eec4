"""Clients that behave as SDKs do, many in one process: requests arrive at a rate that asks nobody,
each is sent again after a 429 or 5xx with a backoff that Retry-After rules, and some leave while
they wait. What they heard is told as JSON. Standard library only.

usage: sdk_clients.py PORT PLAN, a JSON object: see `Crowd`"""

import asyncio
import contextlib
import json
import random
import sys
import time

from wire import request

PATIENCE_S = 240  # only a hang takes so long
RETRIES = 2  # as OpenAI's and Anthropic's clients
BACKOFF_S, BACKOFF_MAX_S = 0.5, 8


class Connection:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def head(self):
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines[1:] if line]
        return int(lines[0].split(" ")[1]), {name.lower(): value for name, value in pairs}

    async def body(self, headers):
        if headers.get("transfer-encoding") != "chunked":
            return await self.reader.readexactly(int(headers["content-length"]))
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return b"".join(parts)


class Crowd:
    """`rate` requests a second for `seconds`; or, where `rate` is 0, `clients` that begin the next
    one at once. `streams` of 100 are streamed, `leavers` of 100 leave when `patience_s` have passed
    without a byte. `body`: of every request."""

    def __init__(self, port, plan):
        self.port, self.plan = port, plan
        self.draw = random.Random(plan["seed"])
        self.spare = []  # connections that are open and idle
        self.told = {"begun": 0, "attempts": 0, "left": 0, "given_up": 0, "good": [],
                     "refusals": [], "retry_after": {}, "faults": []}
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        self.requests = [request("/v1/completions", {**plan["body"], **more})
                         for more in ({}, streamed)]

    async def connect(self):
        while self.spare:
            connection = self.spare.pop()
            if not connection.reader.at_eof():
                return connection
            connection.writer.close()
        return Connection(*await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20))

    async def attempt(self, streamed, leaves):
        """Status, headers and body; None: it left."""
        connection = await self.connect()
        self.told["attempts"] += 1
        connection.writer.write(self.requests[streamed])
        try:
            wait = self.plan["patience_s"] if leaves else PATIENCE_S
            status, headers = await asyncio.wait_for(connection.head(), wait)
        except asyncio.TimeoutError:
            connection.writer.close()
            assert leaves, "no answer"
            return None
        body = await asyncio.wait_for(connection.body(headers), PATIENCE_S)
        self.spare.append(connection)
        return status, headers, body

    def backoff(self, headers, tries):
        """As OpenAI's client."""
        told = float(headers.get("retry-after", 0))
        wait = told if 0 < told <= 60 else min(BACKOFF_S * 2**tries, BACKOFF_MAX_S)
        return wait * (1 - self.draw.uniform(0, 0.25))

    async def one(self):
        streamed = self.draw.randrange(100) < self.plan["streams"]
        leaves = self.draw.randrange(100) < self.plan["leavers"]
        self.told["begun"] += 1
        for tries in range(RETRIES + 1):
            sent = time.monotonic()
            answer = await self.attempt(streamed, leaves)
            now = time.monotonic()
            if answer is None:
                self.told["left"] += 1
                return
            status, headers, body = answer
            if status == 200:
                self.take(streamed, headers, body)
                self.told["good"].append(now)
                return
            self.refused(status, headers, body, now - sent)
            if tries < RETRIES:
                await asyncio.sleep(self.backoff(headers, tries))
        self.told["given_up"] += 1

    def fault(self, what):
        if len(self.told["faults"]) < 20:
            self.told["faults"].append(what)

    def take(self, streamed, headers, body):
        tokens = f'"completion_tokens":{self.plan["body"]["max_tokens"]}'.encode()
        if streamed:
            whole = body.endswith(b"data: [DONE]\n\n") and body.count(b"[DONE]") == 1
        else:
            whole = headers["content-type"] == "application/json" and json.loads(body)["choices"]
        if not whole or tokens not in body or b'"error"' in body:
            self.fault(f"an answer that is not whole: {body[-300:]!r}")

    def refused(self, status, headers, body, took):
        self.told["refusals"].append(took)
        after = headers.get("retry-after", "none")
        self.told["retry_after"][after] = self.told["retry_after"].get(after, 0) + 1
        error = json.loads(body)["error"] if status == 429 else {}
        shape = {key: error.get(key, "") for key in ("type", "code", "param")}
        if shape != {"type": "rate_limit_error", "code": "server_overloaded", "param": None} or \
                not isinstance(error.get("message"), str) or not after.isdecimal():
            self.fault(f"a refusal: {status}, Retry-After {after}, {body[:300]!r}")

    async def arrivals(self, end):
        """Nobody waits for an answer: those who come late because this process was busy come all
        the same."""
        tasks = set()
        due = time.monotonic()
        while due < end:
            await asyncio.sleep(max(0, due - time.monotonic()))
            tasks.add(asyncio.create_task(self.one()))
            due += self.draw.expovariate(self.plan["rate"])
        self.told["last"] = time.monotonic()
        await asyncio.gather(*tasks)

    async def closed_loop(self, end):
        async def client():
            while time.monotonic() < end:
                await self.one()
        await asyncio.gather(*(client() for _ in range(self.plan["clients"])))
        self.told["last"] = time.monotonic()

    async def run(self):
        begin = self.told["first"] = time.monotonic()
        end = begin + self.plan["seconds"]
        await (self.arrivals(end) if self.plan["rate"] > 0 else self.closed_loop(end))
        for connection in self.spare:
            connection.writer.close()
            with contextlib.suppress(OSError):
                await connection.writer.wait_closed()
        self.told["cpu"] = time.process_time()
        return self.told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(Crowd(int(sys.argv[1]), json.loads(sys.argv[2])).run())))
