"""A model server for the relay's benchmark: as fast as Python allows, in a process of its own, by the model's name.

`json`: a response at once. `stream`: the first token after 100 ms, then one every 20 ms, 20 of them. `endless`: one
token every 200 ms until the client goes. `flaky`: fails every second time. `good`: a short stream at once.

    python -m benchmarks.relay_upstream
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter

import uvloop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST_TOKEN_S, TOKEN_S, TOKENS = 0.1, 0.02, 20
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_MODEL = re.compile(rb'"model": ?"([^"]*)"')


def _event(value: object) -> bytes:
    data = value if isinstance(value, bytes) else b"data: " + json.dumps(value).encode() + b"\n\n"
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _delta(upstream_id: str, reason: str | None = None, **delta: str) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return _event(
        {"id": upstream_id, "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    )


USED = {"prompt_tokens": 20, "completion_tokens": 20, "total_tokens": 40}
USAGE = _event({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": USED})
END = _event(b"data: [DONE]\n\n") + b"0\r\n\r\n"
_MESSAGE = {"role": "assistant", "content": "forty-two"}
_WHOLE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": _MESSAGE, "finish_reason": "stop"}],
        "usage": USED,
    }
).encode()


def _whole(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


JSON, ERROR = _whole(_WHOLE), _whole(b'{"error":{"message":"no"}}', "500 Internal Server Error")
calls: Counter[str] = Counter()


class Server(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._data = b""
        self._task: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, separator, rest = self._data.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _LENGTH.search(head)
        if length is not None and len(rest) < int(length[1]):
            return
        self._data = b""
        if head.startswith(b"GET"):
            self._transport.write(_whole(json.dumps(calls).encode()))
            return
        found = _MODEL.search(rest)
        self._respond(found[1].decode() if found else "json")

    def _respond(self, model: str) -> None:
        calls[model] += 1
        if model == "json":
            self._transport.write(JSON)
        elif model == "flaky" and calls[model] % 2:
            self._transport.write(
                ERROR if calls[model] % 4 == 1 else HEAD + _delta("flaky", role="assistant") + b"0\r\n\r\n"
            )
        elif model in ("flaky", "good", "other"):
            name = f"{model}-{calls[model]}"
            first = _delta(name, role="assistant", content="") + _delta(name, content=name)
            self._transport.write(HEAD + first + _delta(name, "stop") + END)
        else:
            self._task = asyncio.ensure_future(self._stream(endless=model == "endless"))

    async def _stream(self, *, endless: bool) -> None:
        self._transport.write(HEAD + _delta("s", role="assistant", content=""))
        await asyncio.sleep(FIRST_TOKEN_S)
        for _ in range(10**9 if endless else TOKENS):
            self._transport.write(_delta("s", content="token "))
            await asyncio.sleep(TOKEN_S * 10 if endless else TOKEN_S)
        self._transport.write(_delta("s", "stop") + USAGE + END)


async def main() -> None:
    """Serve until it is ended; the port is its first line."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=2_048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
