"""The page of alerts: what was sent, what was not, and the dry run over the past."""

from __future__ import annotations

import random
import re
import socket
import time
import tomllib
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from alerts.dispatcher import deliver
from alerts.dry_run import past_messages
from alerts.facts import WatchedTarget
from alerts.history import slot_of
from alerts.messages import Message
from pages.queries import dry_run
from pages.queries.dry_run import Trial
from pages.sections.alert_dry_run import rule_toml
from settings.alerts import AlertRule, Channel
from store import open_store
from store.alert_tables import Alert, Silence
from store.schema import Probe, Row, Run
from tests.alerts.histories import Collector, config, probe_of
from tests.factories import DAY, HOUR, MINUTE, probe, target
from tests.fault_server import FaultServer, answer
from tests.pages.conftest import code, html, now_ms, open_page, text
from tests.pages.odd import HOSTILE, ODD_NAME
from tests.pages.reading import everything_on

CANARY = "sk-canary-Zq83hfKw02LmXv77"


def written(path: Path, rows: list[Row]) -> str:
    url = f"sqlite:///{path}"
    store = open_store(url)
    store.write(rows)
    store.close()
    return url


def month(now: int, outages: dict[int, int], days: int = 31) -> list[Probe]:
    """A probe a minute for a month; `outages`: how many minutes ago one began, and how many slots it has."""
    down = {began - n for began, count in outages.items() for n in range(count)}
    return [probe(now - n * MINUTE, "timeout" if n in down else "ok", target="a") for n in range(days * 1_440)]


def told(page: str) -> str:
    return text(page.partition('role="status">')[2].partition("</div>")[0])


def test_the_dry_run_counts_what_a_rule_would_have_sent_and_follows_its_thresholds(store_at: Path) -> None:
    now = now_ms()
    written(store_at, [target("a", updated_at=now), *month(now, {20_000: 3, 9_000: 1, 500: 6})])
    app = open_page("alerts.py")
    assert not app.exception
    # two outages of at least 2 slots: down and recovered, twice
    assert told(html(app)) == "This rule would have sent 4 messages in the last 30 days."
    app.slider(key="alert_after").set_value(4).run()
    assert told(html(app)) == "This rule would have sent 2 messages in the last 30 days."
    assert "after = 4\n" in code(app, -1)
    app.slider(key="alert_after").set_value(1).run()
    assert told(html(app)).startswith("This rule would have sent 6 messages")
    app = open_page("alerts.py", alert_after="7")
    assert told(html(app)).startswith("This rule would have sent 0 messages")


def test_each_message_leads_to_its_moment(store_at: Path) -> None:
    now = now_ms() - now_ms() % MINUTE
    written(store_at, [target("a", updated_at=now), *month(now, {500: 6}, 2)])
    page = html(open_page("alerts.py"))
    assert told(page) == "This rule would have sent 2 messages since the first probe, 2 d ago."
    rows = re.findall(r'<a href="(model[^"]+)"[^>]*>.*?<td class="left wrap">(.*?)</td>', page, re.S)
    assert [text(said).partition(" ")[2].partition(" ")[0] for _, said in rows] == ["recovered", "is"]
    query = dict(parse_qsl(urlsplit(unescape(rows[1][0])).query))
    assert (query["target"], query["range"]) == ("a", "custom")
    # opened by the second failure, with half an hour around it
    opened = now - 499 * MINUTE
    assert query["from"] == time.strftime("%Y%m%dT%H%MZ", time.gmtime((opened - 30 * MINUTE) / 1_000))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_not_read_would_have_sent_nothing(store_at: Path, seed: int) -> None:
    """The same as with every slot: failures alone and in rows, flapping, gaps, first attempts, other outcomes."""
    now, chance = now_ms(), random.Random(seed)
    probes: list[Probe] = []
    bad, at = 0, now - 3 * DAY
    while at < now:
        if chance.random() < 0.002:
            at += chance.choice([20 * MINUTE, 3 * HOUR])
        if bad == 0 and chance.random() < (0.2 if (now - at) % DAY < HOUR else 0.003):
            bad = chance.choice([1, 1, 2, 3, 8])
        outcome = chance.choice(["timeout", "server_error", "offline", "rate_limited"]) if bad else "ok"
        if bad and chance.random() < 0.3:
            probes.append(probe(at - 5_000, outcome, target="a", stands_for_s=0.0))
        probes.append(probe(at, outcome, target="a"))
        bad = max(0, bad - 1)
        at += MINUTE
    url = written(store_at, [target("a"), *probes])
    for after, clear_after in ((1, 1), (2, 2), (3, 5)):
        found = dry_run.dry_run(url, target("a"), Trial("down", after, clear_after), now)
        rule = AlertRule(("down",), (), (), (), after, clear_after)
        slots = sorted((slot_of(one) for one in probes), key=lambda slot: slot.at)
        expected = past_messages(rule, [WatchedTarget("a", "")], {"a": slots})
        assert found.messages == expected and not found.is_cut
        assert expected, "this history looks at nothing"


def test_of_a_target_that_fails_all_the_time_it_says_how_far_it_looked(store_at: Path) -> None:
    now = now_ms()
    outages = dict.fromkeys(range(1, 43_000, 20), 2)
    written(store_at, [target("a", updated_at=now), *month(now, outages)])
    assert re.search(
        r"since \d+ \w+, [\d:]+; it was bad too often to look further back", told(html(open_page("alerts.py")))
    )


@pytest.mark.parametrize("name", [ODD_NAME.strip(), HOSTILE, "a\x7fb", "😀[x]*"])
def test_the_rule_to_copy_is_toml_about_this_target(name: str) -> None:
    [rule] = tomllib.loads(rule_toml(name, Trial("down", 3, 4)))["alert"]
    assert rule["targets"] == [name]
    assert (rule["after"], rule["clear_after"]) == (3, 4)


def test_without_any_alert_it_says_how_to_begin(filled: Path) -> None:
    app = open_page("alerts.py")
    [channel] = tomllib.loads(code(app))["channel"]
    assert channel == {"name": "ops", "type": "webhook", "url_env": "OPS_WEBHOOK"}
    assert "docs/alerts.md" in app.info[0].value


def test_it_lists_open_and_closed_alerts_failed_deliveries_and_silences(filled: Path) -> None:
    now = now_ms()
    closed = {"closed_at": now - HOUR, "ended_at": now - HOUR - MINUTE, "recovery_sent_at": now - HOUR}
    written(
        filled,
        [
            Alert("Broken", "down", "here", "ops", now - 9 * MINUTE, now - 10 * MINUTE, cause="server_error"),
            Alert("Steady", "down", "here", "ops", now - 2 * HOUR, now - 2 * HOUR, sent_at=now - 2 * HOUR, **closed),
            Alert("*", "budget", "here", "mail", now - HOUR, now - HOUR, held="silenced"),
            Silence("Steady", "here", now - HOUR, now + HOUR),
            Silence("Over", "here", now - 2 * HOUR, now - HOUR),
            Run("alerts", now - MINUTE, "here", now - MINUTE, 0, 0, "ops: not sent: <b>HTTP 500</b>"),
        ],
    )
    page = html(open_page("alerts.py"))
    opened, _, over = page.partition('aria-label="Open alerts"')[2].partition('aria-label="Closed alerts"')
    assert "Broken" in opened and "not taken yet" in opened and "server_error" in opened
    assert "collector" in opened and "held back: silenced" in opened
    assert "Steady" in over and "Broken" not in over.partition("</table>")[0]
    assert "ops: not sent: &lt;b&gt;HTTP 500&lt;/b&gt;" in page
    silenced = page.partition("No new alert meanwhile")[0]
    assert "Steady" in silenced and "Over" not in silenced


class RealDelivery:
    """What a collector sends with."""

    def send(self, channel: Channel, message: Message) -> None:
        deliver(channel, message)


def test_no_key_or_url_of_a_channel_is_on_a_page(store_at: Path) -> None:
    """Deliveries really fail: at a server that says back all that it was sent, and at one that is not there."""

    def echo(connection: socket.socket, request: dict[str, Any]) -> None:
        answer(500, {"error": f"{request}"})(connection, request)

    with FaultServer(echo) as server:
        settings = config(
            "a",
            alerts="""
[[channel]]
name = "hook"
type = "webhook"
url_env = "HOOK_URL"
secret_env = "HOOK_SECRET"
[[channel]]
name = "mail"
type = "smtp"
url_env = "MAIL_URL"
sender = "uptoken@example.com"
recipients = ["ops@example.com"]
""",
            environment={
                "HOOK_URL": f"{server.url}/{CANARY}?token={CANARY}",
                "HOOK_SECRET": f"{CANARY}-signs",
                "MAIL_URL": f"smtp://ops:{CANARY}@127.0.0.1:9",
            },
        )
        store = open_store(f"sqlite:///{store_at}")
        store.write([target("a", location="here")])
        collector = Collector(settings, store, RealDelivery(), now_ms() - 3 * MINUTE)  # type: ignore[arg-type]
        for letter in "UDD":
            collector.record([probe_of("a", letter, collector.now)])
            collector.now += MINUTE
        collector.work(10)
        collector.alerting.close()
        store.close()
    app = open_page("alerts.py")
    assert not app.exception
    page = html(app)
    failed = page.partition('aria-label="Failed deliveries"')[2].partition("</table>")[0]
    assert "hook" in failed and "mail" in failed, "this looks at too little"
    assert "not taken yet" in page
    shown = page + "\n".join(everything_on(app)) + "\n".join(everything_on(open_page("system.py")))
    for secret in (CANARY, CANARY[3:15], str(server.url), "smtp://"):
        assert secret not in shown, secret
