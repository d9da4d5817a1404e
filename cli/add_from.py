"""`add --from`: what is configured or served elsewhere, as targets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli import questions
from cli.add_target import AddRequest, checked_base_url, find_server
from cli.proposals import proposals
from cli.target_draft import Draft, Proposals, Skipped, plan_drafts, with_own_names

OLLAMA = "http://127.0.0.1:11434"
OPENROUTER_KEY = "OPENROUTER_API_KEY"
MOST_BYTES = 4 * 1024 * 1024


def take_over(request: AddRequest, source: str, taken: Sequence[str]) -> Proposals:
    """The targets of a source, each tried once; those that do not answer are skipped. Raises ConfigError."""
    lists: dict[str, Any] = {}
    skipped: list[Skipped] = []
    if source == "ollama":
        drafts = _ollama(request)
    elif source == "openrouter":
        drafts, lists = _openrouter(request)
    else:
        drafts, skipped = _litellm(Path(source))
    drafts = _chosen(request, source, drafts)
    drafts, doubles = _without_doubles(request, drafts)
    drafts = with_own_names([replace(each, every=request.every, tags=request.tags) for each in drafts], taken)
    if not drafts:
        return Proposals((), (*skipped, *doubles))
    config = plan_drafts(request.path, drafts).config
    found = proposals(config, drafts, lists, tests=request.tests, location=request.location)
    good = [each for each in found if each.trial is None or each.trial.is_reached or each.trial.waits_for_key]
    bad = [Skipped(each.draft.name, each.trial.reason) for each in found if each not in good and each.trial]
    return Proposals(tuple(good), (*skipped, *doubles, *bad))


def _ollama(request: AddRequest) -> list[Draft]:
    """What an Ollama server has, by `GET /api/tags`."""
    from requests.exceptions import RequestException

    from collectors.http.get_json import get_json
    from collectors.http.redaction import root_cause, safe_error
    from collectors.sources.model_lists import served_models

    address = checked_base_url(request.base_url or os.environ.get("OLLAMA_HOST") or OLLAMA)
    address = address.removesuffix("/v1").removesuffix("/api")
    try:
        models = served_models(get_json(f"{address}/api/tags"))
    except RequestException as problem:
        raise _error(
            f"no Ollama answers at {address} ({safe_error(root_cause(problem))}): start it with `ollama serve`, or say "
            "where it is with --base-url"
        ) from problem
    except ValueError as problem:
        raise _error(f"{address} is no Ollama: {safe_error(str(problem))}") from problem
    if not models:
        raise _error(f"the Ollama at {address} has no model: `ollama pull gemma3` gets one")
    return [Draft(each.id, each.id, f"{address}/v1") for each in models]


def _openrouter(request: AddRequest) -> tuple[list[Draft], dict[str, Any]]:
    """OpenRouter's models, from the list that the catalog is read from."""
    from settings.sections import OpenRouterSection
    from settings.targets import ConfigError, load

    try:
        base_url = load(request.path).openrouter.base_url
    except ConfigError:
        base_url = OpenRouterSection().base_url
    given = replace(request, base_url=base_url, api="chat")
    given, server = find_server(given)
    variable = given.api_key_env or (None if given.api_key_file else OPENROUTER_KEY)
    drafts = [
        Draft(each.id, each.id, base_url, api_key_env=variable, api_key_file=given.api_key_file)
        for each in server.models
    ]
    return drafts, {base_url: server.response}


def _litellm(path: Path) -> tuple[list[Draft], list[Skipped]]:
    """The models of a LiteLLM proxy's configuration."""
    from collectors.sources.litellm_config import read_litellm
    from settings.sections import checked_url, checked_variable

    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode()
        entries = read_litellm(text)
    except OSError as problem:
        raise _error(f"--from {path}: {problem.strerror}; give litellm's YAML file, openrouter or ollama") from None
    except ValueError as problem:
        reason = "it is not UTF-8" if isinstance(problem, UnicodeDecodeError) else str(problem)
        raise _error(f"--from {path}: {reason}") from None
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


def _chosen(request: AddRequest, source: str, drafts: list[Draft]) -> list[Draft]:
    """Those that `--model` names, else those that a person chooses, else all of a configuration or an Ollama.
    Raises ConfigError where a choice is needed and nobody can be asked.
    """
    names = [draft.name for draft in drafts]
    chosen: list[str] = []
    for wanted in request.models:
        found = questions.matching(names, wanted)
        if not found:
            raise _error(f"--model: {source} has no model with {wanted!r} in its name")
        if len(found) > 1 and source == "openrouter" and not request.asks:
            raise _error(f"--model: {len(found)} models have {wanted!r} in their names, such as {', '.join(found[:5])}")
        chosen += questions.choose_several(found) if len(found) > 1 and request.asks else found
    if not request.models:
        if request.asks and drafts:
            chosen = [questions.choose_model(names)] if source == "openrouter" else questions.choose_several(names)
        elif source == "openrouter":
            raise _error(f"--model is missing: which of OpenRouter's {len(names)} models? --list shows them")
        else:
            return drafts
    return [draft for draft in drafts if draft.name in chosen]


def _without_doubles(request: AddRequest, drafts: list[Draft]) -> tuple[list[Draft], list[Skipped]]:
    """Without those that are probed already: the same model at the same address."""
    from settings.targets import ConfigError, load

    try:
        known = {(each.base_url, each.model): each.name for each in load(request.path).all_targets}
    except ConfigError:  # there is no file yet; what is wrong with one is said when it is changed
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


def _error(message: str) -> Exception:
    from settings.targets import ConfigError

    return ConfigError(message)
