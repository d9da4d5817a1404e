"""The relay's process: uvicorn with what it lacks (a limit for slow and endless headers), and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collectors.relay.handler import Application
from collectors.relay.relay import Relay

HEADERS_TIMEOUT_S = 10.0
MOST_HEADER_BYTES = 65_536
KEEP_ALIVE_S = 75
BACKLOG = 2_048


class _Protocol(HttpToolsProtocol):
    """A connection whose headers must come within a time and a size: httptools itself would wait for ever, for more."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._header_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_headers()
        if self._timer is not None:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._timer is not None and self._header_bytes > MOST_HEADER_BYTES:
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def _expect_headers(self) -> None:
        self._header_bytes = 0
        self._timer = self.loop.call_later(HEADERS_TIMEOUT_S, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    """uvicorn would raise a signal again when it has stopped, before the last rows are written."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError, RuntimeError):  # in a thread, as in tests
                loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def server_for(relay: Relay) -> uvicorn.Server:
    """The server, which writes no log: a line of it could hold what a client sent."""
    config = uvicorn.Config(
        Application(relay),
        loop="uvloop",
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=KEEP_ALIVE_S,
        backlog=BACKLOG,
    )
    return _Server(config)


async def serve(relay: Relay, server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C; then take nothing new, and let what is under way end (a second one ends it)."""
    await relay.open()
    try:
        await server.serve(sockets=[listener])
    finally:
        await relay.close()


def run(relay: Relay, listener: socket.socket) -> None:
    """Serve in this thread, to the end."""
    gc.collect()
    gc.freeze()  # what is loaded stays: looking through it for garbage would stop every stream for milliseconds
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(relay, server_for(relay), listener))
