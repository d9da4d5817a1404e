"""A model endpoint that sends at known times and notes when it received and when it really sent.

    python -m benchmarks.endpoint PORT [CERTIFICATE]

What a request gets is in its model's name: `first_ms=100,tokens=16,step_ms=10,framing=chunked`. `GET /log` hands out,
and forgets, what was noted: by the request's `X-Probe-Id`, the moments (CLOCK_MONOTONIC, seconds, which all processes
of a machine share) at which its last byte was read and at which the first and the last token were handed to the socket.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass
class Noted:
    """The endpoint's own moments of one request, and how late its tokens left against its plan."""

    received: float
    first: float = 0.0
    last: float = 0.0
    late_ms: float = 0.0


LOG: dict[str, Noted] = {}


def _event(delta: dict[str, str | None], finish: str | None = None) -> bytes:
    return (
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"
    )


def _tail(tokens: int) -> bytes:
    usage = {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": tokens}}
    return _event({}, "stop") + b"data: " + json.dumps(usage).encode() + b"\n\ndata: [DONE]\n\n"


def plan_of(model: str) -> dict[str, str]:
    """The pairs in a model's name; anything else is the default plan."""
    plan = {"first_ms": "100", "tokens": "16", "step_ms": "10", "framing": "chunked"}
    return plan | dict(pair.split("=", 1) for pair in model.split(",") if "=" in pair)


class _Framing:
    """Turns events into what goes over the wire."""

    def __init__(self, name: str, whole_size: int) -> None:
        self.name = name
        self._packer = zlib.compressobj(wbits=31) if name == "gzip" else None
        head = {"Content-Type": "text/event-stream"}
        if name in ("chunked", "gzip"):
            head["Transfer-Encoding"] = "chunked"
        if name == "gzip":
            head["Content-Encoding"] = "gzip"
        if name == "sized":
            head["Content-Length"] = str(whole_size)
        if name == "closed":
            head["Connection"] = "close"
        self.head = b"HTTP/1.1 200 OK\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()).encode() + b"\r\n"

    def pack(self, data: bytes, *, last: bool = False) -> bytes:
        if self._packer is not None:
            data = self._packer.compress(data) + self._packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        if self.name in ("chunked", "gzip"):
            return f"{len(data):x}\r\n".encode() + data + b"\r\n" + (b"0\r\n\r\n" if last else b"")
        return data


class _Connection:
    """One connection, on bare sockets: the moment of arrival is noted before anything else happens, and a send is a
    system call and not a place in a queue.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""
        self._tasks: set[asyncio.Task[None]] = set()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._read)
        self._read()  # the request is often there already when the connection is accepted

    def _read(self) -> None:
        try:
            data = self._socket.recv(65_536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            data = b""
        arrived = time.monotonic()
        if not data:
            self._close()
            return
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode().split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if len(body) < int(headers.get("content-length", 0)):
            return
        self._buffer = b""
        if first.startswith("GET"):
            self._tell("/log" in first)
            return
        noted = LOG[headers.get("x-probe-id", "")] = Noted(arrived)
        task = self._loop.create_task(self._answer(plan_of(json.loads(body)["model"]), noted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _tell(self, log: bool) -> None:
        """The log, which is forgotten then; an empty object for anything else that a client looks for."""
        content = json.dumps({key: asdict(value) for key, value in LOG.items()} if log else {}).encode()
        if log:
            LOG.clear()
        self._socket.setblocking(True)
        self._socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
        self._socket.setblocking(False)

    async def _answer(self, plan: dict[str, str], noted: Noted) -> None:
        tokens, step_s, first_s = int(plan["tokens"]), float(plan["step_ms"]) / 1e3, float(plan["first_ms"]) / 1e3
        role, piece, tail = _event({"role": "assistant", "content": ""}), _event({"content": "7 "}), _tail(tokens)
        framing = _Framing(plan["framing"], len(role) + tokens * len(piece) + len(tail))
        now, send = time.monotonic, self._socket.send
        send(framing.head + framing.pack(role))
        for number in range(tokens):
            due = noted.received + first_s + number * step_s
            await asyncio.sleep(max(0.0, due - now()))
            packed = framing.pack(piece)
            sent = now()
            send(packed)
            noted.late_ms = max(noted.late_ms, (sent - due) * 1e3)
            noted.first = noted.first or sent
            noted.last = sent
        send(framing.pack(tail, last=True))
        if framing.name == "closed":
            self._close()


async def serve(port: int, ready: Callable[[int], None], tls: ssl.SSLContext | None = None) -> None:
    """Serve until cancelled; `ready` is told the port."""
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    listener.setblocking(False)

    def accept() -> None:
        try:
            while True:
                connection = listener.accept()[0]
                _Connection(tls.wrap_socket(connection, server_side=True) if tls else connection)
        except BlockingIOError:
            return

    asyncio.get_running_loop().add_reader(listener, accept)
    ready(listener.getsockname()[1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    context = None
    if sys.argv[2:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
    asyncio.run(serve(int(sys.argv[1]), lambda port: print(port, flush=True), context))
