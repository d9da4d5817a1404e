"""What a rule would have sent over a history."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from alerts.dry_run import messages_from_facts, messages_from_findings, past_messages
from alerts.facts import CollectorFacts, DayBudget, TargetFacts, WatchedTarget
from alerts.messages import MOST_EVENTS
from alerts.rules.slo_burn import burns_over_time, find_slo_burn
from settings.alerts import AlertRule
from stats.identity_changes import IdentityChange
from tests.alerts.histories import RULE, TARGET, slots
from tests.factories import DAY, MINUTE, NOON

HISTORY = "UUDDDUUU" + "UDUU" + "DDDDUU"


def test_a_rule_says_what_it_would_have_sent_and_when() -> None:
    sent = past_messages(RULE, [TARGET], {"a": slots(HISTORY)})
    assert [((one.at - NOON) // MINUTE, one.text) for one in sent] == [
        (3, "a is down since 12:02 UTC: timeout"),
        (6, "a recovered after 3 min: timeout"),
        (13, "a is down since 12:12 UTC: timeout"),
        (17, "a recovered after 4 min: timeout"),
    ]


def test_a_higher_threshold_sends_less() -> None:
    def count(after: int) -> int:
        return len(past_messages(replace(RULE, after=after), [TARGET], {"a": slots(HISTORY)}))

    assert [count(after) for after in (2, 3, 4, 5)] == [4, 4, 2, 0]


def test_what_happens_at_once_is_one_message() -> None:
    targets = [TARGET, WatchedTarget("b", "acme.com")]
    sent = past_messages(RULE, targets, {"a": slots("UDD"), "b": slots("UDD")})
    assert [(one.text, one.events) for one in sent] == [("acme.com: 2 of 2 targets down (timeout): a, b", 2)]


def test_a_month_without_probes_sends_nothing() -> None:
    assert past_messages(RULE, [TARGET], {}) == []


@pytest.mark.parametrize("slo", [99.5, 99.0, 95.0])
def test_burns_over_a_month_are_what_the_rule_says_after_each_slot(slo: float) -> None:
    chance = random.Random(round(slo * 10))
    letters, bad = "", False
    for _ in range(2_000):
        bad = chance.random() < (0.8 if bad else 0.01)
        letters += "." if chance.random() < 0.02 else chance.choice("DDDd") if bad else chance.choice("UUUUR")
        if chance.random() < 0.002:
            letters += "." * chance.choice((10, 90, 400))
    target = replace(TARGET, slo=slo)
    listed, said, holds = slots(letters), [], False
    for place in range(1, len(listed) + 1):
        found = find_slo_burn(TargetFacts(target, listed[max(0, place - 400) : place]), RULE)
        if found is not None and found.holds is not holds:
            holds = found.holds
            said.append(found)
    assert list(burns_over_time("a", listed, slo)) == said
    assert len(said) > 1, "this history looks at nothing"


def test_a_finding_is_told_as_the_evaluation_would_tell_it() -> None:
    rule, target = AlertRule(("slo_burn",), (), (), ()), replace(TARGET, slo=99.5)
    # 3 of 63 slots are 9.5 times 0.5%; the last failure, in minute 65, leaves the range of 30 minutes in minute 95
    found = burns_over_time("a", slots("U" * 60 + "DDDDDD" + "U" * 400), 99.5)
    assert [(one.at - NOON) // MINUTE for one in messages_from_findings(rule, target, found)] == [62, 95]


def test_what_is_known_at_moments_is_told_as_the_collector_would_tell_it() -> None:
    rule = AlertRule(("budget",), (), (), ())
    days = [
        CollectorFacts(NOON + n * DAY, "here", budget=DayBudget(NOON + n * DAY, usd, 1.0, 0, 0))
        for n, usd in enumerate((0.5, 0.95, 0.2, 0.9))
    ]
    assert [(one.at - NOON) // DAY for one in messages_from_facts(rule, [TARGET], days)] == [1, 2, 3]


def test_more_than_one_message_may_hold_are_all_told_when_they_were_found() -> None:
    changes = tuple(IdentityChange(f"t{n}", "here", NOON, NOON, "other weights") for n in range(MOST_EVENTS + 2))
    targets = [WatchedTarget(change.target, "acme.com") for change in changes]
    facts = [CollectorFacts(NOON + MINUTE, "here", identity_changes=changes)]
    sent = messages_from_facts(AlertRule(("identity_changed",), (), (), ()), targets, facts)
    assert [(one.at, one.events) for one in sent] == [(NOON + MINUTE, MOST_EVENTS + 2)]
