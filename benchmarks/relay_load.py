"""Clients for the relay's benchmark: raw connections with as little of their own as possible, in this process."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import uvloop

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Client:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes, on_content: Callable[[], None] | None = None) -> tuple[int, bytes]:
        """One request and the whole response: its status and its body."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if length := _LENGTH.search(head):
            body = await self._reader.readexactly(int(length[1]))
        else:
            body = await self._read_chunks(on_content)
        return int(head[9:12]), body

    async def _read_chunks(self, on_content: Callable[[], None] | None) -> bytes:
        pieces: list[bytes] = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            piece = (await self._reader.readexactly(size + 2))[:-2]
            pieces.append(piece)
            if on_content is not None and b'"content": "t' in piece:
                on_content()
                on_content = None
        await self._reader.readuntil(b"\r\n")
        return b"".join(pieces)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def request(port: int, model: str, path: str = "/v1/chat/completions", **more: Any) -> bytes:
    """The bytes of a chat's request."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "What is 17 + 25?"}]} | more).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Authorization: Bearer sk-bench\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Measured:
    """What a run came to. Latencies in milliseconds."""

    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.latencies_ms) / self.seconds


def run(work: Coroutine[Any, Any, Measured]) -> Measured:
    """In a fresh loop."""
    return uvloop.run(work)


async def _arrive(
    one: Callable[[], Coroutine[Any, Any, None]], per_second: float, seconds: float, chance: random.Random
) -> None:
    """Begin `one` at random moments, and wait until each is over."""
    tasks = set[asyncio.Task[None]]()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        task = asyncio.ensure_future(one())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await asyncio.sleep(chance.expovariate(per_second))
    await asyncio.gather(*tasks)


async def streams(port: int, model: str, per_second: float, seconds: float, chance: random.Random) -> Measured:
    """Streams that begin at random moments; the time to the first content of each. The pool is warm."""
    measured, idle = Measured(), [Client(port) for _ in range(120)]
    sent = request(port, model, stream=True)
    await asyncio.gather(*(client.ask(sent) for client in idle))
    clients = list(idle)

    async def one() -> None:
        client = idle.pop() if idle else Client(port)
        began = time.perf_counter()
        status, body = await client.ask(
            sent, lambda: measured.latencies_ms.append((time.perf_counter() - began) * 1_000)
        )
        measured.failed += status != 200 or b"[DONE]" not in body
        idle.append(client)

    await _arrive(one, per_second, seconds, chance)
    measured.seconds = seconds
    for client in clients:
        client.close()
    return measured


async def closed_loop(port: int, model: str, clients: int, seconds: float) -> Measured:
    """As many plain requests as a number of clients get done, each one after the other."""
    measured, sent = Measured(), request(port, model)
    until = time.perf_counter() + seconds

    async def one() -> None:
        client = Client(port)
        while time.perf_counter() < until:
            began = time.perf_counter()
            status, _ = await client.ask(sent)
            if status == 200:
                measured.latencies_ms.append((time.perf_counter() - began) * 1_000)
            else:
                measured.failed += 1
        client.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    measured.seconds = time.perf_counter() - began
    return measured


async def steady(port: int, model: str, per_second: float, seconds: float, chance: random.Random) -> Measured:
    """Plain requests at random moments."""
    measured, sent, idle = Measured(), request(port, model), [Client(port) for _ in range(20)]

    async def one() -> None:
        client = idle.pop() if idle else Client(port)
        began = time.perf_counter()
        status, _ = await client.ask(sent)
        measured.latencies_ms.append((time.perf_counter() - began) * 1_000)
        measured.failed += status != 200
        idle.append(client)

    await _arrive(one, per_second, seconds, chance)
    measured.seconds = seconds
    for client in idle:
        client.close()
    return measured


async def answers(port: int, model: str, count: int, clients: int) -> tuple[int, int]:
    """Short streams that say their own id as their text: how many succeeded, and how many were doubled or mixed."""
    sent, left = request(port, model, stream=True), iter(range(count))
    good = mixed = 0
    seen: set[str] = set()

    async def one() -> None:
        nonlocal good, mixed
        client = Client(port)
        for _ in left:
            status, body = await client.ask(sent)
            if status != 200 or b"[DONE]" not in body:
                continue
            events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
            ids = {event["id"] for event in events}
            text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
            mixed += ids != {text} or text in seen
            seen.add(text)
            good += 1
        client.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return good, mixed


async def hold(port: int, model: str, clients: int, seconds: float, look: Callable[[], None]) -> Measured:
    """Endless streams, all open for a time; `look` is called ten times meanwhile."""
    measured, sent = Measured(), request(port, model, stream=True)

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        writer.write(sent)
        while await reader.read(65_536):
            pass
        measured.failed += 1  # it ended

    tasks = [asyncio.ensure_future(one()) for _ in range(clients)]
    for _ in range(10):
        await asyncio.sleep(seconds / 10)
        look()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    measured.seconds = seconds
    return measured
