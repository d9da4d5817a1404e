"""The events on the overview and on a model's page: which there are, filtered, and linked to their moment."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from pages.queries import events
from pages.queries.time_range import TimeRange
from stats.events import Event, merge_events
from store import open_store
from store.alert_tables import Alert
from store.schema import Row, Run
from tests.factories import DAY, HOUR, MINUTE, NOON, model, probe, target
from tests.pages.conftest import html, now_ms, open_page, text
from tests.store.stores import STORES, opened


@pytest.fixture
def eventful(store_at: Path) -> int:
    """Two targets over two days; when it is (milliseconds UTC). One was down for ten minutes, 3 h ago, answers with
    another model and three times slower for 12 h, got dearer 6 h ago, and nothing was probed from 26 h to 24 h ago.
    """
    now = now_ms() - now_ms() % MINUTE
    written: list[Row] = [
        target("Steady", updated_at=now),
        target("Troubled", updated_at=now, model="acme/troubled"),
        model(now - 2 * DAY, model="acme/troubled", valid_to=now - 6 * HOUR, usd_per_million_input="1"),
        model(now - 6 * HOUR, model="acme/troubled", usd_per_million_input="1.5"),
        Run("probe", now, "here", now, 3),
    ]
    for n in range(2 * 24 * 60):
        if not 24 * 60 <= n < 26 * 60:
            at = now - n * MINUTE
            is_down, is_new = 180 <= n < 190, n < 12 * 60
            written.append(probe(at, target="Steady", ttft_ms=100.0 + n % 7))
            values = {"served_model": "new" if is_new else "old", "ttft_ms": (300.0 if is_new else 100.0) + n % 7}
            written.append(probe(at, "timeout" if is_down else "ok", target="Troubled", **({} if is_down else values)))
    store = open_store(f"sqlite:///{store_at}")
    store.write(written)
    store.close()
    return now


def listed(page: str) -> list[tuple[str, str, str]]:
    """Kind, target and text of each event in the card."""
    body = page.partition('<th class="left">When</th>')[2].partition("</table>")[0]
    rows = [re.findall("<td[^>]*>(.*?)</td>", row, re.S) for row in re.findall("<tr>(.*?)</tr>", body, re.S)]
    return [(text(row[1]).lstrip("▼●◆○ "), text(row[2]), text(row[-1])) for row in rows]


def test_the_overview_lists_what_happened_to_all_targets_newest_first(eventful: int) -> None:
    app = open_page(range="7 d")
    assert not app.exception
    found = listed(html(app))
    kinds = [kind for kind, _, _ in found]
    assert ("recovered", "Troubledhere", "after 10 min") in found
    assert ("down", "Troubledhere", "timeout for 10 min") in found
    assert ("price", "Troubled", "price in from 1 to 1.5 USD per million tokens") in found
    assert ("served model", "Troubledhere", "from old to new") in found
    assert kinds.index("recovered") < kinds.index("down") < kinds.index("price") < kinds.index("served model")
    assert [row for row in found if row[0] == "gap"] == [("gap", "here", "no probes for 2 h")]
    assert not any("Steady" in name for _, name, _ in found)


@pytest.mark.parametrize("engine", STORES)
def test_both_engines_tell_of_alerts_whose_recovery_is_in_the_range_and_of_one_target_alone(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_at, over = NOON - 2 * DAY, NOON - HOUR
    down = Alert("a", "down", "here", "ops", opened_at, opened_at, over, over, None, "timeout", sent_at=opened_at)
    with contextmanager(opened)(engine, tmp_path) as store:
        store.write([replace(down, recovery_sent_at=over + MINUTE), replace(down, target="b", closed_at=None)])
        monkeypatch.setattr(events.cache, "store", lambda _url: store)
        found = merge_events([events.alert_events("any", ("a",), NOON - DAY, NOON)], NOON - DAY, NOON)
        assert found == [Event("alert", over + MINUTE, "a", "here", "sent to ops: down is over")]
        everything = events.alert_events("any", (), NOON - 3 * DAY, NOON)
        assert sorted((event.target or "", event.at) for event in everything) == [
            ("a", opened_at),
            ("a", over + MINUTE),
            ("b", opened_at),
        ]


def test_alerts_and_degradations_are_in_the_list_of_the_overview_and_of_the_model(
    eventful: int, store_at: Path
) -> None:
    began = eventful - 2 * HOUR
    alert = Alert("Steady", "degraded", "here", "ops", began, began, cause="too slow", sent_at=began + MINUTE)
    store = open_store(f"sqlite:///{store_at}")
    store.write([alert])
    store.close()
    for page in (
        html(open_page(range="7 d")),
        html(open_page("model.py", target="Steady", range="7 d", tab="Reliability")),
    ):
        kinds = [(kind.lstrip("▲ "), what) for kind, *_, what in listed(page)]
        assert ("alert", "sent to ops: degraded, too slow") in kinds
        assert ("degraded", "too slow not over") in kinds


def test_a_filter_leaves_kinds_and_targets(eventful: int) -> None:
    app = open_page(range="7 d")
    app.multiselect(key="event_kinds").set_value(["down", "price"]).run()
    assert [kind for kind, _, _ in listed(html(app))] == ["down", "price"]
    app.multiselect(key="event_targets").set_value(["Steady"]).run()
    assert "No events in this range." in html(app)


def test_a_model_has_its_own_events_and_each_leads_to_its_moment(eventful: int) -> None:
    app = open_page("model.py", target="Troubled", range="7 d", tab="Reliability")
    assert not app.exception
    card = html(app).partition('<th class="left">When</th>')[2].partition("</table>")[0]
    links = [dict(parse_qsl(urlsplit(unescape(link)).query)) for link in re.findall('href="(model[^"]+)"', card)]
    assert links and all((link["target"], link["range"]) == ("Troubled", "custom") for link in links)
    down = next(row for row in re.findall("<tr>(.*?)</tr>", card, re.S) if "▼" in row)
    link = dict(parse_qsl(urlsplit(unescape(re.findall('href="(model[^"]+)"', down)[0])).query))
    shown = open_page("model.py", **link, tab="Reliability")
    assert not shown.exception
    # ten minutes down with half an hour around them, in whole minutes: 70 and the one in which it ends
    assert "1 incident, 10 min in total" in html(shown)
    assert ("down", "Troubled", "timeout for 10 min")[0] in [kind for kind, *_ in listed(html(shown))]


def test_a_change_point_is_an_event_of_a_model(eventful: int, store_at: Path) -> None:
    found = events.target_events(
        f"sqlite:///{store_at}",
        target("Troubled", model="acme/troubled"),
        TimeRange(eventful - 2 * DAY, eventful, True, ""),
    )
    [shift] = [event for event in found if event.kind == "change_point" and event.text.startswith("TTFT")]
    assert re.fullmatch(r"TTFT p50 from 10\d to 30\d ms", shift.text)
    assert abs(shift.at - (eventful - 12 * HOUR)) <= HOUR


def test_the_served_model_changed_to_the_very_probe(eventful: int, store_at: Path) -> None:
    found = events.target_events(
        f"sqlite:///{store_at}",
        target("Troubled", model="acme/troubled"),
        TimeRange(eventful - 2 * DAY, eventful, True, ""),
    )
    served = [event for event in found if event.kind == "served_model"]
    assert served == [Event("served_model", eventful - (12 * 60 - 1) * MINUTE, "Troubled", "here", "from old to new")]


def test_what_responses_declare_is_listed_where_it_changed(eventful: int, store_at: Path) -> None:
    """A hidden system prompt 20 hours ago, and another build 10 hours ago."""
    store, made = open_store(f"sqlite:///{store_at}"), target("Declaring", model="acme/declaring")
    store.write(
        [
            probe(
                eventful - n * MINUTE,
                target="Declaring",
                prompt_tokens=45 if n < 20 * 60 else 25,
                system_fingerprint="b2" if n < 10 * 60 else "b1",
                provider=f"P{n % 2}",
            )
            for n in range(2 * 24 * 60)
        ]
    )
    store.close()
    window = TimeRange(eventful - 2 * DAY, eventful, True, "")
    found = [
        (event.at, event.text)
        for event in events.target_events(f"sqlite:///{store_at}", made, window)
        if event.kind == "declared"
    ]
    assert found == [
        (eventful - (10 * 60 - 1) * MINUTE, "fingerprint from b1 to b2"),
        (eventful - (20 * 60 - 1) * MINUTE, "prompt tokens from 25 to 45"),
    ]


def test_of_many_targets_the_overview_looks_for_no_change_points_and_says_so(
    eventful: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_SEARCHED", 1)
    page = html(open_page(range="7 d"))
    assert "change points and served models are on each target&#39;s page" in page
    assert {kind for kind, _, _ in listed(page)} == {"down", "recovered", "price", "gap"}
