"""What is behind an address that somebody typed: which API it speaks, where exactly, and which models it lists.

Nothing is sent but `GET` requests for the list of models, few of them, each with the target's key in the header of the
API that is tried.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from collectors.http.get_json import GoneError, ProxyFailedError, StatusError, get_json
from collectors.http.proxies import proxy_for
from collectors.http.redaction import root_cause, safe_error
from collectors.request import list_url, own_headers
from collectors.sources.model_lists import ServedModel, served_models
from settings.sections import Api
from settings.targets import ProbeTarget

UNKNOWN_HOST: tuple[Api, ...] = ("chat", "anthropic", "gemini")
"""What a host without a hint may speak, the most common first: each wants its key in another header."""
_HINTS: tuple[tuple[str, Api], ...] = (
    (r"//api\.anthropic\.com|/anthropic(?:/|$)", "anthropic"),
    (r"//generativelanguage\.googleapis\.com(?!.*/openai)|/publishers/google", "gemini"),
    (r"//[^/]*\.(?:openai|cognitiveservices|services\.ai)\.azure\.com", "azure"),
)
_ENDINGS = re.compile(r"/(?:chat/completions|completions|responses|messages|embeddings|models)/*$")
_VERSION = re.compile(r"/v\d+\w*$")
_REFUSES_KEY = (401, 403)
_EMBEDS = re.compile(r"embed|(?:^|[/-])(?:bge|gte|e5)-", re.IGNORECASE)
OTHER_API = frozenset({"not_found", "caller_error", "invalid_response"})
"""Outcomes of a probe that a server may give for a request in an API that it does not speak."""


class DiscoveryError(ValueError):
    """No list of models was found. The message says what happened, where, and what to do."""


class UnreachableError(DiscoveryError):
    """No server answered at all."""


class KeyRefusedError(DiscoveryError):
    """The server wants a key, or another one."""


@dataclass(frozen=True)
class Server:
    """A server that was found: its base URL, which API its list was read in, and what it lists. `response` is the list
    as it came; null where the API has none.
    """

    base_url: str
    api: Api
    models: tuple[ServedModel, ...]
    response: Any = None


def typed_url(text: str) -> str:
    """An address as somebody types it, as a base URL: with a scheme, and without an endpoint's path.

    >>> typed_url("localhost:11434/v1/chat/completions")
    'http://localhost:11434/v1'
    """
    text = text.strip()
    if "://" not in text:
        host = text.partition("/")[0].rpartition(":")[0] or text.partition("/")[0]
        is_here = host in ("localhost", "::1", "[::1]") or host.startswith("127.")
        text = f"{'http' if is_here else 'https'}://{text}"
    head, query, rest = text.partition("?")
    return _ENDINGS.sub("", head.rstrip("/")) + query + rest


def hinted_api(base_url: str) -> Api | None:
    """The API that a well-known host or path speaks; null where the address says nothing."""
    return next((api for pattern, api in _HINTS if re.search(pattern, base_url, re.IGNORECASE)), None)


def base_urls(base_url: str) -> tuple[str, ...]:
    """Where the API of an address may be: a version at its end is often left out, or written where there is none.

    >>> base_urls("https://llm.example.com")
    ('https://llm.example.com/v1', 'https://llm.example.com', 'https://llm.example.com/api/v1')
    """
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/")
    if _VERSION.search(path):
        paths = [path, _VERSION.sub("", path)]
    else:
        paths = [f"{path}/v1", path] + ([] if path else ["/api/v1"])
    return tuple(parts._replace(path=each).geturl() for each in paths)


def find_server(target: ProbeTarget, api: Api | None = None) -> Server:
    """The server behind a target's base URL. `api` is what is already known of it. Raises DiscoveryError."""
    known = api or hinted_api(target.base_url)
    problems: list[tuple[str, ValueError]] = []
    for tried in (known,) if known else UNKNOWN_HOST:
        for place in base_urls(target.base_url) if tried in ("chat", "responses", "embeddings") else (target.base_url,):
            asked = replace(target, api=tried, base_url=place)
            url = list_url(asked)
            if url is None:
                return Server(place, tried, ())
            try:
                response = _fetch(url, asked)
                return Server(place, _spoken(tried, response), tuple(served_models(response)), response)
            except UnreachableError:
                raise
            except ValueError as problem:
                problems.append((url, problem))
                if target.key is None and getattr(problem, "status", None) in _REFUSES_KEY:
                    raise _explain(target, problems) from problem
    raise _explain(target, problems)


def apis_to_try(server: Server, model: str) -> Iterator[Api]:
    """In which APIs a model may answer a probe, the most likely first."""
    if server.api != "chat":
        yield server.api
        return
    yield from ("embeddings", "chat") if _EMBEDS.search(model) else ("chat",)
    yield from ("responses", "anthropic")


def _fetch(url: str, target: ProbeTarget) -> Any:
    from requests.exceptions import RequestException

    try:
        return get_json(url, own_headers(target))
    except RequestException as problem:
        host = urlsplit(url).netloc
        raise UnreachableError(
            f"{host} cannot be reached: {_safe(root_cause(problem), target)}; check the address, whether the server "
            "runs, and whether a proxy is needed (HTTPS_PROXY)"
        ) from problem
    except ProxyFailedError as problem:
        raise UnreachableError(
            f"{_safe(str(problem), target)}; correct HTTPS_PROXY or HTTP_PROXY, or list the host in NO_PROXY if it can "
            "be reached directly"
        ) from problem


def _spoken(tried: Api, response: Any) -> Api:
    """The API of a list: a server without a hint says by its shape whose it is."""
    entries = response.get("data") if isinstance(response, dict) else None
    first = entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}
    if tried == "chat" and first.get("type") == "model" and "display_name" in first and "object" not in first:
        return "anthropic"
    models = response.get("models") if isinstance(response, dict) else None
    named = models[0] if isinstance(models, list) and models and isinstance(models[0], dict) else {}
    return "gemini" if tried == "chat" and "supportedGenerationMethods" in named else tried


def _explain(target: ProbeTarget, problems: list[tuple[str, ValueError]]) -> DiscoveryError:
    """One error for all that was tried: the one that says the most."""
    refused = [(url, each.status) for url, each in problems if isinstance(each, StatusError)]
    proxy = proxy_for(target.base_url, os.environ)
    through = f" (through the proxy {proxy.name})" if proxy is not None else ""
    for url, status in refused:
        if status in _REFUSES_KEY:
            return KeyRefusedError(f"{urlsplit(url).netloc} answered HTTP {status}{through}: {_about_key(target)}")
    tried = list(dict.fromkeys(url.partition("?")[0] for url, _ in problems))
    if refused:
        url, status = refused[0]
        return DiscoveryError(f"{url.partition('?')[0]} answered HTTP {status}{through}: try again later")
    if any(not isinstance(each, GoneError) for _, each in problems):
        why = next(each for _, each in problems if not isinstance(each, GoneError))
        return DiscoveryError(
            f"{_safe(str(why), target)}: this may be a web page and not an API; the base URL ends where the API's "
            "paths begin, as in https://host/v1"
        )
    return DiscoveryError(
        f"there is no list of models at {' or '.join(tried[:3])} (HTTP 404){through}: check the base URL, which ends "
        "where the API's paths begin, as in https://host/v1; for a server without a list, give --model and --api"
    )


def _about_key(target: ProbeTarget) -> str:
    if target.key is not None:
        return f"it does not accept the key in {target.api_key_file or target.api_key_env}; correct it there"
    if target.where_key_belongs is not None:
        return f"it wants a key: {target.where_key_belongs}"
    return "it wants a key: name the environment variable that holds it with --api-key-env"


def _safe(text: str, target: ProbeTarget) -> str:
    return safe_error(text, (target.key,) if target.key else ()) or "no reason was given"
