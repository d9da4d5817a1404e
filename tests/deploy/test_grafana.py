"""The dashboard and the rules for Prometheus and Grafana: valid, and of metrics that `/metrics` really has."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

from api.registry import ROUTES
from benchmarks.tools import ROOT
from tests.pages.conftest import filled, store_at

__all__ = ["filled", "store_at"]

FOLDER = ROOT / "deploy" / "grafana"
RULES = FOLDER / "prometheus" / "uptoken.rules.yml"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboards" / "uptoken.json").read_text())


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def run(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_configuration_and_the_rules_and_they_fire_as_expected(promtool: str) -> None:
    run(promtool, "check", "config", "prometheus.yml", folder=RULES.parent)
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES.name, folder=RULES.parent)
    run(promtool, "test", "rules", "uptoken.rules.test.yml", folder=RULES.parent)


def test_every_expression_of_the_dashboard_is_promql(promtool: str, tmp_path: Path) -> None:
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for number, expression in enumerate(expressions()):
        plain = expression.replace("$__range", "1h").replace("$__rate_interval", "5m")
        lines += [f"      - record: panel:number:{number}", f"        expr: {json.dumps(plain)}"]
    (tmp_path / "rules.yml").write_text("\n".join(lines) + "\n")
    run(promtool, "check", "rules", "rules.yml", folder=tmp_path)


def test_every_metric_of_the_dashboard_and_the_rules_exists(filled: Path) -> None:
    answer = TestClient(Starlette(routes=ROUTES)).get("/metrics")
    samples = {sample.name for family in text_string_to_metric_families(answer.text) for sample in family.samples}
    recorded = set(re.findall(r"record: (\S+)", RULES.read_text()))
    for text in (*expressions(), RULES.read_text()):
        named = set(re.findall(r"(?<![\w:$-])(?:target:)?uptoken_\w+(?::\w+)?", text)) - {"uptoken_target"}
        assert named - recorded <= samples


def test_the_dashboards_source_is_the_one_that_is_provisioned() -> None:
    provisioned = (FOLDER / "provisioning" / "datasources" / "uptoken.yml").read_text()
    [uid] = re.findall(r"uid: (\S+)", provisioned)
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {uid}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
