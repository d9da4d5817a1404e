"""Finding the server at an address that the user typed: its API, its base URL, and the models that it lists.

Only a few `GET` requests for the list of models are sent, each with the target's key in the header of the API that is
tried.
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
from settings.addresses import is_loopback
from settings.sections import Api
from settings.targets import ProbeTarget

UNKNOWN_HOST: tuple[Api, ...] = ("chat", "anthropic", "gemini")
"""APIs of hosts that are not known, the most common first. Each has its key in another header."""
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
"""Outcomes of a probe in an API that the server does not speak."""


class DiscoveryError(ValueError):
    """No list of models was found. The message says why, and what to do."""


class UnreachableError(DiscoveryError):
    """No server responded."""


class KeyRefusedError(DiscoveryError):
    """The server needs a key, or another one."""


@dataclass(frozen=True)
class Server:
    """A server, the API in which its list was read, and the models in it. `response` is the list as it was sent; null
    where the API has none.
    """

    base_url: str
    api: Api
    models: tuple[ServedModel, ...]
    response: Any = None


def typed_url(text: str) -> str:
    """The base URL of an address as people type it: with a scheme, and without an endpoint's path. Raises ValueError.

    >>> typed_url("localhost:11434/v1/chat/completions")
    'http://localhost:11434/v1'
    """
    text = text.strip()
    if "://" not in text:
        text = f"{'http' if is_loopback(urlsplit(f'//{text}').hostname or '') else 'https'}://{text}"
    head, query, rest = text.partition("?")
    return _ENDINGS.sub("", head.rstrip("/")) + query + rest


def hinted_api(base_url: str) -> Api | None:
    """The API of a well-known host or path; null for others."""
    return next((api for pattern, api in _HINTS if re.search(pattern, base_url, re.IGNORECASE)), None)


def base_urls(base_url: str) -> tuple[str, ...]:
    """Base URLs to try for an address: users often leave out the version at its end, or add one that is not there.

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
    """Find the server at a target's base URL. `api`: the API, if it is known. Raises DiscoveryError."""
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
                return Server(place, _api_of_list(tried, response), tuple(served_models(response)), response)
            except UnreachableError:
                raise
            except ValueError as problem:
                problems.append((url, problem))
                if target.key is None and getattr(problem, "status", None) in _REFUSES_KEY:
                    raise _explain(target, problems) from problem
    raise _explain(target, problems)


def apis_to_try(server: Server, model: str) -> Iterator[Api]:
    """APIs in which a model may respond to a probe, the most likely first."""
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


def _api_of_list(tried: Api, response: Any) -> Api:
    """The API of a list, by its shape where the address gave no hint."""
    entries = response.get("data") if isinstance(response, dict) else None
    first = entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}
    if tried == "chat" and first.get("type") == "model" and "display_name" in first and "object" not in first:
        return "anthropic"
    models = response.get("models") if isinstance(response, dict) else None
    named = models[0] if isinstance(models, list) and models and isinstance(models[0], dict) else {}
    return "gemini" if tried == "chat" and "supportedGenerationMethods" in named else tried


def _explain(target: ProbeTarget, problems: list[tuple[str, ValueError]]) -> DiscoveryError:
    """Of all errors, the one that says most."""
    refused = [(url, each.status) for url, each in problems if isinstance(each, StatusError)]
    proxy = proxy_for(target.base_url, os.environ)
    through = f" (through the proxy {proxy.name})" if proxy is not None else ""
    for url, status in refused:
        if status in _REFUSES_KEY:
            return KeyRefusedError(f"{urlsplit(url).netloc} returned HTTP {status}{through}: {_about_key(target)}")
    tried = list(dict.fromkeys(url.partition("?")[0] for url, _ in problems))
    if refused:
        url, status = refused[0]
        return DiscoveryError(f"{url.partition('?')[0]} returned HTTP {status}{through}: try again later")
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
        return f"it needs a key: {target.where_key_belongs}"
    return "it needs a key: name the environment variable that holds it with --api-key-env"


def _safe(text: str, target: ProbeTarget) -> str:
    return safe_error(text, (target.key,) if target.key else ()) or "no reason was given"
