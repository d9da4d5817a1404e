"""A real HTTP server on loopback that answers exactly the bytes, at exactly the times, that a test says."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

Script = Callable[[socket.socket, dict[str, Any]], None]


class FaultServer:
    """Serves each connection with `script(connection, request)`; requests that came are in `requests`."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self._tls = tls
        self.requests: list[dict[str, Any]] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/v1"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self) -> FaultServer:
        return self

    def __exit__(self, *_: object) -> None:
        """The thread ends before the descriptor is free: else, interrupted, it would go on with the next server's."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
            self._accepting.join(10)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, contextlib.suppress(OSError):
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self._tls.wrap_socket(plain, server_side=True) if self._tls else plain
            file = connection.makefile("rb")
            while line := file.readline():
                headers = {}
                while (header := file.readline().decode("latin-1").strip()) != "":
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = file.read(int(headers.get("content-length", 0)))
                request = {
                    "line": line.decode("latin-1").strip(),
                    "headers": headers,
                    "body": json.loads(body or b"{}"),
                }
                self.requests.append(request)
                self.script(connection, request)


def chunk(content: str | None = None, finish: str | None = None, **delta: Any) -> bytes:
    """One SSE event with a chat completion's delta."""
    said = delta | ({} if content is None else {"content": content})
    return event({"choices": [{"index": 0, "delta": said, "finish_reason": finish}], "model": "m-1"})


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def usage(prompt: int = 20, completion: int = 2, **more: Any) -> bytes:
    return event({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion} | more})


DONE = b"data: [DONE]\n\n"
GOOD = [chunk(role="assistant", content=""), chunk("4"), chunk("2"), chunk(finish="stop"), usage(), DONE]


def head(status: int = 200, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} x"] + [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


class AtOnce:
    """A script that begins another one after a while. `most`: how many connections waited at once."""

    def __init__(self, script: Script, after_s: float) -> None:
        self.most = 0
        self._script, self._after_s = script, after_s
        self._now, self._lock = 0, threading.Lock()

    def __call__(self, connection: socket.socket, request: dict[str, Any]) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(self._after_s)
        with self._lock:
            self._now -= 1
        self._script(connection, request)


def chunked(
    *pieces: bytes | float, status: int = 200, content_type: str = "text/event-stream", end: bool = True, **headers: str
) -> Script:
    """Pieces with chunked framing; a number waits that many seconds. Without `end` the connection is cut."""

    def script(connection: socket.socket, _: dict[str, Any]) -> None:
        connection.sendall(head(status, Content_Type=content_type, Transfer_Encoding="chunked", **headers))
        for piece in pieces:
            if isinstance(piece, bytes):
                connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            else:
                time.sleep(piece)
        if end:
            connection.sendall(b"0\r\n\r\n")
        else:
            connection.shutdown(socket.SHUT_RDWR)

    return script


def raw(*pieces: bytes | float, close: bool = True) -> Script:
    """Exactly these bytes, then the end of the connection."""

    def script(connection: socket.socket, _: dict[str, Any]) -> None:
        for piece in pieces:
            if isinstance(piece, bytes):
                connection.sendall(piece)
            else:
                time.sleep(piece)
        if close:
            connection.shutdown(socket.SHUT_RDWR)

    return script


def answer(status: int, body: Any, **headers: str) -> Script:
    """A whole body with its length: JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return raw(
        head(status, **({"Content_Type": "application/json"} | headers), Content_Length=str(len(content))) + content,
        close=False,
    )


def reset(*first: bytes) -> Script:
    """Some bytes, then a TCP reset."""

    def script(connection: socket.socket, _: dict[str, Any]) -> None:
        for piece in first:
            connection.sendall(piece)
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.detach()

    def closing(connection: socket.socket, request: dict[str, Any]) -> None:
        number = connection.fileno()
        script(connection, request)
        socket.close(number)

    return closing


def main() -> None:
    """Serve good replies until the process is ended; the first line says where."""
    with FaultServer(chunked(*GOOD)) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
