"""The container files, as far as they can be looked at without an engine: what they name exists, and what they start runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.browser import free_port
from settings.password import hash_password
from tests.collectors.cli_fixture import until
from tests.middlebox import served

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = ("collector", "dashboard", "relay")
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
CONFIG = """
[[target]]
name = "a"
base_url = "http://127.0.0.1:9"
model = "m"
[[route]]
model = "m"
targets = ["a"]
[relay]
keys_env = "RELAY_KEYS"
"""


def command(service: str, part: str = "command") -> list[str]:
    """What a service runs, or its health check, with this Python and without the variables of compose."""
    found = COMPOSE["services"][service]
    words = found["healthcheck"]["test"][1:] if part == "health" else found[part]
    words = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in words]
    assert words[0] == "python"
    return [sys.executable, *words[1:]]


def is_well(health: list[str]) -> bool:
    code = subprocess.run(health, timeout=30, capture_output=True).returncode
    assert code in (0, 1)
    return code == 0


@pytest.mark.parametrize("service", OURS)
def test_a_service_may_do_little_and_says_whether_it_is_well(service: str) -> None:
    found: dict[str, Any] = COMPOSE["services"][service]
    assert (found["user"], found["read_only"], found["cap_drop"]) == ("10001:10001", True, ["ALL"])
    assert found["security_opt"] == ["no-new-privileges:true"] and not found.get("privileged")
    assert found["healthcheck"]["test"][0] == "CMD"
    assert {volume.split(":")[0] for volume in found["volumes"]} == {"data", "../targets.toml"}
    assert (
        f"useradd --system --uid {found['user'].split(':')[0]}" in CONTAINERFILE and "USER 10001:10001" in CONTAINERFILE
    )


def test_nothing_but_the_proxy_is_published_to_other_machines() -> None:
    published = {name: each.get("ports", []) for name, each in COMPOSE["services"].items()}
    assert published == {
        "collector": [],
        "dashboard": [],
        "relay": ["127.0.0.1:8088:8088"],
        "proxy": ["80:80", "443:443"],
    }


def test_every_image_and_file_is_named_exactly_and_exists() -> None:
    images = re.findall(r"^FROM (\S+)", CONTAINERFILE, re.M) + [each["image"] for each in COMPOSE["services"].values()]
    assert all(re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", image) for image in images)
    for source in re.findall(r"^COPY (\S+) ", CONTAINERFILE, re.M):
        assert (ROOT / source).exists()
    assert (DEPLOY / "Caddyfile").is_file() and (ROOT / "targets.toml").is_file()
    assert COMPOSE["services"]["proxy"]["volumes"][0].startswith("./Caddyfile:")
    assert (
        f'version = "{COMPOSE["services"]["collector"]["image"].partition(":")[2]}"'
        in (ROOT / "pyproject.toml").read_text()
    )
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".streamlit/secrets.toml", "data/*", "deploy/keys.env", ".git"} <= set(ignored)


def test_the_image_has_every_locked_package_but_the_local_model() -> None:
    (script,) = re.findall(r"sed -E ('[^']+')", CONTAINERFILE)
    locked = (ROOT / "requirements-run.lock").read_text()
    left = subprocess.run(["sed", "-E", *shlex.split(script)], input=locked, capture_output=True, text=True, check=True)
    names = {text.partition("==")[0] for text in re.findall(r"^\S+==", left.stdout, re.M)}
    everything = {text.partition("==")[0] for text in re.findall(r"^\S+==", locked, re.M)}
    assert everything - names == {name for name in everything if name.startswith(("xllamacpp", "gemma3-"))} != set()
    assert left.stdout.count("--hash") > len(names) and "streamlit" in names


@pytest.mark.process
def test_each_service_starts_with_its_command_and_answers_its_health_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "targets.toml").write_text(CONFIG)
    (tmp_path / "password").write_text(hash_password("correct horse battery").line())
    (tmp_path / "password").chmod(0o600)
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("UPTOKEN_CONFIG", str(tmp_path / "targets.toml"))
    monkeypatch.setenv("UPTOKEN_STORE", f"sqlite:///{tmp_path}/a.db")
    monkeypatch.setenv("UPTOKEN_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("RELAY_KEYS", "client=a-key-of-a-client-that-is-long-enough")
    one_tick = [word for word in command("collector") if word not in ("--every", "5")]
    assert subprocess.run(one_tick, timeout=60).returncode == 0
    assert subprocess.run(command("collector", "health"), timeout=60).returncode == 0
    for service, usual, option in (("dashboard", "8501", "--server.port"), ("relay", "8088", "--port")):
        port = free_port()
        health = [word.replace(usual, str(port)) for word in command(service, "health")]
        with served([*command(service), option, str(port)], port, tmp_path / "log", start_s=60):
            until(lambda health=health: is_well(health), 60)  # it listens a little before it is ready
        assert not is_well(health)
