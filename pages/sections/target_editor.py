"""The targets of `targets.toml` as a table, and the form that changes one: interval, tags, pause, name, removal."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlencode

import streamlit as st
from markupsafe import Markup

from pages.components import formatting, theme
from pages.components.states import state
from pages.components.table import Column, below, bold, quiet, table
from pages.queries.configured_targets import ConfiguredTarget
from pages.sections.target_notice import Command, set_notice
from pages.sections.target_proposal import INTERVALS
from pages.shell import sign_in, time_range
from pages.shell.commands import CommandResult
from store.clock import now_ms
from store.schema import Pause

PAUSES = {"until resumed": None, "30 minutes": "30m", "2 hours": "2h", "1 day": "1d", "7 days": "7d"}


def targets_table(targets: tuple[ConfiguredTarget, ...], paused: dict[str, Pause]) -> Markup:
    """One row per target, in the order of the file."""
    state_column, tags_column = Column("State", "left"), Column("Tags", "left wrap")
    columns = (Column("Target", "left wrap"), state_column, Column("Interval"), Column("API", "left"), tags_column)
    rows = [
        (
            Markup('<a href="model?{}" target="_self">{}</a>{}').format(
                urlencode({"target": target.name} | time_range.in_link()),
                bold(target.name),
                below(f"{target.model} at {target.base_url}"),
            ),
            _state(target, paused.get(target.name)),
            formatting.duration(target.every_s),
            target.api,
            ", ".join(target.tags) or quiet("none"),
        )
        for target in targets
    ]
    return table(columns, rows)


def _state(target: ConfiguredTarget, pause: Pause | None) -> Markup:
    if not target.is_enabled:
        return state("disabled")
    if target.missing_key is not None:
        return state("waiting", f"{target.missing_key} is not set here")
    if pause is None:
        return Markup("probed")  # no mark: this page does not look at whether it is up
    until = "" if pause.ends_at is None else f" until {formatting.until(pause.ends_at, time_range.zone(), now_ms())}"
    return state("paused", f"paused{until}", pause.reason or "")


@sign_in.fragment()
def change_card(targets: tuple[ConfiguredTarget, ...], paused: dict[str, Pause], *, has_store: bool) -> None:
    """The form that changes, pauses, renames or removes one target."""
    with theme.card("change_target", "Change a target", "every change can be undone"):
        name = st.selectbox("Target", [target.name for target in targets], key="edit_target")
        target = next(each for each in targets if each.name == name)
        _settings(target)
        with st.container(horizontal=True, vertical_alignment="bottom", key="edit_actions"):
            if has_store:
                _pause(target, paused.get(target.name))
            _rename(target)
            _remove(target)


def _settings(target: ConfiguredTarget) -> None:
    often, tagged, button = st.columns([1, 2, 1], vertical_alignment="bottom")
    unchanged = f"{formatting.duration(target.every_s)} (unchanged)"
    every = often.selectbox("Interval", [unchanged, *INTERVALS], key=f"edit_every_{target.name}_{target.every_s}")
    before = ", ".join(target.tags)
    tags = tagged.text_input("Tags, separated by commas", before, key=f"edit_tags_{target.name}_{before}")
    is_changed = every != unchanged or tags != before
    kind: Literal["primary", "secondary"] = "primary" if is_changed else "secondary"
    if button.button("Save changes", key="edit_save", disabled=not is_changed, type=kind):
        options: dict[str, str | bool | None] = {"--json": True}
        if every != unchanged:
            options["--every"] = every
        command = Command("change", (target.name,), options)
        if tags != before:  # an empty value would be left out; a comma removes all tags
            command = Command("change", (target.name,), options | {"--tags": tags.strip() or ","})
        result = command.run()
        text = "was updated" if result.document.get("written") else "has these settings already"
        _report(result, f"“{target.name}” {text}.", _undo("change", result))


def _pause(target: ConfiguredTarget, pause: Pause | None) -> None:
    if pause is not None:
        if st.button("Resume", key="edit_resume", icon=":material/play_arrow:"):
            _report(Command("resume", (target.name,)).run(), f"“{target.name}” was resumed.")
        return
    with st.popover("Pause…", icon=":material/pause:"):
        length = st.selectbox("For", list(PAUSES), key="edit_pause_for")
        reason = st.text_input("Reason", placeholder="shown on the dashboard", key="edit_pause_reason")
        if st.button("Pause", key="edit_pause", type="primary"):
            command = Command("pause", (target.name,), {"--for": PAUSES[length], "--reason": reason.strip()})
            _report(command.run(), f"“{target.name}” was paused.", Command("resume", (target.name,)))


def _rename(target: ConfiguredTarget) -> None:
    with st.popover("Rename…", icon=":material/edit:"):
        new = st.text_input("New name", target.name, key=f"edit_name_{target.name}").strip()
        st.caption("Its history moves to the new name. While a collector is running, this can take up to 30 seconds.")
        if st.button("Rename", key="edit_rename", disabled=not new or new == target.name):
            with st.spinner("Moving its history…"):
                result = Command("rename", (target.name, new)).run()
            _report(result, f"“{target.name}” was renamed to “{new}”.", Command("rename", (new, target.name)))


def _remove(target: ConfiguredTarget) -> None:
    with st.popover("Remove…", icon=":material/delete:"):
        st.markdown("Stops probing this target. Its history is kept and can be exported.")
        if st.button("Remove it", key="edit_remove", type="primary"):
            result = Command("remove", (target.name,), {"--yes": True, "--json": True}).run()
            _report(result, f"“{target.name}” was removed.", _undo("remove", result))


def _undo(command: str, result: CommandResult) -> Command | None:
    undo_id = result.document.get("undo")
    return Command(command, options={"--undo": str(undo_id), "--json": True}) if undo_id else None


def _report(result: CommandResult, text: str, undo: Command | None = None) -> None:
    if result.error is not None:
        st.error(formatting.as_markdown(result.error), icon=":material/error:")
    else:
        set_notice(text, undo)
