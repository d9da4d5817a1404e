"""What rules are given from the store: catalogs, other collectors, this one's own gap, the usual speed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alerts.facts import CatalogChange, Finding, Retirement
from alerts.gather import collector_facts, usual_ttft, watched
from alerts.rules.capabilities import find_capability_lost
from alerts.rules.identity import find_identity_changed
from alerts.subscriptions import Subscriptions
from stats.identity_changes import IdentityChange
from store import Store
from store.capability_tables import CapabilityTest
from store.identity_tables import IdentityEpoch
from store.schema import Certificate, Model, Run
from tests.alerts.histories import ALERTS, RULE, Collector, Receiver, config, probe_of
from tests.factories import DAY, HOUR, MINUTE, NOON, attempt, probe
from tests.store.stores import STORES, opened

KINDS = '"price_changed", "context_changed", "gone", "retiring", "collector_stopped", "relay_errors", "degraded", "identity_changed", "capability_lost"'
EVERYTHING = ALERTS + f'[[alert]]\non = [{KINDS}]\nto = ["ops"]\n'


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from opened(request.param, tmp_path)


def model(at: int, **more: object) -> Model:
    values = {"usd_per_million_input": "0.1", "context_tokens": 8_192} | more
    return Model("a", "m", at, **values)  # type: ignore[arg-type]


def facts(store: Store, now: int = NOON, *, began_at: int | None = None):
    settings = config("a", alerts=EVERYTHING)
    subscriptions = Subscriptions(settings.alerts, watched(settings))
    return collector_facts(store, settings, "here", subscriptions, now, began_at=began_at)


def test_a_change_of_the_catalog_is_news_for_a_day(store: Store) -> None:
    store.write([model(NOON - 10 * DAY)])
    store.write([model(NOON - HOUR, usd_per_million_input="0.2", context_tokens=4_096)])
    assert set(facts(store).changes) == {
        CatalogChange("a", "price_changed", NOON - HOUR, "price in: 0.1 → 0.2 USD per million tokens"),
        CatalogChange("a", "context_changed", NOON - HOUR, "context: 8,192 → 4,096 tokens"),
    }
    assert facts(store, NOON + DAY).changes == ()


def test_a_certificate_is_the_one_of_the_targets_host_that_expires_first(store: Store) -> None:
    store.write([Certificate("acme.com", "here", NOON - DAY, NOON + 30 * DAY)])
    store.write([Certificate("acme.com:8443", "here", NOON - DAY, NOON + 10 * DAY)])
    base = config("a", "b", alerts=EVERYTHING.replace('"degraded"', '"certificate"'))
    urls = {"a": "https://acme.com/v1", "b": "https://acme.com:8443/v1"}
    settings = replace(base, targets=tuple(replace(one, base_url=urls[one.name]) for one in base.targets))
    subscriptions = Subscriptions(settings.alerts, watched(settings))
    assert collector_facts(store, settings, "here", subscriptions, NOON).certificates == {"acme.com": NOON + 10 * DAY}


def test_another_model_behind_a_target_is_news_for_a_day_after_it_was_noticed(store: Store) -> None:
    """Sent once, with the moment of the first check that differed, though 24 checks had to be made to see it."""
    first = IdentityEpoch("a", "here", NOON - 10 * DAY, "logprobs", NOON - 10 * DAY, ended_at=NOON - 30 * HOUR)
    second = IdentityEpoch("a", "here", NOON - 30 * HOUR, "logprobs", NOON - HOUR, distance=0.62)
    store.write([first, second, replace(first, location="there", ended_at=None)])
    text = "0.62 nat from before, as other weights or another prompt would"
    settings = config("a", alerts=EVERYTHING)
    settings = replace(settings, targets=tuple(replace(one, identity_every_s=3_600.0) for one in settings.targets))
    subscriptions = Subscriptions(settings.alerts, watched(settings))
    seen = collector_facts(store, settings, "here", subscriptions, NOON)
    assert seen.identity_changes == (IdentityChange("a", "here", NOON - 30 * HOUR, NOON - HOUR, text),)
    assert list(find_identity_changed(seen, RULE)) == [
        Finding("identity_changed", "a", True, NOON - HOUR, NOON - 30 * HOUR, cause=text)
    ]
    assert not list(find_identity_changed(replace(seen, location="there"), RULE))
    assert collector_facts(store, settings, "here", subscriptions, NOON + DAY).identity_changes == ()


def test_what_a_check_shows_to_be_lost_is_one_finding_for_a_day(store: Store) -> None:
    def tested(capability: str, *verdicts: str) -> list[CapabilityTest]:
        days = range(len(verdicts) - 1, -1, -1)
        return [
            CapabilityTest("a", NOON - HOUR - n * DAY, "here", capability, verdict, "ok", 1, True)
            for n, verdict in zip(days, verdicts, strict=True)
        ]

    store.write(tested("tools", "holds", "fails", "fails") + tested("seed", "holds", "fails", "fails"))
    store.write(tested("stop", "fails", "holds", "holds"))
    settings = config("a", alerts=EVERYTHING)
    settings = replace(
        settings, targets=tuple(replace(one, capabilities_every_s=DAY / 1_000) for one in settings.targets)
    )
    subscriptions = Subscriptions(settings.alerts, watched(settings))
    seen = collector_facts(store, settings, "here", subscriptions, NOON)
    lost = "{}: fails now, though the catalog claims it"
    cause = f"{lost.format('seed')}; {lost.format('tool calls')}"
    [finding] = find_capability_lost(seen, RULE)
    assert finding == Finding("capability_lost", "a", True, NOON - HOUR, NOON - HOUR - DAY, cause=cause)
    assert not list(find_capability_lost(replace(seen, location="there"), RULE))
    assert collector_facts(store, settings, "here", subscriptions, NOON + DAY).capability_changes == ()


def test_a_model_that_left_its_catalog_is_gone(store: Store) -> None:
    store.write([model(NOON - DAY)])
    store.write([model(NOON - DAY, valid_to=NOON - HOUR)])
    assert [change.kind for change in facts(store).changes] == ["gone"]


def test_retirements_are_the_routers_day_or_a_deprecation_without_one(store: Store) -> None:
    store.write([model(NOON - DAY, more_prices='{"deprecated": true, "list": "genai-prices"}')])
    assert facts(store).retirements == (Retirement("a", None),)
    store.write([model(NOON - HOUR, expires_at=NOON + 5 * DAY)])
    assert facts(store).retirements == (Retirement("a", NOON + 5 * DAY),)


def runs(location: str, *minutes_ago: int) -> list[Run]:
    return [Run("probe", NOON - m * MINUTE, location, NOON - m * MINUTE + 500, 1) for m in minutes_ago]


def test_another_collector_is_seen_and_its_step_is_the_median(store: Store) -> None:
    store.write([*runs("there", 10, 12, 14, 16), *runs("here", 1)])
    [seen] = facts(store).elsewhere
    assert (seen.location, seen.step_s) == ("there", 120.0)


def test_of_several_collectors_the_first_by_name_tells(store: Store) -> None:
    store.write([*runs("a-place", 1, 2, 3, 4), *runs("there", 60, 61, 62, 63)])
    assert facts(store).elsewhere == ()


def test_a_gap_of_its_own_is_looked_at_once(store: Store) -> None:
    store.write(runs("here", 60, 61, 62, 63))
    gap = facts(store, began_at=NOON).stopped
    assert gap is not None and gap.last_at == NOON - 60 * MINUTE + 500
    assert facts(store).stopped is None


def test_a_collector_that_had_stopped_says_so_in_one_message(store: Store) -> None:
    store.write(runs("here", 60, 61, 62, 63))
    collector = Collector(config("a", alerts=EVERYTHING), store, Receiver())
    collector.work(60)
    assert collector.receiver.texts == [
        "The collector is running again (here) after 59.99 min: nothing was probed"
    ] or (collector.receiver.told == [("collector_stopped", "*"), ("collector_stopped>recovered", "*")])
    assert len(collector.receiver.messages) == 1


def test_what_the_relay_saw_in_ten_minutes_is_counted_by_target(store: Store) -> None:
    store.write(
        [
            attempt(NOON - MINUTE, "timeout", target="a", request_id="1"),
            attempt(NOON - 2 * MINUTE, "ok", target="a", request_id="2"),
            attempt(NOON - 11 * MINUTE, "timeout", target="a", request_id="3"),
        ]
    )
    traffic = facts(store).relay
    assert traffic is not None
    assert (traffic["a"].attempts, traffic["a"].failed, traffic["a"].cause) == (2, 1, "timeout")


def test_the_usual_speed_is_the_median_of_this_hour_over_a_week(store: Store) -> None:
    at_noon = [
        probe(NOON - day * DAY + n * MINUTE, target="a", ttft_ms=100.0 * day) for day in range(1, 8) for n in range(3)
    ]
    other_hours = [
        probe(NOON - DAY - HOUR, target="a", ttft_ms=9_000.0),
        probe(NOON - 8 * DAY, target="a", ttft_ms=1.0),
    ]
    store.write([*at_noon, *other_hours, probe(NOON - DAY, target="b", ttft_ms=5.0)])
    usual = usual_ttft(store, ["a", "b"], "here", NOON + 20 * MINUTE)
    assert set(usual) == {"a"} and usual["a"] == pytest.approx(400.0, rel=0.01)  # b has one sample


def test_a_price_that_changed_is_told_once(store: Store) -> None:
    store.write([model(NOON - 10 * DAY)])
    collector = Collector(config("a", alerts=EVERYTHING), store, Receiver())
    collector.minute({"a": "U"})
    changed = model(collector.now, usd_per_million_input="0.2")
    store.write([changed, *collector.alerting.observe([changed, probe_of("a", "U", collector.now)])])
    collector.work(120)
    collector.restart()
    collector.work(120)
    assert [text.split(" since")[0] for text in collector.receiver.texts] == ["a has another price"]


def test_a_single_run_tells_of_the_gap_before_it_though_its_own_row_is_there_by_now(store: Store) -> None:
    store.write(runs("here", 60, 61, 62, 63))
    collector = Collector(config("a", alerts=EVERYTHING), store, Receiver(), single=True)
    store.write([Run("probe", NOON + 1, "here", NOON + 500, 1)])
    collector.now += 600
    collector.work()
    assert collector.receiver.told == [("collector_stopped", "*"), ("collector_stopped>recovered", "*")]
