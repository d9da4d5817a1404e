"""A relay as its users have it: a real uvicorn on a real port, in a thread, in front of scripted servers."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from collectors.relay.relay import Relay
from collectors.relay.server import serve, server_for
from settings.targets import Config, parse
from store.schema import Request

MESSAGES = [{"role": "user", "content": "What is 17 + 25?"}]


class RowList:
    """Stands in for the recorder where a test looks at rows, and not at how they are written."""

    queued = dropped = written = 0
    last_error = None

    def __init__(self) -> None:
        self.rows: list[Request] = []

    def record(self, row: Request) -> None:
        self.rows.append(row)

    def close(self, timeout_s: float) -> None:
        pass


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The JSON of each event, in order, `[DONE]` as text."""
        datas = [line[6:] for line in self.body.decode().splitlines() if line.startswith("data: ")]
        return [data if data == "[DONE]" else json.loads(data) for data in datas]

    @property
    def text(self) -> str:
        """The answer that a client puts together from the stream."""
        found = [event for event in self.events if event != "[DONE]"]
        deltas = [choice["delta"] for event in found for choice in event.get("choices", [])]
        return "".join(delta.get("content") or "" for delta in deltas)


@dataclass
class RunningRelay:
    port: int
    relay: Relay
    rows: list[Request]
    loop: asyncio.AbstractEventLoop = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30,
    ) -> Response:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            said = {"Content-Type": "application/json"} | dict(headers or {})
            connection.request(method, path, raw, said)
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Response(response.status, named, response.read())
        finally:
            connection.close()

    def chat(self, model: str = "gemma", *, headers: Mapping[str, str] | None = None, **fields: Any) -> Response:
        body = {"model": model, "messages": MESSAGES} | fields
        return self.request("POST", "/v1/chat/completions", body, headers)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def begin_chat(self, **fields: Any) -> socket.socket:
        """Send a request and leave its response unread."""
        body = json.dumps({"model": "gemma", "messages": MESSAGES} | fields).encode()
        connection = self.connect()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection


def target(name: str, url: str, **more: Any) -> str:
    """A `[[target]]` of the configuration."""
    fields = {"name": name, "model": "m-1", "base_url": url} | more
    return "[[target]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())


def route(*targets: str, model: str = "gemma", **more: Any) -> str:
    """A `[[route]]` of the configuration."""
    fields = {"model": model, "targets": list(targets), "strategy": "order"} | more
    return "[[route]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())


def config_of(*sections: str, environment: Mapping[str, str] | None = None, folder: Path = Path()) -> Config:
    return parse("\n".join(sections), folder / "targets.toml", environment or {})


def routed(*urls: str, **more: Any) -> list[str]:
    """One target for each URL (A, B, …), and one route through all of them in this order."""
    names = [chr(ord("A") + number) for number in range(len(urls))]
    return [*map(target, names, urls), route(*names, **more)]


@contextmanager
def running(config: Config, **more: Any) -> Iterator[RunningRelay]:
    """The relay in a thread, with an event loop of its own."""
    recorder = more.pop("recorder", None) or RowList()
    relay = Relay(config, "here", recorder, **more)
    server = server_for(relay)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    loops: list[asyncio.AbstractEventLoop] = []
    started = threading.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            loops.append(runner.get_loop())
            runner.get_loop().call_soon(started.set)
            runner.run(serve(relay, server, listener))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield RunningRelay(listener.getsockname()[1], relay, getattr(recorder, "rows", []), loops[0])
    finally:
        server.should_exit = True
        thread.join(2)
        server.force_exit = True
        thread.join(10)


@contextmanager
def relay_to(*urls: str, **more: Any) -> Iterator[RunningRelay]:
    """A relay with one route, `gemma`, in this order of targets A, B, …"""
    with running(config_of(*routed(*urls, **more))) as started:
        yield started


def outcomes(rows: Sequence[Request]) -> list[tuple[str, str, bool]]:
    return [(row.target, row.outcome, row.served) for row in rows]
