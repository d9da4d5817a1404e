"""What pages say on hover of an outcome; a reasoning model's wait, the gaps between chunks, and a disabled target."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from store import open_store
from store.schema import Row
from tests.factories import HOUR, MINUTE, probe, target
from tests.pages.conftest import code, frame, html, metric, now_ms, open_page, text

FAILURE = "HTTP 503, <b>overloaded</b>"


def _filled(path: Path) -> None:
    """One that reasons, with a new fingerprint; one that is down; one that was empty and is limited; one disabled."""
    now = now_ms() - 15_000
    rows: list[Row] = [
        target("Thinker", updated_at=now, answer_check="echo"),
        target("Down", updated_at=now),
        target("Limited", updated_at=now),
        target("Off", updated_at=now, state="disabled"),
    ]
    for n in range(120):
        at = now - n * MINUTE
        fingerprint = "fp_new" if n < 5 else "fp_old"
        rows.append(probe(at, target="Thinker", first_answer_ms=900.0 + n, system_fingerprint=fingerprint))
        failed: dict[str, Any] = {"outcome": "server_error", "http_status": 503, "error": FAILURE} if n < 4 else {}
        rows.append(probe(at, target="Down", **failed))
        rows.append(probe(at - 2 * HOUR, target="Off"))
        if n % 30 == 0:
            paced = {"itl_p50_ms": 16.0, "itl_p99_ms": 41.0 + n / 30, "first_answer_ms": 1_000.0}
            rows.append(probe(at + 1, target="Thinker", profile="throughput", **paced))
    rows.append(probe(now, "rate_limited", target="Limited", http_status=429, error="HTTP 429, slow down"))
    empty = {"http_status": 200, "prompt_tokens": 20, "completion_tokens": 0, "finish_reason": "stop"}
    rows.append(probe(now - MINUTE, "empty", target="Limited", **(empty | {"error": "no token of any kind"})))
    store = open_store(f"sqlite:///{path}")
    store.write(rows)
    store.close()


def _tips(page: str, around: str) -> list[str]:
    """What buttons with this text say on hover, and to a screen reader."""
    found = re.findall(r'aria-description="([^"]*)" data-tip="([^"]*)">(.*?)</button>', page, re.S)
    assert all(described == tip for described, tip, _ in found)
    return [unescape(tip) for _, tip, inner in found if around in text(inner)]


def test_each_of_the_last_probes_says_what_was_seen(store_at: Path) -> None:
    _filled(store_at)
    last = html(open_page("model.py", target="Limited", tab="Reliability")).partition("Last probes")[2]
    assert _tips(last, "empty") == ["HTTP 200, finish reason stop; no token of any kind; 20 tokens in, 0 out"]
    assert _tips(last, "rate limited") == ["HTTP 429; slow down"]


@pytest.mark.parametrize("page", ["", "model.py"])
def test_a_targets_state_says_what_its_newest_probe_saw(store_at: Path, page: str) -> None:
    _filled(store_at)
    shown = html(open_page(page, target="Limited"))
    assert "Newest probe: rate limited. HTTP 429; slow down" in _tips(shown, "◆ rate limited")


def test_an_incident_a_bar_and_a_mark_on_a_chart_say_what_was_seen(store_at: Path) -> None:
    _filled(store_at)
    app = open_page("model.py", target="Down")
    page = html(app)
    assert _tips(page, "still down") == ["4 probes failed. First: server error. HTTP 503; <b>overloaded</b>"]
    bars = [unescape(tip) for tip in re.findall(r'<i class="down"[^>]*data-tip="([^"]*)"', page)]
    assert bars and all(bar.endswith("server error; first error: HTTP 503, <b>overloaded</b>") for bar in bars)
    chart = json.loads(app.get("plotly_chart")[0].proto.spec)
    [failures] = [trace for trace in chart["data"] if trace.get("name") == "failure"]
    assert all("server error<br>" in said for said in failures["text"])
    assert all(said.endswith("HTTP 503, &lt;b>overloaded&lt;/b>") for said in failures["text"])


def test_from_roll_ups_an_incident_says_the_same(store_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.queries.target_history.RAW_AT_MOST", 0)
    _filled(store_at)
    page = html(open_page("model.py", target="Down", range="30 d"))
    assert _tips(page, "still down") == ["4 probes failed. First: server error. HTTP 503; <b>overloaded</b>"]


def test_others_are_not_told_how_a_target_failed(store_at: Path) -> None:
    _filled(store_at)
    page = frame(open_page("public_status.py"))
    assert 'class="p" d="M' in page or 'class="d" d="M' in page
    assert "overloaded" not in page and "server error" not in page and "HTTP" not in page


@pytest.mark.parametrize(("raw_at_most", "newest"), [(5_000, 1_000), (0, 1_000), (0, 124)])
def test_a_reasoning_model_has_its_wait_for_the_answer_beside_ttft(
    store_at: Path, monkeypatch: pytest.MonkeyPatch, raw_at_most: int, newest: int
) -> None:
    monkeypatch.setattr("pages.queries.target_history.RAW_AT_MOST", raw_at_most)
    monkeypatch.setattr("pages.queries.target_history.NEWEST", newest)  # it has 124 probes: there may be more
    _filled(store_at)
    app = open_page("model.py", target="Thinker")
    note = ", of the newest 124 in this range" if newest == 124 else ""
    # of 900 to 1,019: the middle is 959.5, and 1,013.05 the 95th percentile
    expected = f"960 / 1,013 ms | p50 and p95, 120 probes{note}"
    assert metric(app, "Time to first answer token") == expected
    assert metric(app, "Correct answers").endswith("120 of 120 fresh numbers to repeat")
    last = html(open_page("model.py", target="Thinker", tab="Reliability"))
    assert "First answer</button></th>" in last and "<td>900 ms</td>" in last
    page = html(open_page("model.py", target="Thinker", metric="Output speed"))
    line = text(page.partition(">Inter-token latency</button>")[2].partition("</div>")[0])
    assert line == f"p50 16 ms, p99 42.5 ms · 4 throughput probes{note}"  # the median of 41, 42, 43, 44
    other = html(open_page("model.py", target="Down", tab="Reliability"))
    assert 'data-label="Time to first answer token"' not in other and "First answer</button></th>" not in other


def test_a_comparison_has_the_wait_for_the_answer_and_the_gaps_where_any_is_known(store_at: Path) -> None:
    _filled(store_at)
    app = open_page("compare.py")
    app.multiselect(key="with").set_value(["Down", "Thinker"]).run()
    page = html(app)
    row = page.partition(">Time to first answer token, p50 / p95<")[2].partition("</tr>")[0]
    assert re.findall("<td>(.*?)</td>", row) == ["–", '960 / 1,013 ms<span class="more">120 probes</span>']
    assert "16 / 42.5 ms" in page
    app.multiselect(key="with").set_value(["Down", "Limited"]).run()
    assert ">Time to first answer token, p50 / p95<" not in html(app)


def test_a_new_fingerprint_is_named_where_it_began(store_at: Path) -> None:
    _filled(store_at)
    page = html(open_page("model.py", target="Thinker", tab="Reliability"))
    assert _tips(page, "new fingerprint") == ["system_fingerprint fp_new; previous probe: fp_old"]


def test_a_disabled_target_is_last_and_grey_and_keeps_its_history(store_at: Path) -> None:
    _filled(store_at)
    page = html(open_page())
    assert re.findall(r'data-target="(\w+)"', page)[-1] == "Off"
    row = page.partition('class="u-row off"')[2]
    assert "○ disabled" in row and "no probe since" not in row and '<i class="up"' in row
    app = open_page("model.py", target="Off")
    assert "Its configuration has `enabled = false`" in app.info[0].value
    assert len(app.get("plotly_chart")) == 1
    assert "○ disabled" in html(app)


def test_the_sample_code_is_what_the_targets_row_says(store_at: Path) -> None:
    store, now = open_store(f"sqlite:///{store_at}"), now_ms()
    called = {"api": "anthropic", "api_key_env": "A_KEY", "params": '{"beta": "true"}'}
    store.write([target("Claude", updated_at=now, model="claude", base_url="https://a.example/v1", **called)])
    store.write([probe(now - MINUTE, target="Claude")])
    store.close()
    app = open_page("model.py", target="Claude", tab="API")
    assert "from anthropic import Anthropic" in code(app)
    app.get("button_group")[-1].set_value("curl").run()
    assert not app.exception
    assert code(app).startswith("curl 'https://a.example/v1/messages?beta=true'")
    assert "x-api-key: $A_KEY" in code(app)
