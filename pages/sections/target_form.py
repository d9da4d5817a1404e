"""The form that adds a target: its API, its model, a test, the cost per day, and TOML to copy or save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import streamlit as st
from markupsafe import Markup

from pages.components import code_block, formatting, theme
from pages.components.table import quiet
from pages.sections import litellm_form
from pages.sections.target_notice import Command, set_notice
from pages.sections.target_proposal import INTERVALS, day_in_words, in_page_words, tested_state
from pages.shell import sign_in
from pages.shell.commands import REFUSED_KEY, CommandResult, run_command
from settings.secrecy import looks_secret
from settings.sections import Api, checked_variable

_ROUND, _FOUND, _TESTED, _ERROR = "add_round", "add_found", "add_tested", "add_error"
OWN_SERVER, LITELLM = "My own server", "LiteLLM configuration"
PRESETS: dict[str, tuple[str, str]] = {
    OWN_SERVER: ("", ""),
    "OpenRouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "OpenAI": ("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "Anthropic": ("https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "Google": ("https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"),
    "Ollama on this machine": ("http://127.0.0.1:11434/v1", ""),
}
NO_NAME = (
    "The key variable must be a name of letters, digits and _, such as ACME_API_KEY. If you pasted the key itself, it "
    "was not kept: put it into an environment variable and enter that variable's name."
)


@dataclass(frozen=True)
class ServerInput:
    """Where the API is. `names_model`: its server has no list of models, so the user types the name."""

    base_url: str
    api_key_env: str
    names_model: bool
    is_asked_for: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class TargetInput:
    """The target to add."""

    server: ServerInput
    base_url: str
    model: str
    api: str
    name: str
    every: str
    tags: str

    @property
    def options(self) -> dict[str, str | bool | None]:
        """The options of `add`; empty ones are omitted."""
        return {
            "--base-url": self.base_url,
            "--model": self.model,
            "--api": self.api,
            "--name": self.name,
            "--api-key-env": self.server.api_key_env,
            "--every": "" if self.every == "default" else self.every,
            "--tags": self.tags,
            "--json": True,
        }


@sign_in.fragment()
def add_card() -> None:
    """The form: each step appears when the one before it has succeeded."""
    with theme.card("add_target", "Add a target", "find its models, test it, see the cost per day, and save it"):
        server = _server_input()
        if server is None:
            litellm_form.litellm_form()
            return
        if server.is_asked_for:
            _find(server)
        found = st.session_state.get(_FOUND)
        is_found = found is not None and found[0] == server
        if not server.names_model and not is_found:
            _show_error(server)
            return
        target = _target_input(server, found[1] if is_found and found is not None else {})
        if st.button("Test", key="add_test", disabled=not (target.model and target.name)):
            _test(target)
        tested = st.session_state.get(_TESTED)
        if tested is None or tested[0] != target:
            _show_error(target)
            return
        _show_result(tested[1])
        _save(target, tested[1])


def _server_input() -> ServerInput | None:
    """Null for a configuration that has the servers."""
    number = st.session_state.setdefault(_ROUND, 0)
    where, url, key, button = st.columns([4, 7, 4, 3], vertical_alignment="bottom")
    preset = where.selectbox("Server", [*PRESETS, LITELLM], key=f"add_where_{number}")
    if preset == LITELLM:
        return None
    base_url, variable = PRESETS[preset]
    shown = f"{number}_{preset}"
    example = "https://host/v1 or localhost:8000"
    typed = url.text_input("Base URL", base_url, placeholder=example, key=f"add_url_{shown}")
    named = key.text_input(
        "Key variable",
        variable,
        placeholder="such as ACME_API_KEY",
        key=f"add_key_{shown}",
        help="The name of the environment variable that holds the key, never the key itself. Leave it empty for a "
        "server without keys. It must be set where the collector runs and, for a test, where the dashboard runs.",
    )
    names_model = st.checkbox(
        "Enter the model by name (for a server without a list of models)", key=f"add_names_{number}"
    )
    asks = button.button("Find models", key="add_find", disabled=not typed.strip() or names_model, width="stretch")
    return ServerInput(typed.strip(), named.strip(), names_model, asks)


def _find(server: ServerInput) -> None:
    if (problem := _wrong_variable(server)) is not None:
        _refuse(server, problem)
    with st.spinner("Loading the server's models…"):
        asked: dict[str, str | bool | None] = {"--base-url": server.base_url, "--api-key-env": server.api_key_env}
        result = run_command("add", options=asked | {"--list": True, "--json": True})
    if result.error is not None:
        _refuse(server, result)
    st.session_state[_FOUND] = (server, result.document)


def _wrong_variable(server: ServerInput) -> CommandResult | None:
    """Refuse a key that was pasted in place of a name: it must not become an argument of a process."""
    try:
        if server.api_key_env:
            checked_variable(server.api_key_env)
    except ValueError:
        return CommandResult(error=REFUSED_KEY if looks_secret(server.api_key_env) else NO_NAME, is_secret=True)
    return None


def _refuse(subject: ServerInput | TargetInput, result: CommandResult) -> None:
    """Keep the error for this input, and clear the fields if a key was pasted into one."""
    st.session_state[_ERROR] = (None if result.is_secret else subject, in_page_words(result.error or ""))
    if result.is_secret:
        st.session_state[_ROUND] += 1
    st.session_state.pop(_TESTED if isinstance(subject, TargetInput) else _FOUND, None)
    st.rerun()


def _show_error(subject: ServerInput | TargetInput) -> None:
    wrong = st.session_state.get(_ERROR)
    if wrong is not None and wrong[0] in (None, subject):
        st.error(formatting.as_markdown(wrong[1]), icon=":material/error:")
        if wrong[0] is None and subject != ServerInput("", "", False):
            del st.session_state[_ERROR]


def _target_input(server: ServerInput, found: Mapping[str, Any]) -> TargetInput:
    number, models = st.session_state[_ROUND], [str(each["id"]) for each in found.get("models", ())]
    if found:
        st.caption(f"{formatting.plural(len(models), 'model')} at `{found['base_url']}` (API: `{found['api']}`).")
    which, what, often, tagged = st.columns([2, 2, 1, 1], vertical_alignment="bottom")
    if models:
        model = which.selectbox(
            "Model", models, index=None, placeholder="Type part of its name", key=f"add_model_{number}"
        )
    else:
        model = which.text_input("Model", placeholder="its name on the server", key=f"add_model_typed_{number}").strip()
    suggested = (model or "").rpartition("/")[2]
    name = what.text_input("Name", suggested, key=f"add_name_{number}_{model}")
    every = often.selectbox("Interval", INTERVALS, key=f"add_every_{number}")
    tags = tagged.text_input("Tags", placeholder="a, b", key=f"add_tags_{number}")
    api = ""
    if not models:
        api = st.selectbox("API", get_args(Api), key=f"add_api_{number}", width=200)
    base_url = str(found.get("base_url") or server.base_url)
    return TargetInput(server, base_url, model or "", api, name.strip(), every, tags.strip())


def _test(target: TargetInput) -> None:
    if (problem := _wrong_variable(target.server)) is not None:
        _refuse(target, problem)
    with st.spinner("Sending one probe…"):
        result = run_command("add", options=target.options | {"--dry-run": True})
    if result.error is not None:
        _refuse(target, result)
    st.session_state[_TESTED] = (target, result.document)


def _show_result(document: Mapping[str, Any]) -> None:
    [target] = document["targets"]
    st.html(
        Markup('<div class="u" role="status">{} {}</div>').format(
            tested_state(target["test"]), quiet(f"· {day_in_words(target['day'])}")
        )
    )
    code_block.show(document["toml"].rstrip(), "toml")


def _save(target: TargetInput, document: Mapping[str, Any]) -> None:
    [tested] = document["targets"]
    is_good = tested["test"]["is_reached"]
    label = "Save" if is_good else "Save anyway"
    if st.button(label, key="add_save", type="primary" if is_good else "secondary", icon=":material/save:"):
        more = {"--yes": True, "--no-test": True, "--api": tested["api"], "--base-url": tested["base_url"]}
        result = run_command("add", options=target.options | more)
        if result.error is not None:
            _refuse(target, result)
        for name in (_FOUND, _TESTED, _ERROR):
            st.session_state.pop(name, None)
        st.session_state[_ROUND] += 1
        undo = Command("add", options={"--undo": result.document["undo"], "--json": True})
        set_notice(f"“{target.name}” was saved. A running collector starts to probe it within seconds.", undo)
    st.caption(
        f"This adds the lines above to `{document['file']}`, keeps its comments, and writes a backup beside it. The "
        "key stays in its variable."
    )
