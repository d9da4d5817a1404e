"""The dry run of each kind of alert: as the collector's own evaluation of the whole history, and by hand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from alerts.dry_run import past_messages
from alerts.facts import WatchedTarget
from alerts.history import slot_of
from pages.queries import dry_run_slow
from pages.queries.dry_run import KINDS, DryRun, Trial, dry_run
from settings.alerts import KINDS as ALL_KINDS
from settings.alerts import AlertRule
from store import open_store
from store.capability_tables import CapabilityTest
from store.identity_tables import IdentityEpoch
from store.schema import Budget, Certificate, Probe, Row, Run, Target
from tests.factories import DAY, HOUR, MINUTE, NOON, model, probe, target
from tests.pages.conftest import html, now_ms, open_page, text

pytestmark = pytest.mark.thorough

NOW = NOON + 5 * MINUTE + 1
A = target("a", base_url="https://acme.example/v1", model="m")
OF_A = {"source": "a", "model": "m"}


def filled_with(path: Path, *rows: Row) -> str:
    url = f"sqlite:///{path}"
    store = open_store(url)
    store.write([A, *rows])
    store.close()
    return url


def told(url: str, trial: Trial, what: Target = A) -> list[tuple[float, str]]:
    """How many days ago each message would have been sent, and its text."""
    return [(round((NOW - one.at) / DAY, 2), one.text) for one in dry_run(url, what, trial, NOW).messages]


def slow_history(seed: int, now: int) -> list[Probe]:
    """Four days of half minutes: slow slots alone, in rows and in clusters, gaps, failures and wrong answers."""
    chance, probes, at = random.Random(seed), [], now - 4 * DAY
    slow = wrong = down = 0
    while at < now:
        if chance.random() < 0.0005:
            at += chance.choice([20 * MINUTE, 3 * HOUR])
        slow = slow or (chance.random() < 0.002) * chance.choice([1, 2, 3, 12, 40])
        wrong = wrong or (chance.random() < 0.002) * chance.choice([1, 2, 3, 8])
        down = down or (chance.random() < 0.001) * chance.choice([1, 2, 5])
        ttft_ms = chance.lognormvariate(4.6, 0.3) * (chance.choice([2, 5, 12]) if slow else 1)
        measured = {} if down else {"ttft_ms": ttft_ms, "answer_ok": not wrong if chance.random() < 0.9 else None}
        probes.append(probe(at, "timeout" if down else "ok", target="a", stands_for_s=30.0, **measured))
        slow, wrong, down = max(0, slow - 1), max(0, wrong - 1), max(0, down - 1)
        at += 30_000
    return probes


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Probe]]:
    """A store with that history, and the history."""
    probes = slow_history(5, NOW)
    return filled_with(tmp_path_factory.mktemp("slow") / "slow.db", *probes), probes


@pytest.mark.parametrize(
    "trial",
    [
        Trial("degraded", 2, 2, ttft_max_s=0.8),
        Trial("degraded", 4, 3, ttft_max_s=0.4),
        Trial("degraded", 1, 1),
        Trial("wrong_answers", 2, 2),
        Trial("wrong_answers", 3, 1),
        Trial("slo_burn", slo=99.9),
    ],
    ids=str,
)
def test_what_is_left_out_would_have_sent_nothing(slow: tuple[str, list[Probe]], trial: Trial) -> None:
    url, probes = slow
    every = Target(**{name: getattr(A, name) for name in A.__slots__} | {"every_s": 30.0})
    found = dry_run(url, every, trial, NOW)
    limit_ms = None if trial.ttft_max_s is None else trial.ttft_max_s * 1_000
    watched = WatchedTarget("a", "", 30.0, ttft_max_ms=limit_ms, slo=trial.slo)
    usual = dry_run_slow.usual_by_hour(url, every, NOW - NOW % MINUTE)
    slots = [slot_of(one) for one in probes if one.started_at < NOW - NOW % MINUTE]
    rule = AlertRule((trial.kind,), (), (), (), trial.after, trial.clear_after)
    expected = past_messages(rule, [watched], {"a": slots}, lambda _, at: usual.get(at - at % HOUR))
    assert found.messages == expected
    assert len(expected) > 5 and not found.is_cut, "this history looks at nothing"


def test_changes_of_the_catalog_are_told_when_they_came(store_at: Path) -> None:
    versions = [
        model(NOW - 60 * DAY, **OF_A, usd_per_million_input="1", context_tokens=8_192, valid_to=NOW - 20 * DAY),
        model(NOW - 20 * DAY, **OF_A, usd_per_million_input="2", context_tokens=8_192, valid_to=NOW - 9 * DAY),
        model(NOW - 9 * DAY, **OF_A, usd_per_million_input="2", context_tokens=4_096, valid_to=NOW - 3 * DAY),
    ]
    url = filled_with(store_at, *versions)
    assert [days for days, _ in told(url, Trial("price_changed"))] == [20]
    assert told(url, Trial("context_changed")) == [
        (9, "a has another context size since 12:05 UTC: context: 8,192 → 4,096 tokens")
    ]
    assert [days for days, _ in told(url, Trial("gone"))] == [3]


def test_another_identity_is_told_when_its_check_showed_it(store_at: Path) -> None:
    changed = NOW - 5 * DAY
    url = filled_with(
        store_at,
        IdentityEpoch("a", "here", NOW - 20 * DAY, "logprobs", NOW - 20 * DAY, ended_at=changed),
        IdentityEpoch("a", "here", changed, "logprobs", changed + DAY, distance=0.62),
        IdentityEpoch("a", "there", NOW - 9 * DAY, "logprobs", NOW - 9 * DAY),
    )
    [(days, said)] = told(url, Trial("identity_changed"))
    assert days == 4 and "0.62 nat from before" in said


def test_a_lost_capability_is_told_when_the_second_test_showed_it(store_at: Path) -> None:
    days = {4: "holds", 3: "fails", 2: "fails", 1: "fails"}
    url = filled_with(
        store_at,
        *(CapabilityTest("a", NOW - n * DAY, "here", "tools", verdict, "ok", 1) for n, verdict in days.items()),
    )
    [(days_ago, said)] = told(url, Trial("capability_lost"))
    assert days_ago == 2 and "tool calls: fails now" in said


def test_a_retirement_is_told_when_it_is_stated_and_7_and_1_days_before(store_at: Path) -> None:
    last_day = NOON - NOON % DAY - 2 * DAY
    url = filled_with(store_at, model(NOW - 12 * DAY, **OF_A, expires_at=last_day))
    since_midnight = round((NOW - (NOON - NOON % DAY)) / DAY, 2)
    assert [days for days, _ in told(url, Trial("retiring"))] == [12, 9 + since_midnight, 3 + since_midnight]


def test_a_certificate_a_budget_and_a_stopped_collector_are_told(store_at: Path) -> None:
    midnight = NOON - NOON % DAY
    rows: list[Row] = [Certificate("acme.example", "here", NOW, NOW + 10 * DAY)]
    rows += [
        Budget("here", midnight - n * DAY, usd, 1.0, 0, 0, midnight - n * DAY + HOUR)
        for n, usd in ((3, 0.95), (2, 0.2))
    ]
    rows += [Run("probe", NOW - n * MINUTE, "here", NOW - n * MINUTE + 500, 1) for n in range(600) if not 100 < n < 161]
    url = filled_with(store_at, *rows)
    assert [days for days, _ in told(url, Trial("certificate"))] == [4]
    # 0.95 of 1 USD at 01:00; over with the next day
    assert told(url, Trial("budget"))[0][1].startswith(
        "The day's budget is nearly used up (here): $0.9500 of today's $1"
    )
    assert [days for days, _ in told(url, Trial("budget"))] == [3.46, 2.5]
    [(days, said)] = told(url, Trial("collector_stopped"))
    assert days == round(100 * MINUTE / DAY, 2)
    assert said == "The collector is running again (here) after 61 min: nothing was probed"


def test_every_kind_can_be_chosen_or_the_page_says_why_not(store_at: Path) -> None:
    assert set(ALL_KINDS) - set(KINDS) == {"recovered", "relay_errors"}
    now = now_ms()
    filled_with(store_at, *(probe(now - n * MINUTE, target="a") for n in range(30)))
    app = open_page("alerts.py")
    for kind in KINDS:
        app.selectbox(key="alert_kind").set_value(kind).run()
        assert not app.exception, kind
        assert "This rule would have sent" in text(html(app)), kind
    assert "`relay_errors` has no dry run" in app.caption[-1].value


def test_a_limit_that_is_dragged_changes_the_count(store_at: Path) -> None:
    probes = [probe(NOW - n * MINUTE, target="a", ttft_ms=1_500.0 if 100 < n <= 104 else 300.0) for n in range(1, 600)]
    url = filled_with(store_at, *probes)

    def run(limit_s: float, after: int = 2) -> DryRun:
        return dry_run(url, A, Trial("degraded", after, 2, ttft_max_s=limit_s), NOW)

    assert [len(run(limit_s).messages) for limit_s in (1.0, 1.4, 1.6)] == [2, 2, 0]
    assert [len(run(1.0, after).messages) for after in (4, 5)] == [2, 0]
