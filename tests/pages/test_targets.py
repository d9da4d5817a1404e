"""The page on which targets are added and changed: who may, what the commands get, and what is never shown."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.components.formatting import as_markdown
from pages.queries import access
from pages.shell import commands, editing
from settings.targets import load
from store import open_store
from store.schema import PAUSES, Pause
from tests.factories import MINUTE, probe
from tests.factories import target as target_row
from tests.fault_server import GOOD, FaultServer, answer, chunked
from tests.forked import Forked
from tests.pages.conftest import code, html, now_ms, open_page

KEY = "sk-canary-Zq83hfKw02LmXv77"
LOCAL = {"host": "127.0.0.1:8501", "origin": "http://127.0.0.1:8501"}
START = '# ours\n[[target]]\nname = "first"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'
ADA = {"email": "ada@example.com", "email_verified": True, "is_logged_in": True}
LISTED = access.AllowList(frozenset({"ada@example.com"}))


@pytest.mark.parametrize(
    ("flag", "door", "headers", "may"),
    [
        ("", "none", LOCAL, True),
        ("", "none", {"host": "localhost:8501"}, True),
        ("", "none", {"host": "[::1]:8501", "origin": "http://[::1]:8501"}, True),
        ("", "none", {"host": "stats.example.com"}, False),  # behind a proxy
        ("", "none", {"host": "127.0.0.1:8501", "origin": "https://stats.example.com"}, False),
        ("", "none", LOCAL | {"x-forwarded-for": "192.0.2.7"}, False),
        ("", "none", {}, False),
        ("", "login", LOCAL, False),
        ("no", "none", LOCAL, False),
        ("yes", "none", {"host": "stats.example.com"}, True),
        ("yes", "login", {"host": "stats.example.com"}, True),
        ("yes", "closed", LOCAL, False),
        ("ada@example.com", "login", LOCAL, True),
        ("bob@example.com, @example.com", "login", LOCAL, True),
        ("bob@example.com", "login", LOCAL, False),
        ("ada@example.com", "none", LOCAL, False),  # nobody says who they are
        ("ada", "login", LOCAL, False),
    ],
)
def test_who_may_edit(
    monkeypatch: pytest.MonkeyPatch, flag: str, door: str, headers: dict[str, str], may: bool
) -> None:
    monkeypatch.setenv("UPTOKEN_EDIT", flag)
    monkeypatch.setattr(access, "guard", lambda: door)
    monkeypatch.setattr(editing, "session_headers", lambda: headers)
    monkeypatch.setattr(editing, "viewer", lambda: ADA)
    monkeypatch.setattr(access, "sign_in_settings", lambda: (door == "login", LISTED))
    assert (editing.refusal() is None) is may


@pytest.mark.parametrize("flag", ["yes", "ada@example.com"])
@pytest.mark.parametrize(
    ("person", "listed"),
    [(ADA | {"is_logged_in": False}, LISTED), ({}, LISTED), (ADA, access.AllowList())],
    ids=["signed out", "nobody", "taken off the list"],
)
def test_an_editor_has_to_be_let_in_first(
    monkeypatch: pytest.MonkeyPatch, flag: str, person: dict[str, object], listed: access.AllowList
) -> None:
    monkeypatch.setenv("UPTOKEN_EDIT", flag)
    monkeypatch.setattr(access, "guard", lambda: "login")
    monkeypatch.setattr(editing, "viewer", lambda: person)
    monkeypatch.setattr(access, "sign_in_settings", lambda: (True, listed))
    assert editing.refusal() is not None


def test_a_dashboard_that_is_open_to_others_without_a_login_is_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "guard", lambda: "none")
    monkeypatch.setattr(editing, "session_headers", lambda: LOCAL)
    monkeypatch.setenv("UPTOKEN_EDIT", "yes")
    st.config.set_option("server.address", "0.0.0.0")
    try:
        assert "needs a login" in (editing.refusal() or "")
    finally:
        st.config.set_option("server.address", "127.0.0.1")


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UPTOKEN_EDIT", raising=False)
    monkeypatch.setattr(editing, "session_headers", lambda: LOCAL)


def test_a_command_of_somebody_who_may_not_edit_is_never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editing, "session_headers", lambda: {"host": "stats.example.com"})
    monkeypatch.setattr(commands, "_run", lambda *_: pytest.fail("it was started"))
    assert "read-only" in (commands.run_command("remove", "first", options={"--yes": True}).error or "")


@pytest.mark.usefixtures("allowed")
def test_a_key_is_no_argument_and_a_value_is_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(commands, "_run", lambda words, *_: started.append(words) or (0, "{}", ""))  # type: ignore[func-returns-value]
    for options, positional in (({"--name": KEY}, ()), ({}, (f"x {KEY}",))):
        assert commands.run_command("add", *positional, options=options).is_secret
    assert started == []
    commands.run_command("change", "--undo=x", options={"--every": "--yes", "--json": True, "--tags": "", "--x": None})
    assert started == [["change", "--every=--yes", "--json", "--", "--undo=x"]]
    assert commands.run_command("add", options={"--model": ("m", KEY)}).is_secret
    commands.run_command("add", options={"--model": ("a", "--yes"), "--tags": ()})
    assert started[1:] == [["add", "--model=a", "--model=--yes"]]


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "import time; time.sleep(60)",
            "It was stopped after 1 s. Part of it may be done, such as a rename in the file: reload this page, and repeat "
            "it in a terminal if needed.",
        ),
        ("import sys; sys.stdout.write('x' * 10_000_000)", "The command ended with exit code -9."),
        (f"import sys; sys.exit('the key {KEY} is wrong')", "The key [key] is wrong"),
        ('print(\'{"error": "Invalid value for --name: it is taken (see --help)"}\')', "It is taken"),
    ],
)
def test_a_command_that_hangs_floods_or_fails_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, said: str
) -> None:
    program = tmp_path / "collectors.py"
    program.write_text(script)
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    assert commands.run_command("add", timeout_s=1 if "sleep" in script else 30).error == said
    assert time.monotonic() - began < 20


def test_what_others_wrote_is_no_formatting() -> None:
    assert as_markdown("![x](http://h) `a` :red[b] é") == r"\!\[x\]\(http\:\/\/h\) \`a\` \:red\[b\] é"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    models = {"data": [{"id": f"acme/chat-{number}"} for number in range(1, 4)]}

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        is_list = request["line"].startswith("GET /v1/models ")
        is_probe = request["line"].startswith("POST /v1/chat")
        (answer(200, models) if is_list else chunked(*GOOD) if is_probe else answer(404, {}))(connection, request)

    with FaultServer(script) as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, store_at: Path, allowed: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "targets.toml"
    path.write_text(START)
    monkeypatch.setenv("UPTOKEN_CONFIG", str(path))
    return path


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands have their imports done; one test starts them as the page does."""
    monkeypatch.setattr(commands, "subprocess", SimpleNamespace(**vars(subprocess) | {"Popen": Forked}))


def _label(app: AppTest, kind: str, label: str) -> Any:
    return next(each for each in getattr(app, kind) if each.label == label)


@pytest.mark.process
def test_a_target_is_found_tested_saved_and_taken_back_in_the_browser(config: Path, server: FaultServer) -> None:
    app = open_page("targets.py")
    assert not app.exception
    assert _label(app, "button", "Find models").disabled
    _label(app, "text_input", "Base URL").set_value(server.url.removesuffix("/v1")).run()
    _label(app, "button", "Find models").click().run()
    assert any(f"3 models at `{server.url}`" in each.value for each in app.caption)
    _label(app, "selectbox", "Model").set_value("acme/chat-2").run()
    assert _label(app, "text_input", "Name").value == "chat-2"
    _label(app, "text_input", "Tags").set_value("a, b").run()
    _label(app, "button", "Test").click().run()
    assert re.search(r"● up, first token after \d+ ms</span> <span class=\"q\">· 1,464 probes a day, price", html(app))
    block = f'[[target]]\nname = "chat-2"\nmodel = "acme/chat-2"\nbase_url = "{server.url}"\ntags = ["a", "b"]'
    assert code(app) == block
    assert config.read_text() == START
    _label(app, "button", "Save").click().run()
    assert not app.exception
    assert config.read_text() == f"{START}\n{block}\n"
    assert "was saved" in app.success[0].value and "chat" in app.success[0].value
    assert len([each for each in server.requests if each["line"].startswith("POST")]) == 1  # saving sends nothing
    _label(app, "button", "Undo").click().run()
    assert app.success[0].value == r"Undone\." and config.read_text() == START


@pytest.mark.usefixtures("forked")
@pytest.mark.process
def test_a_litellm_configuration_is_uploaded_tested_saved_and_taken_back_without_its_keys(
    config: Path, server: FaultServer
) -> None:
    def entry(name: str, model: str, url: str = server.url, key: str = "none") -> str:
        return f"- {{model_name: {name}, litellm_params: {{model: {model}, api_base: '{url}', api_key: {key}}}}}\n"

    dead = "http://127.0.0.1:9/v1"
    entries = [entry("pair", "openai/a"), entry("pair", "openai/b"), entry("dead", "openai/c", dead)]
    entries += [entry("leaky", "openai/d", key=KEY), entry("other", "openai/e")]
    app = open_page("targets.py")
    _label(app, "selectbox", "Server").set_value("LiteLLM configuration").run()
    app.file_uploader[0].set_value(("litellm.yaml", b"model_list: [", "text/yaml")).run()
    assert app.error[0].value == as_markdown("The file is not valid YAML")
    app.file_uploader[0].set_value(("litellm.yaml", f"model_list:\n{''.join(entries)}".encode(), "text/yaml")).run()
    assert not app.exception and not app.error
    models = _label(app, "multiselect", "Models")
    assert models.value == ["pair", "pair (2)", "dead", "other"]
    assert "leaky" in html(app) and "its key is written in that file" in html(app)
    assert server.requests == []  # a preview sends nothing
    models.set_value(["pair (2)", "dead"]).run()
    _label(app, "button", "Test").click().run()
    assert html(app).count("● up, first token after") == 1 and "dead" in html(app)
    block = f'[[target]]\nname = "pair"\nmodel = "b"\nbase_url = "{server.url}"'
    assert code(app) == block and config.read_text() == START
    _label(app, "button", "Save").click().run()
    assert not app.exception and config.read_text() == f"{START}\n{block}\n"
    assert app.success[0].value.startswith(as_markdown("Saved: 1 target."))
    shown = "\n".join(str(element.proto) for element in app.main)
    state = app.session_state._state._state.filtered_state  # type: ignore[attr-defined]
    assert KEY not in shown and not any(KEY in str(value) for value in state.values())
    _label(app, "button", "Undo").click().run()
    assert config.read_text() == START


@pytest.mark.usefixtures("forked")
@pytest.mark.process
def test_what_goes_wrong_is_said_in_the_pages_own_words(config: Path, server: FaultServer) -> None:
    app = open_page("targets.py")
    _label(app, "text_input", "Base URL").set_value("http://127.0.0.1:9").run()
    _label(app, "button", "Find models").click().run()
    assert "cannot be reached" in app.error[0].value
    _label(app, "text_input", "Base URL").set_value(server.url).run()
    assert not app.error  # it was about another address
    _label(app, "button", "Find models").click().run()
    _label(app, "selectbox", "Model").set_value("acme/chat-1").run()
    _label(app, "text_input", "Name").set_value("first").run()
    _label(app, "button", "Test").click().run()
    assert r"has a target \'first\' already\: choose another Name" in app.error[0].value


def test_a_pasted_key_is_refused_forgotten_and_never_an_argument(
    config: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_run", lambda *_: pytest.fail("it was started"))
    app = open_page("targets.py")
    for field in ("Key variable", "Base URL"):
        _label(app, "text_input", "Base URL").set_value(server.url)
        _label(app, "text_input", field).set_value(KEY if field == "Key variable" else f"https://u:{KEY}@h/v1").run()
        _label(app, "button", "Find models").click().run()
        assert not app.exception
        assert "not the key itself" in app.error[0].value or "looks like a key" in app.error[0].value
        assert [each.value for each in app.text_input if each.label in ("Base URL", "Key variable")] == ["", ""]
        shown = "\n".join(str(element.proto) for element in app.main)
        state = app.session_state._state._state.filtered_state  # type: ignore[attr-defined]
        assert KEY not in shown and not any(KEY in str(value) for value in state.values())


@pytest.mark.usefixtures("forked")
@pytest.mark.process
def test_a_target_is_changed_paused_renamed_and_removed_in_the_browser(config: Path, store_at: Path) -> None:
    url, now = f"sqlite:///{store_at}", now_ms()
    config.write_text(
        START + '\n# the other\n[[target]]\nname = "-b"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'
    )
    before = config.read_text()
    store = open_store(url)
    store.write([target_row("-b", updated_at=now), target_row("first", updated_at=now)])
    store.write([probe(now - MINUTE, target="-b")])
    app = open_page("targets.py")
    _label(app, "selectbox", "Target").set_value("-b").run()
    app.selectbox(key="edit_every_-b_60.0").set_value("5m").run()
    _label(app, "text_input", "Tags, separated by commas").set_value("x").run()
    _label(app, "button", "Save changes").click().run()
    assert not app.exception and not app.error
    assert config.read_text() == f'{before}every = "5m"\ntags = ["x"]\n'
    _label(app, "button", "Undo").click().run()
    assert config.read_text() == before
    _label(app, "text_input", "Tags, separated by commas").set_value(",").run()
    _label(app, "button", "Save changes").click().run()
    assert app.success[0].value == as_markdown("“-b” has these settings already.") and config.read_text() == before

    _label(app, "selectbox", "For").set_value("2 hours").run()
    app.text_input(key="edit_pause_reason").set_value("-new disk").run()
    _label(app, "button", "Pause").click().run()
    [pause] = [Pause(*row) for row in store.read(PAUSES)]
    assert (pause.target, pause.ends_at and pause.ends_at - pause.began_at) == ("-b", 7_200_000)
    assert pause.reason == "-new disk" and "-new disk" in html(app)
    assert "‖ paused until" in html(app)
    _label(app, "button", "Resume").click().run()
    assert "‖ paused" not in html(app)

    _label(app, "text_input", "New name").set_value("b").run()
    _label(app, "button", "Rename").click().run()
    assert not app.exception and not app.error
    assert [each.name for each in load(config).all_targets] == ["first", "b"]
    assert {series.newest.target for series in store.series()} == {"b"}
    store.close()

    _label(app, "selectbox", "Target").set_value("first").run()
    _label(app, "button", "Remove it").click().run()
    assert [each.name for each in load(config).all_targets] == ["b"]
    _label(app, "button", "Undo").click().run()
    assert [each.name for each in load(config).all_targets] == ["first", "b"]


def test_a_viewer_who_may_not_edit_sees_the_targets_and_why(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editing, "session_headers", lambda: {"host": "stats.example.com"})
    app = open_page("targets.py")
    assert not app.exception
    assert "UPTOKEN_EDIT" in app.info[0].value
    assert not app.text_input and not app.button
    assert "<b>first</b>" in html(app)


def test_somebody_who_loses_the_right_meanwhile_saves_nothing(
    config: Path, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("targets.py")
    _label(app, "button", "Remove it")
    monkeypatch.setenv("UPTOKEN_EDIT", "no")
    _label(app, "button", "Remove it").click().run()
    assert not app.exception and config.read_text() == START


def test_without_a_file_it_says_where_targets_are_added(config: Path) -> None:
    config.unlink()
    app = open_page("targets.py")
    assert not app.exception and app.info[0].proto.title == "The targets are configured elsewhere"
    assert code(app) == "python -m collectors add"


def test_a_file_that_is_wrong_is_said_and_not_edited(config: Path) -> None:
    config.write_text(START + f'tags = ["{KEY}"]\n')
    app = open_page("targets.py")
    assert app.error[0].proto.title == "targets.toml is wrong" and "looks like a key" in app.error[0].value
    assert not app.text_input and KEY not in "\n".join(str(element.proto) for element in app.main)
