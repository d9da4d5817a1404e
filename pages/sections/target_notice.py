"""The last change to the targets, and its undo button."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st

from pages.components import formatting
from pages.shell.commands import CommandResult, Options, run_command

_NOTICE = "targets_notice_text"


@dataclass(frozen=True)
class Command:
    """A command of the collector with its options, as `run_command` takes them."""

    name: str
    positional: tuple[str, ...] = ()
    options: Options = field(default_factory=dict)

    def run(self) -> CommandResult:
        """Run it, for a viewer who may edit."""
        return run_command(self.name, *self.positional, options=self.options)


@dataclass(frozen=True)
class Notice:
    """What happened, in a sentence, and the command that undoes it, if there is one."""

    text: str
    undo: Command | None = None
    is_error: bool = False


def set_notice(text: str, undo: Command | None = None) -> None:
    """Show this at the top of the page, which runs again."""
    st.session_state[_NOTICE] = Notice(text, undo)
    st.rerun()


def show_notice() -> None:
    """Show the last change of this session, until the next one."""
    last: Notice | None = st.session_state.get(_NOTICE)
    if last is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="targets_notice"):
        (st.error if last.is_error else st.success)(formatting.as_markdown(last.text))
        if last.undo is not None and st.button("Undo", key="targets_undo", icon=":material/undo:"):
            result = last.undo.run()
            st.session_state[_NOTICE] = Notice(result.error or "Undone.", is_error=result.error is not None)
            st.rerun()
