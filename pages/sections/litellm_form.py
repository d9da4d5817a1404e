"""The form that takes over a LiteLLM proxy's configuration: its models, a test of each, and TOML to copy or save.

The file goes to the command's standard input: it is never written here, and the command's output has none of its keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.components import code_block, formatting
from pages.components.table import Column, below, bold, table
from pages.sections.target_notice import Command, set_notice
from pages.sections.target_proposal import INTERVALS, day_in_words, in_page_words, tested_state
from pages.shell.commands import CommandResult, Options, run_command

MOST_MB = 4
_ROUND, _READ, _TESTED = "litellm_round", "litellm_read", "litellm_tested"
_HELP = (
    "The YAML file with its `model_list`. Keys are taken from variables (`os.environ/NAME`); an entry that contains a "
    "key is skipped. The file stays in memory."
)


@dataclass(frozen=True)
class _Choice:
    """Which models of which file to add, and how."""

    file_id: str
    names: tuple[str, ...]
    every: str
    tags: str

    def options(self, **more: bool) -> Options:
        """The options of `add`."""
        options: dict[str, str | bool | tuple[str, ...] | None] = {"--from": "-", "--json": True}
        options |= {"--model": self.names, "--tags": self.tags}
        options |= {"--every": "" if self.every == "default" else self.every}
        return options | {f"--{name.replace('_', '-')}": value for name, value in more.items()}


def litellm_form() -> None:
    """The steps, each of which appears when the one before it has succeeded."""
    number = st.session_state.setdefault(_ROUND, 0)
    file = st.file_uploader(
        "LiteLLM configuration", ["yaml", "yml"], key=f"litellm_file_{number}", help=_HELP, max_upload_size=MOST_MB
    )
    if file is None:
        return
    data = file.getvalue()
    read = _once(_READ, file.file_id, data, {"--from": "-", "--json": True, "--no-test": True, "--dry-run": True})
    if read.error is not None:
        _show_error(read)
        return
    choice = _choose(file.file_id, read.document, number)
    _show_skipped(read.document["skipped"])
    if st.button("Test", key="litellm_test", disabled=not choice.names):
        st.session_state.pop(_TESTED, None)
        with st.spinner("Sending one probe to each…"):
            _once(_TESTED, choice, data, choice.options(dry_run=True))
    kept = st.session_state.get(_TESTED)
    if kept is not None and kept[0] == choice:
        _show_tested(kept[1], choice, data, read.document["skipped"])


def _once(key: str, subject: str | _Choice, data: bytes, options: Options) -> CommandResult:
    """The result of `add` for this subject, kept for reruns of the page."""
    kept = st.session_state.get(key)
    if kept is None or kept[0] != subject:
        kept = st.session_state[key] = (subject, run_command("add", options=options, stdin=data))
    result: CommandResult = kept[1]
    return result


def _show_error(result: CommandResult) -> None:
    error = (result.error or "").replace("--from -: it", "The file").replace("--from -", "The file")
    st.error(formatting.as_markdown(in_page_words(error)), icon=":material/error:")


def _choose(file_id: str, document: Mapping[str, Any], number: int) -> _Choice:
    names = [str(target["name"]) for target in document["targets"]]
    shown = f"{number}_{file_id}"
    which, often, tagged = st.columns([4, 1, 1], vertical_alignment="bottom")
    chosen = which.multiselect("Models", names, names, key=f"litellm_models_{shown}", placeholder="none")
    every = often.selectbox("Interval", INTERVALS, key=f"litellm_every_{shown}")
    tags = tagged.text_input("Tags", placeholder="a, b", key=f"litellm_tags_{shown}")
    return _Choice(file_id, tuple(chosen), every, tags.strip())


def _show_skipped(skipped: list[dict[str, str]]) -> None:
    if skipped:
        rows = [(bold(each["name"]), in_page_words(each["reason"])) for each in skipped]
        st.html(table((Column("Skipped", "left wrap"), Column("", "left wrap")), rows, kind="out"))


def _show_tested(result: CommandResult, choice: _Choice, data: bytes, known: list[dict[str, str]]) -> None:
    """The results and what to do with them; `known` is what was skipped before."""
    if result.error is not None:
        _show_error(result)
        return
    document = result.document
    good = document["targets"]
    rows = [
        (
            bold(target["name"]) + below(f"{target['model']} at {target['base_url']}"),
            tested_state(target["test"]),
            day_in_words(target["day"]),
        )
        for target in good
    ]
    columns = (Column("Target", "left wrap"), Column("Test", "left wrap"), Column("Probes and cost", "left wrap"))
    if rows:
        st.html(table(columns, rows))
    _show_skipped([each for each in document["skipped"] if each not in known])
    if not good:
        st.warning("None of these responds, so there is nothing to save.", icon=":material/error:")
        return
    code_block.show(document["toml"].rstrip(), "toml")
    if st.button("Save", key="litellm_save", type="primary", icon=":material/save:"):
        _save(choice, data)
    st.caption(
        f"This tests them again and adds those that respond, or wait for their key, to `{document['file']}`. It keeps "
        "comments and writes a backup beside it. Keys stay in their variables."
    )


def _save(choice: _Choice, data: bytes) -> None:
    with st.spinner("Testing again, and saving…"):
        result = run_command("add", options=choice.options(yes=True), stdin=data)
    if result.error is not None or not result.document.get("written"):
        _show_error(result if result.error else CommandResult(error="None of them responded, so nothing was saved."))
        return
    for key in (_READ, _TESTED):
        st.session_state.pop(key, None)
    st.session_state[_ROUND] += 1  # an uploader of its own for the next file: this one is dropped
    count = formatting.plural(len(result.document["targets"]), "target")
    undo = Command("add", options={"--undo": result.document["undo"], "--json": True})
    set_notice(f"Saved: {count}. A running collector starts to probe within seconds.", undo)
