"""The ASGI application: which request is whose, who may make it, and what it gets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from collectors.relay.attempt import Send
from collectors.relay.call import new_id, read_call
from collectors.relay.fallback import Service
from collectors.relay.generations import generation
from collectors.relay.metrics import CONTENT_TYPE
from collectors.relay.models_list import endpoints_of, model_named, models_list
from collectors.relay.problems import Api, Gone, ProblemError, report_failure
from collectors.relay.relay import Relay
from collectors.relay.responses import send_json, send_problem
from store.clock import now_ms

LARGEST_BODY_BYTES = 32 * 1024 * 1024
BODY_TIMEOUT_S = 60.0
APIS: dict[str, Api] = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/embeddings": "embeddings",
    "/messages": "messages",
}

Receive = Callable[[], Awaitable[dict[str, Any]]]
Scope = dict[str, Any]


class Application:
    """What uvicorn calls for each request."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Nothing that its client sends is in any error that leaves this process."""
        if scope["type"] != "http":
            return
        request_id = new_id()
        named = [(b"x-generation-id", request_id.encode())]
        path = _path(scope["path"])
        api = APIS.get(path) if scope["method"] == "POST" else None
        try:
            headers = self._headers(scope)
            if api is None:
                await self._look_up(scope, path, headers, send)
            else:
                await self._serve(scope, headers, api, request_id, receive, send)
        except ProblemError as problem:
            self._relay.metrics.note_request(problem.status)
            closing = [(b"connection", b"close")] if problem.status in (408, 413) else []
            with suppress(Exception):
                await send_problem(send, problem, api, [*named, *closing])
        except Gone:
            return

    def _headers(self, scope: Scope) -> dict[str, str]:
        """The headers, if the request may be looked at at all."""
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        hosts = [value for name, value in pairs if name == "host"]
        origins = [value for name, value in pairs if name == "origin"]
        self._relay.hosts.check(hosts, origins, is_open=not self._relay.keys.are_needed)
        return dict(pairs)

    async def _look_up(self, scope: Scope, path: str, headers: dict[str, str], send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            if scope["method"] == "POST":
                raise ProblemError(404, "The relay has no such path.")
            raise ProblemError(405, "The relay answers GET and POST.", error_type="invalid_request")
        if path == "/health":
            await send_json(send, 200, b'{"status":"ok"}', [])
            return
        key_name = self._relay.keys.name_of(headers)
        if path == "/metrics":
            await send_json(send, 200, self._relay.metrics.text(), [], kind=CONTENT_TYPE.encode())
            return
        await send_json(send, 200, orjson.dumps(self._answer(scope, path, key_name)), [])

    def _answer(self, scope: Scope, path: str, key_name: str | None) -> dict[str, Any]:
        relay = self._relay
        if path == "/models":
            return models_list(relay)
        if path.startswith("/models/"):
            name = path.removeprefix("/models/").removesuffix("/endpoints")
            if (found := endpoints_of(relay, unquote(name))) is not None:
                return found if path.endswith("/endpoints") else model_named(relay, unquote(name))
            raise ProblemError(404, "The relay has no such model: GET /v1/models lists them.")
        if path == "/generation":
            wanted = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("id", [""])[0]
            rows = relay.generations.find(wanted, key_name)
            if rows is None:
                raise ProblemError(404, "The relay remembers no generation with this id.")
            return generation(rows)
        raise ProblemError(404, "The relay has no such path.")

    async def _serve(
        self, scope: Scope, headers: dict[str, str], api: Api, request_id: str, receive: Receive, send: Send
    ) -> None:
        relay = self._relay
        key_name = relay.keys.name_of(headers)
        relay.spending.check(key_name, now_ms())
        raw = await _body(headers, receive)
        received = time.perf_counter()
        call = read_call(request_id, api, raw, headers, key_name, received)
        service = Service(relay, call, send)
        work = asyncio.current_task()
        assert work is not None
        watcher = asyncio.create_task(_watch(receive, work))
        relay.metrics.in_flight.inc()
        try:
            await service.serve()
        except (Gone, ProblemError):
            raise
        except asyncio.CancelledError:
            if not watcher.done():  # not the client: this process ends
                raise
            work.uncancel()
        except Exception as problem:  # noqa: BLE001  its words may hold a prompt, and uvicorn would write them down
            report_failure(problem)
            if not service.has_begun:
                raise ProblemError(500, "The relay itself failed: its log says where.") from None
            raise Gone from None
        finally:
            relay.metrics.in_flight.dec()
            watcher.cancel()
        relay.metrics.note_request(service.status, fell_back=service.fell_back)


def _path(path: str) -> str:
    """Below `/v1` or `/api/v1`, as the reference has it, or below neither."""
    for prefix in ("/api/v1/", "/v1/"):
        if path.startswith(prefix):
            return path[len(prefix) - 1 :].rstrip("/")
    return path.rstrip("/")


async def _watch(receive: Receive, work: asyncio.Task[Any]) -> None:
    """Cancel the work when its client goes, in every phase."""
    while (await receive())["type"] != "http.disconnect":
        pass
    work.cancel()


async def _body(headers: dict[str, str], receive: Receive) -> bytes:
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > LARGEST_BODY_BYTES:
        raise _too_large()
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > LARGEST_BODY_BYTES:
                    raise _too_large()
                if not message.get("more_body"):
                    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    except TimeoutError:
        raise ProblemError(408, "The body of the request took too long.") from None


def _too_large() -> ProblemError:
    return ProblemError(413, f"The body of the request is larger than {LARGEST_BODY_BYTES // 2**20} MiB.")
