"""`add --from`: what is configured or served elsewhere, as targets."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli import questions
from cli.add_target import AddRequest, checked_base_url, find_server, with_base_url
from cli.proposals import proposals
from cli.target_draft import Draft, Proposals, Skipped, plan_drafts, with_free_names
from collectors.discovery import Server, apis_to_try
from settings.sections import OpenRouterSection, checked_url, checked_variable
from settings.targets import ConfigError, load

STANDARD_INPUT = "-"
OPENROUTER_KEY = "OPENROUTER_API_KEY"
MOST_BYTES = 4 * 1024 * 1024
_TAKES = {"ollama": ("base_url",), "openrouter": ("api_key_env", "api_key_file")}
"""The options that a source has a use for, of those that say where and what one target is; a file has none."""


def propose_from_source(request: AddRequest, source: str, taken: Sequence[str]) -> Proposals:
    """The targets of a source, each probed once; those that do not respond are skipped. Raises ConfigError."""
    _refuse_unused(request, source)
    lists: dict[str, Any] = {}
    skipped: list[Skipped] = []
    if source == "ollama":
        drafts = _ollama(request)
    elif source == "openrouter":
        drafts, lists = _openrouter(request)
    else:
        drafts, skipped = _litellm(source)
    drafts, duplicates = _skip_duplicates(request, drafts)
    drafts = _choose(request, source, drafts, duplicates, taken)
    drafts = with_free_names([replace(each, every=request.every, tags=request.tags) for each in drafts], taken)
    if not drafts:
        return Proposals((), (*skipped, *duplicates))
    config = plan_drafts(request.path, drafts).config
    found = proposals(config, drafts, lists, tests=request.tests, location=request.location)
    good = [each for each in found if each.trial is None or each.trial.is_reached or each.trial.waits_for_key]
    bad = [Skipped(each.draft.name, each.trial.reason) for each in found if each not in good and each.trial]
    return Proposals(tuple(good), (*skipped, *duplicates, *bad))


def list_models(request: AddRequest, source: str | None) -> dict[str, Any]:
    """What a server, OpenRouter or an Ollama lists, for a program. Raises ConfigError."""
    if source is not None:
        if source not in _TAKES:
            raise ConfigError("--list is for a server: --base-url URL, --from openrouter or --from ollama")
        _refuse_unused(request, source)
        address = _ollama_address(request) if source == "ollama" else _router_url(request.path)
        request = replace(request, base_url=address)
    request, notes = with_base_url(request)
    _, server = find_server(request)
    models = [
        {"id": each.id, "context_tokens": each.context_tokens}
        for each in server.models
        if not request.models or questions.find_matches([each.id], request.models[0])
    ]
    moved = () if server.base_url == request.base_url else (f"the API is at {server.base_url}",)
    return {"base_url": server.base_url, "api": server.api, "models": models, "notes": [*notes, *moved]}


def _refuse_unused(request: AddRequest, source: str) -> None:
    """Raises ConfigError for an option that would be ignored."""
    taken = _TAKES.get(source, ())
    for name in ("name", "base_url", "api", "api_key_env", "api_key_file"):
        if getattr(request, name) is not None and name not in taken:
            raise ConfigError(f"--{name.replace('_', '-')} cannot be combined with --from {source}: leave it out")


def _ollama(request: AddRequest) -> list[Draft]:
    """What an Ollama server has, by `GET /api/tags`."""
    from requests.exceptions import RequestException

    from collectors.http.get_json import ProxyFailedError, get_json
    from collectors.http.redaction import root_cause, safe_error
    from collectors.sources.model_lists import served_models

    address = _ollama_address(request)
    try:
        models = served_models(get_json(f"{address}/api/tags"))
    except (RequestException, ProxyFailedError) as problem:
        raise ConfigError(
            f"no Ollama responds at {address} ({safe_error(root_cause(problem))}): start it with `ollama serve`, or "
            "give its address with --base-url"
        ) from problem
    except ValueError as problem:
        raise ConfigError(f"the server at {address} is not an Ollama: {safe_error(str(problem))}") from problem
    if not models:
        raise ConfigError(f"the Ollama at {address} has no model: `ollama pull gemma3` gets one")
    server = Server(f"{address}/v1", "chat", ())
    return [Draft(each.id, each.id, server.base_url, next(apis_to_try(server, each.id))) for each in models]


def _ollama_address(request: AddRequest) -> str:
    """Without the path of an API. Raises ConfigError."""
    address = checked_base_url(request.base_url or ollama_host(os.environ.get("OLLAMA_HOST", "")))
    return address.removesuffix("/v1").removesuffix("/api")


def ollama_host(value: str) -> str:
    """The URL that `OLLAMA_HOST` means to Ollama: http and port 11434 unless it says otherwise, and this machine where
    it is what a server listens at.

    >>> ollama_host("0.0.0.0")
    'http://127.0.0.1:11434'
    """
    value = value.strip()
    if "://" in value:
        return value
    netloc, slash, path = value.partition("/")
    host, _, port = netloc.rpartition(":")
    if not port.isdecimal():
        host, port = netloc, "11434"
    host = "127.0.0.1" if host in ("", "0.0.0.0", "[::]") else host  # nosec B104  where it listens, not where it is
    return f"http://{host}:{port}{slash}{path}"


def _openrouter(request: AddRequest) -> tuple[list[Draft], dict[str, Any]]:
    """OpenRouter's models, from the list that the catalog is read from."""
    base_url = _router_url(request.path)
    given, server = find_server(replace(request, base_url=base_url, api="chat"))
    variable = given.api_key_env or (None if given.api_key_file else OPENROUTER_KEY)
    drafts = [
        Draft(each.id, each.id, base_url, api_key_env=variable, api_key_file=given.api_key_file)
        for each in server.models
    ]
    return drafts, {base_url: server.response}


def _router_url(path: Path) -> str:
    """`[openrouter] base_url` of the file, else OpenRouter's own."""
    try:
        return load(path).openrouter.base_url
    except ConfigError:  # no file yet; an invalid one is reported when it is changed
        return OpenRouterSection().base_url


def _litellm(source: str) -> tuple[list[Draft], list[Skipped]]:
    """The models of a LiteLLM proxy's configuration, a file or standard input (`-`)."""
    from collectors.sources.litellm_config import read_litellm

    try:
        with sys.stdin.buffer if source == STANDARD_INPUT else Path(source).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ConfigError(
                f"--from {source}: it is larger than {MOST_BYTES // 1024**2} MiB, which no configuration is"
            )
        entries = read_litellm(data.decode())
    except OSError as problem:
        raise ConfigError(
            f"--from {source}: {problem.strerror}; give LiteLLM's YAML file, openrouter or ollama"
        ) from None
    except ValueError as problem:
        reason = "it is not UTF-8" if isinstance(problem, UnicodeDecodeError) else str(problem)
        raise ConfigError(f"--from {source}: {reason}") from None
    drafts, skipped = [], []
    for entry in entries:
        if entry.skipped is not None:
            skipped.append(Skipped(entry.name, entry.skipped))
            continue
        try:
            base_url = checked_url(entry.base_url)
            variable = checked_variable(entry.api_key_env) if entry.api_key_env else None
        except ValueError as problem:
            skipped.append(Skipped(entry.name, str(problem)))
            continue
        drafts.append(Draft(entry.name, entry.model, base_url, entry.api, variable, params=entry.params))
    return drafts, skipped


def _choose(
    request: AddRequest, source: str, drafts: list[Draft], duplicates: Sequence[Skipped], taken: Sequence[str]
) -> list[Draft]:
    """Those that `--model` names, else those that the user chooses, else all of a configuration or an Ollama. Several
    of a configuration with one name are told apart by the names that they will get. Raises ConfigError where a choice
    is needed and there is no terminal to ask on.
    """
    names = [draft.name for draft in (drafts if source == "openrouter" else with_free_names(drafts, taken))]
    there = [skipped.name for skipped in duplicates]
    chosen: list[str] = []
    for wanted in request.models:
        found = questions.find_matches(names, wanted)
        if not found and not questions.find_matches(there, wanted):
            raise ConfigError(f"--model: {source} has no model with {wanted!r} in its name")
        if len(found) > 1 and source == "openrouter" and not request.asks:
            raise ConfigError(
                f"--model: {len(found)} models have {wanted!r} in their names, such as {', '.join(found[:5])}"
            )
        chosen += questions.choose_several(found) if len(found) > 1 and request.asks else found
    if not request.models:
        if request.asks and drafts:
            chosen = [questions.choose_model(names)] if source == "openrouter" else questions.choose_several(names)
        elif source == "openrouter":
            raise ConfigError(f"--model is missing: which of OpenRouter's {len(names)} models? --list shows them")
        else:
            return drafts
    return [draft for draft, name in zip(drafts, names, strict=True) if name in chosen]


def _skip_duplicates(request: AddRequest, drafts: list[Draft]) -> tuple[list[Draft], list[Skipped]]:
    """Without those that the file has already: the same model at the same address."""
    try:
        known = {(each.base_url, each.model): each.name for each in load(request.path).all_targets}
    except ConfigError:  # no file yet; an invalid one is reported when it is changed
        known = {}
    kept, skipped = [], []
    for draft in drafts:
        place = (draft.base_url, draft.model)
        if place in known:
            skipped.append(Skipped(draft.name, f"it is there already, as {known[place]!r}"))
        else:
            known[place] = draft.name
            kept.append(draft)
    return kept, skipped
