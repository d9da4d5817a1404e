"""A key is put where none belongs, in each place there is; whatever is said, shown or kept then is searched for it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from settings.sections import SECTIONS, SEVERAL
from tests.collectors.cli_fixture import ROOT, CliFixture
from tests.fault_server import GOOD, FaultServer, chunked
from tests.pages.conftest import open_page

CANARY = "gsk_Zq83hfKw02LmXv77pTr5"
"""It is a name that a variable could have, so that no pattern but the one of secrets refuses it."""
PASSWORD = "Zq83/hf@Kw:02"
KEYS = [(section, key) for section, model in SECTIONS.items() for key in model.model_fields]
TABLES = [f'"{CANARY}"', f'{{ a = "{CANARY}" }}', f'{{ {CANARY} = "x" }}', f'{{ a = ["{CANARY}"] }}', f'["{CANARY}"]']
FORMS = {
    "params": [*TABLES, f'{{ key = "{CANARY[:12]}" }}'],
    "extra_body": [*TABLES, f'{{ a = {{ b = [{{ c = "{CANARY}" }}] }} }}', f'{{ api_key = "{CANARY[:12]}" }}'],
    "api_key_header": [f'"{CANARY}"', f'"X-Api-Key: {CANARY}"'],
    "reasoning_effort": [f'"{CANARY}"', f'["{CANARY}"]'],
    "headers": [
        f'"{CANARY}"',
        f'["{CANARY}"]',
        f'{{ X-Key = "{CANARY}" }}',
        f'{{ {CANARY} = "x" }}',
        f'{{ X-Key = ["{CANARY}"] }}',
        f'{{ X-Title = "{CANARY}" }}',
        f'{{ Authorization = "Bearer {CANARY}" }}',
        f'{{ X-Key = "{CANARY[:12]}" }}',
    ],
    "tags": [f'"{CANARY}"', f'["{CANARY}"]', f'["x", {{ a = "{CANARY}" }}]', f'["owner {CANARY}"]'],
    "url": [f'"{CANARY}"', f'"https://hooks.example/{CANARY}"', f'"smtp://me:{PASSWORD}@127.0.0.1:1"'],
    "watch": [f'"{CANARY}"', f'["acme/{CANARY}"]'],
    "base_url": [
        f'"http://{CANARY}@127.0.0.1:1/v1"',
        f'"http://me:{PASSWORD}@127.0.0.1:1/v1"',
        f'"htps://me:{PASSWORD}@127.0.0.1/v1"',
        f'"http://127.0.0.1:1/v1?key={CANARY}"',
        f'"http://127.0.0.1:1/v1?x={CANARY}"',
        f'"http://127.0.0.1:1/v1#{CANARY}"',
        f'"http://127.0.0.1:1/{CANARY}/v1"',
        f'"http://[{CANARY}/v1"',
        f'"{CANARY}"',
    ],
}
VARIABLES = {
    "UPTOKEN_STORE": [
        CANARY,
        f"sqlite:///{CANARY}.db",
        f"sqlite://{CANARY}",
        f"clickhouse://me:{PASSWORD}@127.0.0.1:1/uptoken",
        f"clickhouse://me:{CANARY}@127.0.0.1:1/uptoken",
        f"clickhouse://me:{CANARY}",
        f"clickhose://me:{PASSWORD}@127.0.0.1/uptoken",
        f"clickhouse:/me:{PASSWORD}@127.0.0.1/uptoken",
        f"me:{PASSWORD}@127.0.0.1:8123/uptoken",
    ],
    "UPTOKEN_CONFIG": [CANARY, f"/tmp/{CANARY}/targets.toml"],
    "UPTOKEN_LOCATION": [CANARY],
    "UPTOKEN_PORT": [CANARY],
    "UPTOKEN_MODEL_PORT": [CANARY],
    "UPTOKEN_RELAY_PORT": [CANARY],
    "UPTOKEN_NOTICE": [CANARY],
    "UPTOKEN_OPEN_WITHOUT_LOGIN": [CANARY],
    "UPTOKEN_PUBLIC_STATUS": [CANARY],
    "UPTOKEN_API_TOKENS": [CANARY],
    "UPTOKEN_EDIT": [CANARY],
    "UPTOKEN_PASSWORD_FILE": [CANARY, f"/tmp/{CANARY}"],
    "UPTOKEN_STATUS_TITLE": [CANARY],
    "UPTOKEN_STATUS_TIME_ZONE": [CANARY],
    "OPENROUTER_MANAGEMENT_KEY": [CANARY],
    "OPENROUTER_API_KEY": [CANARY],
    "SSL_CERT_FILE": [CANARY],
    "REQUESTS_CA_BUNDLE": [f"/tmp/{CANARY}.pem"],
    "NO_PROXY": [CANARY],
    "HTTP_PROXY": [f"http://me:{CANARY}@127.0.0.1:1"],
    "HTTPS_PROXY": [f"me:{PASSWORD}@127.0.0.1:1"],
    "ALL_PROXY": [f"socks5://me:{CANARY}@127.0.0.1:1", CANARY],
}
COMMANDS = [
    ("run", "--all"),
    ("check",),
    ("check", "--health"),
    ("export", "targets"),
    ("export", "probes"),
    ("rebuild",),
    ("backup", "copy.db"),
    ("repair", "--output", "saved.db"),
]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[CliFixture]:
    with FaultServer(chunked(*GOOD)) as server:
        yield CliFixture(tmp_path, server.url)


def searched(where: str, content: bytes) -> None:
    for secret in (CANARY, CANARY[4:], CANARY[:12], PASSWORD, PASSWORD.replace("/", "\\/"), "hf@Kw:02", "Zq83/hf"):
        assert secret.encode() not in content, f"{secret} is in {where}: {content[:2_000]!r}"


def pages_are_clean() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()
    for page in ("", "model", "targets", "export", "system", "public_status"):
        app = open_page(page and f"{page}.py")
        shown = "\n".join(str(element.proto) for element in app.main) + "\n".join(str(e.value) for e in app.exception)
        searched(f"the page {page or 'overview'}", shown.encode())
    st.cache_resource.clear()


def files_are_clean(place: CliFixture) -> None:
    for path in place.folder.rglob("*"):
        searched("a file's name", str(path).encode())
        if path.is_file() and path.name != "targets.toml":
            searched(path.name, path.read_bytes())


def commands_are_clean(place: CliFixture, commands: list[tuple[str, ...]] = COMMANDS, *, in_processes: int = 1) -> int:
    """Run every command, the first one's exit code decides whether there is anything that the others can be run over.
    The first ones `in_processes` of their own, the others in this one: a process takes 0.4 s.
    """
    codes: list[int] = []
    for words in commands:
        code, out, err = place.run(*words) if len(codes) < in_processes else place.call(*words)
        searched(" ".join(words), (out + err).encode())
        assert "Traceback" not in out + err
        codes.append(code)
        if codes == [2]:
            break
    return codes[0]


@pytest.mark.parametrize(("section", "key"), KEYS, ids=[".".join(pair) for pair in KEYS])
def test_a_key_in_any_place_of_the_configuration_is_neither_said_nor_kept(
    place: CliFixture, section: str, key: str
) -> None:
    written = place.config.read_text()
    forms = FORMS.get(key, [f'"{CANARY}"'])
    for form in forms:
        if f"\n{key} = " in written.partition(f"[{section}]")[2]:
            head, mark, rest = written.partition(f"[{section}]")
            text = head + mark + re.sub(rf"(?m)^{key} = .*$", lambda _: f"{key} = {form}", rest, count=1)  # noqa: B023
        else:
            heading = f"[[{section}]]\n" if section in SEVERAL else f"[{section}]\n"
            home = written if heading in written else f"{written}\n{heading}"
            text = home.replace(heading, f"{heading}{key} = {form}\n", 1)
        place.config.write_text(text)
        is_first = key == next(iter(SECTIONS[section].model_fields)) and form == forms[0]
        assert commands_are_clean(place, in_processes=is_first) == 2, form
        files_are_clean(place)


@pytest.mark.parametrize(
    "text",
    [
        f'{CANARY} = "x"\n',
        f'[{CANARY}]\nx = "y"\n',
        f"[[target]]\n{CANARY} = 1\n",
        f'[[target]]\nname = "a"\nmodel = "m"\nbase_url = "http://127.0.0.1:1"\napi_key = "{CANARY}"\n',
        f"api_key = {CANARY}\n",
        f'"{CANARY}\n',
        f'[[target]]\nname = "a"\n[[target]]\nname = "{CANARY}"\nmodel = 5\n',
        "[[target]]\nname = 'a'\nmodel = 'm'\nbase_url = 'http://127.0.0.1:1'\napi_key_env = '0f8d3c2b1a09f8e7d6c5b4a392817'\n",
    ],
)
def test_a_key_that_makes_the_file_wrong_is_not_said(place: CliFixture, text: str) -> None:
    place.config.write_text(text)
    code, out, err = place.run("check")
    assert code == 2
    searched("what was said", (out + err).encode())
    assert "0f8d3c2b1a09" not in out + err


@pytest.mark.parametrize("name", VARIABLES)
def test_a_key_in_any_variable_is_neither_said_nor_kept(
    place: CliFixture, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.lower(), raising=False)
    others = []  # proxies are for hosts that are not this machine; nothing is sent to those here but through a proxy
    others += ["http://model.invalid"] if name in ("HTTP_PROXY", "ALL_PROXY") else []
    others += ["https://model.invalid"] if name in ("HTTPS_PROXY", "ALL_PROXY") else []
    others += ["https://127.0.0.1:1"] if name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE") else []
    more = (f'[[target]]\nname = "{url}"\nmodel = "m"\nbase_url = "{url}"\ntimeout = "200ms"\n' for url in others)
    place.config.write_text(place.config.read_text() + "".join(more))
    own = place.environment
    for value in VARIABLES[name]:
        environment = own | {name: value}
        monkeypatch.setattr(CliFixture, "environment", property(lambda _: environment))  # noqa: B023
        is_first = value == VARIABLES[name][0]
        commands_are_clean(place, COMMANDS if is_first else COMMANDS[:2])
        files_are_clean(place)
        if name.endswith("PORT"):
            own_module = {"UPTOKEN_MODEL_PORT": "deploy.local_model", "UPTOKEN_RELAY_PORT": "deploy.relay"}.get(name)
            for module in filter(None, ("deploy.run", own_module)):
                done = subprocess.run(
                    [sys.executable, "-m", module],
                    cwd=ROOT,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=30,
                )
                searched(module, (done.stdout + done.stderr).encode())
                assert "Traceback" not in done.stderr
                assert (done.returncode, "it must be a port" in done.stderr) == (2, True)
        if not is_first and name != "UPTOKEN_STORE":
            continue
        with monkeypatch.context() as here:
            for variable in ("UPTOKEN_STORE", name):
                here.setenv(variable, environment[variable])
            pages_are_clean()


def test_every_variable_of_our_own_is_in_this_test() -> None:
    sources = [
        ROOT / "app.py",
        *(
            p
            for d in ("api", "cli", "pages", "collectors", "settings", "store", "deploy")
            for p in (ROOT / d).rglob("*.py")
        ),
    ]
    named = {
        name
        for path in sources
        for name in re.findall(r'"(UPTOKEN_[A-Z_]+|[A-Z_]+_BUNDLE|SSL_[A-Z_]+)"', path.read_text())
    }
    assert named <= VARIABLES.keys()
