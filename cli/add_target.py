"""One new target: its base URL, its API, its model, and one probe of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli import questions
from cli.proposals import proposals
from cli.target_draft import Draft, Proposal, Proposals, name_for, plan_drafts
from collectors import discovery
from collectors.discovery import OTHER_API, DiscoveryError, KeyRefusedError, Server, UnreachableError
from collectors.sources.model_lists import find_model
from settings.sections import Api, checked_url, checked_variable
from settings.target_blocks import toml_of
from settings.targets import ConfigError, ProbeTarget, parse

MOST_NAMED = 10


@dataclass(frozen=True)
class AddRequest:
    """The options of `add`. `asks`: there is a terminal to ask on; `tests`: requests are sent."""

    path: Path
    location: str
    asks: bool
    tests: bool = True
    name: str | None = None
    base_url: str | None = None
    models: tuple[str, ...] = ()
    api: Api | None = None
    api_key_env: str | None = None
    api_key_file: str | None = None
    every: str | None = None
    tags: tuple[str, ...] = ()


def propose_target(request: AddRequest, taken: Sequence[str]) -> Proposals:
    """The target that the options describe, probed once. Raises ConfigError, which says what is missing or wrong."""
    if len(request.models) > 1:
        raise ConfigError("give one --model; several at once come with --from")
    request, notes = with_base_url(request)
    if not request.tests:
        if not request.models:
            raise ConfigError("--no-test sends nothing, so the model has to be named: --model")
        api = request.api or discovery.hinted_api(request.base_url or "") or "chat"
        return Proposals((_propose(request, _draft(request, request.models[0], api, taken), {}),), notes=notes)
    request, server = find_server(request)
    if server.base_url != request.base_url:
        notes = (*notes, f"the API is at {server.base_url}")
    model = _choose_model(request, [each.id for each in server.models], server)
    request = replace(request, base_url=server.base_url)
    draft = _draft(request, model, server.api, taken)
    proposal = _first_that_responds(request, draft, server)
    return Proposals((proposal,), notes=notes)


def find_server(request: AddRequest) -> tuple[AddRequest, Server]:
    """The server at the request's address, and the request with the variable of its key if the user was asked for one.
    Raises ConfigError.
    """
    while True:
        try:
            return request, discovery.find_server(_placeholder(request), request.api)
        except KeyRefusedError as problem:
            if not request.asks or request.api_key_env or request.api_key_file:
                raise ConfigError(str(problem)) from problem
            request = replace(request, api_key_env=_ask_for_variable())
        except DiscoveryError as problem:
            is_there = not isinstance(problem, UnreachableError)
            if is_there and request.api is not None and request.models:  # a server without a list
                return request, Server(request.base_url or "", request.api, ())
            raise ConfigError(str(problem)) from problem


def with_base_url(request: AddRequest) -> tuple[AddRequest, tuple[str, ...]]:
    """The request with a checked base URL, and a note where that is not what was typed. Raises ConfigError."""
    typed = request.base_url
    if typed is None:
        if not request.asks:
            raise ConfigError("--base-url is missing: the URL of the API, such as https://host/v1")
        typed = questions.ask("Base URL of its API, such as https://host/v1 or localhost:11434")
    base_url = checked_base_url(typed)
    note = () if base_url == typed.rstrip("/") else (f"the base URL is {base_url}",)
    return replace(request, base_url=base_url), note


def checked_base_url(typed: str) -> str:
    """A base URL as people type it. Raises ConfigError."""
    try:
        return checked_url(discovery.typed_url(typed))
    except ValueError as problem:
        raise ConfigError(f"--base-url: {problem}") from None


def _placeholder(request: AddRequest) -> ProbeTarget:
    """A target with the request's address and key, for requests that are sent before its model is known."""
    draft = Draft(
        "new",
        "new",
        request.base_url or "",
        request.api or "chat",
        request.api_key_env,
        request.api_key_file,
    )
    return parse(toml_of(draft.fields), request.path, os.environ).targets[0]


def _ask_for_variable() -> str:
    while True:
        typed = questions.ask("It needs a key. The environment variable that holds it (its name, not the key)")
        try:
            name = checked_variable(typed)
        except ValueError as problem:
            print(problem, file=sys.stderr)
            continue
        if os.environ.get(name, "").strip():
            return name
        raise ConfigError(f"{name} is not set in this shell: export {name}=…, and repeat the command")


def _choose_model(request: AddRequest, listed: Sequence[str], server: Server) -> str:
    """The model that `--model` or the user names. Raises ConfigError for one that the server does not list."""
    if not request.models:
        if not request.asks:
            what = f"{server.base_url} lists {_in_words(listed)}" if listed else f"{server.base_url} lists no models"
            raise ConfigError(f"--model is missing: {what}")
        return questions.choose_model(listed) if listed else questions.ask("Model, as the server knows it")
    wanted = request.models[0]
    if not listed or any(wanted in (each.id, *each.aliases) for each in server.models):
        return wanted
    found = [each for each in listed if each.rpartition("/")[2] == wanted] or questions.find_matches(listed, wanted)
    if len(found) == 1:
        return found[0]
    if find_model(list(server.models), wanted) is not None:  # with the date of its version, or a router's suffix
        return wanted
    if request.asks:
        return questions.choose_model(found or listed)
    many = f"{len(found)} models at {server.base_url} have {wanted!r} in their names: {_in_words(found)}"
    none = f"{server.base_url} lists no model {wanted!r}, but {_in_words(listed)}"
    raise ConfigError(f"--model: {many if found else none}; --no-test writes the target without asking the server")


def _draft(request: AddRequest, model: str, api: Api, taken: Sequence[str]) -> Draft:
    if request.name is not None and request.name in taken:
        raise ConfigError(f"{request.path} has a target {request.name!r} already: choose another --name")
    name = request.name
    if name is None:
        name = name_for(model, taken)
        name = questions.ask("Name on the dashboard", name) if request.asks else name
        if name in taken:
            raise ConfigError(f"{request.path} has a target {name!r} already: choose another name")
    return Draft(
        name,
        model,
        request.base_url or "",
        api,
        request.api_key_env,
        request.api_key_file,
        request.every,
        request.tags,
    )


def _first_that_responds(request: AddRequest, draft: Draft, server: Server) -> Proposal:
    """The draft in the first API in which the model responds; in the most likely one where it responds in none."""
    lists = {server.base_url: server.response}
    if request.api is not None:
        return _propose(request, replace(draft, api=request.api), lists)
    first: Proposal | None = None
    for api in discovery.apis_to_try(server, draft.model):
        proposal = _propose(request, replace(draft, api=api), lists)
        first = first or proposal
        if proposal.trial is None or proposal.trial.outcome not in OTHER_API:
            return proposal if proposal.trial is None or proposal.trial.is_reached else first
    assert first is not None
    return first


def _propose(request: AddRequest, draft: Draft, lists: dict[str, Any]) -> Proposal:
    config = plan_drafts(request.path, [draft]).config
    return proposals(config, [draft], lists, tests=request.tests, location=request.location)[0]


def _in_words(models: Sequence[str]) -> str:
    more = f" and {len(models) - MOST_NAMED} more" if len(models) > MOST_NAMED else ""
    return ", ".join(models[:MOST_NAMED]) + more
