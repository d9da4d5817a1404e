"""A target's month as a page: its numbers against hand-worked ones and the API's, and who may read it."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api import report_routes
from api.report import Month
from pages.queries import access
from store import open_store
from store.schema import Row
from tests.factories import DAY, HOUR, MINUTE, probe, target
from tests.pages.conftest import now_ms

OCTOBER = Month(2026, 10)


def _month(path: Path) -> None:
    """A probe an hour of October 2026, each standing for an hour: two hours down on the second, with one incident; and
    none on the last ten days, when the collector was off. Each answered one took 100 ms and cost a thousandth of a USD.
    """
    rows: list[Row] = [target("Steady, too", every_s=3_600.0, slo=99.9, updated_at=now_ms())]
    for hour in range(21 * 24):
        at, is_down = OCTOBER.since + hour * HOUR, hour in (30, 31)
        costs = {} if is_down else {"ttft_ms": 100.0, "cost_usd": 0.001, "prompt_tokens": 20, "completion_tokens": 2}
        rows.append(probe(at, "timeout" if is_down else "ok", target="Steady, too", stands_for_s=3_600.0, **costs))
    store = open_store(f"sqlite:///{path}")
    store.write(rows)
    store.close()


def _facts(page: str) -> dict[str, str]:
    rows = re.findall("<tr><th scope=row>(.*?)</th><td>(.*?)</td></tr>", page, re.S)
    return {unescape(label): unescape(said) for label, said in rows}


def test_a_month_is_told_with_its_interval_its_coverage_its_incident_its_objective_and_its_cost(
    store_at: Path, client: TestClient
) -> None:
    _month(store_at)
    answer = client.get("/report/Steady%2C%20too?month=2026-10")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
    facts = _facts(answer.text)
    # 504 of 744 hours were decided, 502 of them up
    assert facts["Uptime"] == "99.60%"
    assert facts["95% confidence interval"] == "98.6 to 99.9% (Wilson, 504 probes)"
    assert facts["Coverage"] == "67.7% of 31 d was decided by a probe"
    assert facts["Down"] == "2 h"
    # 502 of 744 hours, and 742 of them
    assert facts["If all undecided time was down / up"] == "67.5% / 99.73%"
    # a thousandth of 504 hours is 1,814 s, and 7,200 s are 3.9683 times as much
    assert facts["Objective"] == "99.9%: missed"
    assert facts["Error budget of this month"] == "2 h of 30 min used, overspent by 296.83%"
    assert facts["Success rate"] == "99.60% (502 of 504)"
    assert facts["Tokens"] == "10,040 prompt, 1,004 completion"
    assert facts["Cost"] == "$0.5020, and 2 probes at unknown cost"  # what timed out may have been billed
    incidents = answer.text.partition("<h2>Incidents</h2>")[2].partition("</section>")[0]
    assert re.findall("<td>(.*?)</td>", incidents)[:5] == ["2 Oct, 06:00", "2 Oct, 08:00", "2 h", "timeout", "2"]
    assert "1 incident, 2 h in total." in incidents
    ttft = answer.text.partition("Time to first token, ms</td>")[2].partition("</tr>")[0]
    assert re.findall("<td>(.*?)</td>", ttft) == ["100", "100", "100", "100", "100", "502"]


def test_its_numbers_are_those_of_the_api(store_at: Path, client: TestClient) -> None:
    _month(store_at)
    span = {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}
    summary = client.get("/api/v1/targets/Steady%2C%20too/summary", params=span).json()
    facts = _facts(client.get("/report/Steady%2C%20too?month=2026-10").text)
    assert facts["Uptime"] == f"{summary['uptime']['value']:.2%}"
    assert facts["Coverage"].startswith(f"{summary['uptime']['coverage']:.1%} ")
    assert facts["Cost"].startswith(f"${summary['cost_usd']:.4f}")


def test_below_half_coverage_a_month_has_no_number_and_says_why(store_at: Path, client: TestClient) -> None:
    store = open_store(f"sqlite:///{store_at}")
    store.write(
        [target("Rare", slo=99.0), probe(OCTOBER.since, target="Rare"), probe(OCTOBER.since + DAY, target="Rare")]
    )
    store.close()
    facts = _facts(client.get("/report/Rare?month=2026-10").text)
    assert facts["Uptime"] == "not enough data" and facts["Objective"] == "99%: not enough data"
    assert facts["95% confidence interval"] == "coverage is 0.00%, below 50%"


def test_a_page_needs_no_script_is_escaped_and_leads_to_its_neighbours(
    store_at: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_routes, "now_ms", lambda: OCTOBER.until + 25 * DAY)
    _month(store_at)
    store = open_store(f"sqlite:///{store_at}")
    error = "<script>alert(1)</script>"
    store.write([probe(OCTOBER.since + 100 * HOUR + MINUTE, "timeout", target="Steady, too", error=error)])
    store.close()
    answer = client.get("/report/Steady%2C%20too?month=2026-11")
    assert "the month is not over" in answer.text
    assert 'href="Steady%2C%20too?month=2026-10"' in answer.text and "2026-12" not in answer.text
    before = client.get("/report/Steady%2C%20too?month=2026-10")
    assert "<script" not in before.text and "2026-09" not in before.text  # it was not probed then
    assert before.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("month=October", 400, "month='October' is not a month: write it as 2026-11"),
        ("month=2099-12", 400, "2099-12 is in the future (UTC)"),
        ("location=moon", 404, "is not probed from 'moon'"),
        ("day=1", 400, "there is no parameter 'day' here: it takes month, location, ticket"),
    ],
)
def test_a_query_that_is_none_is_answered_in_a_sentence(
    store_at: Path, client: TestClient, query: str, status: int, said: str
) -> None:
    _month(store_at)
    answer = client.get(f"/report/Steady%2C%20too?{query}")
    assert answer.status_code == status and said in answer.json()["error"]["message"]


def test_behind_a_login_a_link_of_the_model_page_or_a_token_opens_it_and_nothing_else(
    store_at: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _month(store_at)
    monkeypatch.setattr(access, "guard", lambda: "login")
    monkeypatch.setenv(access.TOKENS, "a-token")
    monkeypatch.setenv(access.PUBLIC_FLAG, "yes")  # opens states, and no report
    link = report_routes.link("Steady, too", OCTOBER)
    assert client.get(f"/{link}").status_code == 200
    assert client.get(f"/{link.replace('2026-10', '2026-11')}").status_code == 401
    assert client.get(f"/{link.replace('Steady', 'Other')}").status_code == 401
    assert client.get("/report/Steady%2C%20too").status_code == 401
    assert client.get("/report/Steady%2C%20too", headers={"Authorization": "Bearer a-token"}).status_code == 200
    ticket = link.partition("ticket=")[2]
    assert client.get(f"/api/v1/targets?ticket={ticket}").status_code == 401


@pytest.mark.parametrize(("month", "months", "said"), [(OCTOBER, 3, "2027-01"), (OCTOBER, -10, "2025-12")])
def test_months_are_counted_over_the_turn_of_the_year(month: Month, months: int, said: str) -> None:
    assert str(month.plus(months)) == said
