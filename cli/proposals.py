"""Drafts of targets with one probe of each and the cost of a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cli.target_draft import Draft, Proposal
from cli.trial import DayCost, Trial, cost_of_day, try_target
from store.clock import now_ms

if TYPE_CHECKING:
    from settings.targets import Config, ProbeTarget

MAX_PARALLEL = 8


def proposals(
    config: Config, drafts: Sequence[Draft], lists: Mapping[str, Any], *, tests: bool, location: str
) -> list[Proposal]:
    """Each draft, probed and priced. `config` has them all; `lists` has a server's list of models by its base URL."""
    by_name = {target.name: target for target in config.targets}
    targets = [by_name[draft.name] for draft in drafts]
    trials: list[Trial | None] = [*_trials(config, targets, location)] if tests else [None for _ in targets]
    return [
        Proposal(draft, trial, _day(config, target, lists.get(target.base_url)))
        for draft, target, trial in zip(drafts, targets, trials, strict=True)
    ]


def _trials(config: Config, targets: Sequence[ProbeTarget], location: str) -> list[Trial]:
    from collectors.http.authorities import check_authorities
    from collectors.scheduler.shared_state import SharedState
    from collectors.scheduler.state import SchedulerState

    check_authorities()
    shared = SharedState(None, location)
    alone = replace(config, targets=tuple(targets), disabled=(), routes=())
    state = SchedulerState(alone, None, shared, keeps_connections=False)
    try:
        with ThreadPoolExecutor(MAX_PARALLEL) as pool:
            return list(pool.map(partial(try_target, state), targets))
    finally:
        state.close()
        shared.close()


def _day(config: Config, target: ProbeTarget, listed: Any) -> DayCost:
    """The cost of a day once the target has its key."""
    from collectors.prices import max_probe_cost, price_of

    keyed = replace(target, api_key_env=None, api_key_file=None)
    price = price_of(target, config, _model_rows(config, target, listed))
    return cost_of_day(config, keyed, price, partial(max_probe_cost, target, price=price))


def _model_rows(config: Config, target: ProbeTarget, listed: Any) -> Iterable[Any]:
    """The rows with its model's price that the collectors will record, from a list that was just read."""
    from collectors.catalog import models_of as routed_models_of
    from collectors.local_servers import models_of
    from collectors.prices import is_routed
    from collectors.sources.openrouter import SentModel, entries, validate

    try:
        if is_routed(target, config):
            sent, _ = validate(SentModel, entries(listed, "data"))
            return routed_models_of(sent, now_ms())
        return models_of({"data": []} if listed is None else listed, target, now_ms())
    except ValueError:
        return []
