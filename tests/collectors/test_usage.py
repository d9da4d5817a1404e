"""Tokens by day: what the router tells of models, of apps and of the account, and that a day is never added to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from collectors.sources.openrouter import SentActivity, midnight, validate
from collectors.usage import account_of, app_days, apps_of
from settings.targets import Config, parse
from store import open_store
from store.schema import USAGE, Usage
from tests.collectors.builders import config, run_once
from tests.collectors.router_fixture import RouterFixture
from tests.fault_server import GOOD, FaultServer, answer, chunked, event
from tests.router import MODEL, sent_activity, sent_app, sent_chat_usage, sent_ranking

TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
BEFORE = TODAY - timedelta(days=2)


def usage(world: RouterFixture) -> list[Usage]:
    return [Usage(*row) for row in world.store.read(USAGE)]


def account(world: RouterFixture) -> Config:
    text = f'[openrouter]\nbase_url = "{world.server.url}"\n[[target]]\nname = "a"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'
    return parse(text, Path("t.toml"), {"OPENROUTER_MANAGEMENT_KEY": "sk-management-1"})


def test_tokens_by_model_and_variant_and_those_of_all_others(world: RouterFixture) -> None:
    world.router.rankings = [
        sent_ranking(str(YESTERDAY), "google/gemma-3-1b-it", "9007199254740993"),  # more than a double can tell
        sent_ranking(str(YESTERDAY), "google/gemma-3-1b-it:free", "120"),
        sent_ranking(str(YESTERDAY), "other", "5"),
    ]
    world.collect("usage")
    told = {(row.model, row.variant): row.tokens for row in usage(world)}
    assert told == {
        ("google/gemma-3-1b-it", "standard"): 9_007_199_254_740_993,
        ("google/gemma-3-1b-it", "free"): 120,
        ("other", "all"): 5,
    }
    assert {(row.source, row.day, row.app) for row in usage(world)} == {
        ("openrouter_models", midnight(YESTERDAY), "all")
    }
    assert world.errors() == [None]


def test_a_day_that_is_told_again_is_replaced_and_never_added_to(world: RouterFixture) -> None:
    world.router.rankings = [sent_ranking(str(YESTERDAY), "a/a", "1"), sent_ranking(str(BEFORE), "a/a", "7")]
    world.router.apps = {str(YESTERDAY): [sent_app("Chat", "10"), sent_app("Gone", "3")]}
    world.collect("usage")
    world.router.rankings = [sent_ranking(str(YESTERDAY), "b/b", "2")]
    world.router.apps = {str(YESTERDAY): [sent_app("Chat", "11")]}
    world.collect("usage")
    told = [(row.day, row.model, row.app, row.tokens) for row in usage(world)]
    assert told == [
        (midnight(YESTERDAY), "all", "Chat", 11),
        (midnight(BEFORE), "a/a", "all", 7),
        (midnight(YESTERDAY), "b/b", "all", 2),
    ]


def test_the_public_figures_are_asked_with_the_key_and_within_the_routers_limits(world: RouterFixture) -> None:
    world.collect("usage")
    lines = [request["line"] for request in world.server.requests]
    assert all(request["headers"]["authorization"] == "Bearer sk-canary-123456" for request in world.server.requests)
    assert sum("rankings-daily" in line for line in lines) == 1
    assert sum("app-rankings" in line for line in lines) == 10  # of 30 in a minute
    assert any(f"start_date={YESTERDAY - timedelta(days=29)}&end_date={YESTERDAY} " in line for line in lines)
    assert not any("/activity" in line for line in lines)


def test_the_accounts_own_use_is_asked_only_with_a_management_key(world: RouterFixture) -> None:
    world.router.activity = [
        sent_activity(str(YESTERDAY)),
        sent_activity(str(YESTERDAY), endpoint_id="e2", byok_usage_inference=0.5),
        sent_activity(str(YESTERDAY), provider_name="Together", model="google/gemma-3-1b-it"),
    ]
    world.collect("usage", account(world))
    [request] = world.server.requests
    assert (request["line"], request["headers"]["authorization"]) == (
        "GET /v1/activity HTTP/1.1",
        "Bearer sk-management-1",
    )
    free, paid = usage(world)
    assert (free.source, free.variant, free.provider) == ("openrouter_account", "free", "DeepInfra")
    assert (free.tokens, free.prompt_tokens, free.completion_tokens) == (280, 200, 80)
    assert (free.reasoning_tokens, free.cached_tokens, free.requests, free.cost_usd) == (16, 32, 10, 1.0)
    assert (paid.variant, paid.provider, paid.cost_usd) == ("standard", "Together", 0.25)


def test_without_any_key_nothing_is_asked(world: RouterFixture) -> None:
    text = f'[openrouter]\nbase_url = "{world.server.url}"\n[[target]]\nname = "a"\nmodel = "{MODEL}"\nbase_url = "{world.server.url}"\napi_key_env = "NOT_SET"\n'
    world.collect("usage", parse(text, Path("t.toml"), {}))
    assert world.server.requests == []


@pytest.mark.parametrize(
    ("sent", "kept"),
    [({"date": "2026-11-23", "model_permaslug": "a/b", "total_tokens": "many"}, 0), ({"nothing": 1}, 0), (5, 0)],
)
def test_an_entry_that_is_wrong_is_counted_and_the_rest_is_kept(world: RouterFixture, sent: object, kept: int) -> None:
    world.router.rankings = [sent, sent_ranking(str(YESTERDAY), "a/a", "1")]
    said = world.collect("usage")
    assert "models: skipped 1 entry that does not match the router's documentation" in said
    assert [row.model for row in usage(world)] == ["a/a"]


def test_when_the_router_breaks_half_way_the_days_that_came_are_kept(world: RouterFixture) -> None:
    world.router.apps = {str(YESTERDAY): [sent_app("Chat", "10")]}

    def breaks(connection, request):  # type: ignore[no-untyped-def]
        wrong = f"start_date={BEFORE}" in request["line"]
        (answer(500, {}) if wrong else world.router.usual)(connection, request)

    world.router.instead = breaks
    said = world.collect("usage")
    assert f"apps: {BEFORE}: GET /v1/datasets/app-rankings" in said
    assert "HTTP 500" in said
    assert [row.app for row in usage(world)] == ["Chat"]


def test_missing_days_of_apps_are_filled_over_a_few_runs() -> None:
    newest = date(2026, 11, 23)
    first = app_days(newest, set())
    assert [day.day for day in first] == [23, 22, 21, 20, 19, 18, 17, 16, 15, 14]
    second = app_days(newest, {midnight(day) for day in first})
    assert [day.day for day in second] == [23, 22, 13, 12, 11, 10, 9, 8, 7, 6]
    all_days = {midnight(newest - timedelta(days=back)) for back in range(30)}
    assert [day.day for day in app_days(newest, all_days)] == [23, 22]


def test_two_apps_of_one_name_count_together() -> None:
    from collectors.sources.openrouter import SentApp

    sent, bad = validate(
        SentApp, [sent_app("X", "1", 2), sent_app("X", "2", 3), {"app_name": "Y", "total_tokens": "4"}]
    )
    rows = {row.app: (row.tokens, row.requests) for row in apps_of(YESTERDAY, sent)}
    assert (rows, bad) == ({"X": (3, 5), "Y": (4, None)}, 0)
    assert account_of([]) == []


def test_the_account_and_our_own_probes_come_to_the_same_cost_for_the_same_requests(tmp_path: Path) -> None:
    """With the router's key, with the user's key and a fee, and with the user's key and no fee."""
    requests = [(0.00012, False), (6e-06, True), (0.0, True)]  # each of them took $0.00012 at the provider
    own = []
    for number, (cost, is_byok) in enumerate(requests):
        sent = sent_chat_usage(
            prompt_tokens=100, completion_tokens=2, cost=cost, is_byok=is_byok, cost_details=upstream(0.00012)
        )
        with FaultServer(chunked(*GOOD[:-2], event({"choices": [], "usage": sent}), GOOD[-1])) as server:
            store = open_store(f"sqlite:///{tmp_path}/{number}.db")
            [probe], _ = run_once(config({"base_url": server.url}), store)
            store.close()
        own.append(probe)
    activity = sent_activity(
        str(YESTERDAY),
        requests=3,
        prompt_tokens=300,
        completion_tokens=6,
        reasoning_tokens=0,
        cached_tokens=0,
        usage=0.000126,
        byok_usage_inference=0.00024,
    )
    sent, bad = validate(SentActivity, [activity])
    [account_row] = account_of(sent)
    assert bad == 0
    assert account_row.cost_usd == 0.000366
    assert sum(Decimal(str(probe.cost_usd)) for probe in own) == Decimal("0.000366")
    assert account_row.prompt_tokens == sum(probe.prompt_tokens or 0 for probe in own)
    assert account_row.completion_tokens == sum(probe.completion_tokens or 0 for probe in own)


def upstream(usd: float) -> dict[str, float]:
    return {
        "upstream_inference_cost": usd,
        "upstream_inference_prompt_cost": usd / 2,
        "upstream_inference_completions_cost": usd / 2,
    }
