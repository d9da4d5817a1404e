"""Scripted model servers on loopback: they send exactly the bytes, at exactly the times, that a test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.fault_server import DONE, chunk, event, usage

Script = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request that came, and the connection on which a script responds."""

    def __init__(self, server: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self._reader = reader
        self._writer = writer
        self.path = ""
        self.headers: dict[str, str] = {}
        self.raw = b""
        self.closes = False

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: int = 200, length: int | None = None, **headers: str) -> None:
        """A status line and headers; without a length the body is chunked by the script's `stream`."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        said |= {"Content-Length": str(length)} if length is not None else {"Transfer-Encoding": "chunked"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        await self.send(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode())

    async def piece(self, data: bytes) -> None:
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    async def stream(self, *pieces: bytes, gap_s: float = 0.0, ends: bool = True) -> None:
        """A whole stream of events."""
        await self.head(200, Content_Type="text/event-stream")
        for piece in pieces:
            await self.piece(piece)
            if gap_s:
                await asyncio.sleep(gap_s)
        if ends:
            await self.end()

    async def json(self, value: Any, status: int = 200, **headers: str) -> None:
        """A whole response of JSON (or of bytes)."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        await self.head(status, len(body), **({"Content_Type": "application/json"} | headers))
        await self.send(body)

    async def gone(self) -> float:
        """Wait until the other side has closed the connection; the moment of `time.monotonic()`."""
        with contextlib.suppress(OSError):
            while await self._reader.read(65_536):
                pass
        return time.monotonic()

    def reset(self) -> None:
        self.closes = True
        self._writer.transport.abort()


class Upstream:
    """A server in a thread; `requests` came so far. The script may be replaced at any time."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[Exchange] = []
        self.closed_at: list[float] = []
        self.connections = 0
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/v1"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, backlog=1024, limit=2**24)
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                exchange = Exchange(self, reader, writer)
                exchange.path = line.decode("latin-1").split(" ")[1]
                while header := (await reader.readline()).decode("latin-1").strip():
                    name, _, value = header.partition(":")
                    exchange.headers[name.lower()] = value.strip()
                exchange.raw = await reader.readexactly(int(exchange.headers.get("content-length", 0)))
                self.requests.append(exchange)
                await self.script(exchange)
                if exchange.closes:
                    break
        writer.close()

    def close(self) -> None:
        def stop() -> None:
            self._server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.call_soon(self._loop.stop)

        self._loop.call_soon_threadsafe(stop)
        self._thread.join(5)

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def completion(text: str = "42", finish: str = "stop", **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22},
    } | more


ROLE = chunk(role="assistant", content="")


def named(raw: bytes, upstream_id: str) -> bytes:
    """The event with the fields that every chunk of OpenAI's has."""
    value = json.loads(raw[6:])
    return event({"id": upstream_id, "object": "chat.completion.chunk", "created": 1_790_000_000} | value)


def good_stream(text: str = "42", upstream_id: str = "chatcmpl-1") -> list[bytes]:
    pieces = [ROLE, *(chunk(letter) for letter in text), chunk(finish="stop")]
    return [*(named(piece, upstream_id) for piece in pieces), named(usage(20, len(text)), upstream_id), DONE]


def good(text: str = "42", upstream_id: str = "chatcmpl-1") -> Script:
    """A server that works: streamed or not, as it is asked, with usage where it is asked for."""

    async def script(exchange: Exchange) -> None:
        body = exchange.body
        if not body.get("stream"):
            await exchange.json(completion(text, id=upstream_id))
            return
        events = good_stream(text, upstream_id)
        if not (body.get("stream_options") or {}).get("include_usage"):
            del events[-2]
        await exchange.stream(*events)

    return script


def failing(status: int, body: Any = None, **headers: str) -> Script:
    """A server that refuses everything."""

    async def script(exchange: Exchange) -> None:
        await exchange.json({"error": {"message": "no"}} if body is None else body, status, **headers)

    return script
