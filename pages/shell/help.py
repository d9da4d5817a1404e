"""An introduction for newcomers: what is measured, and how to add a target."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.components import code_block

EXAMPLE = """[[target]]
name = "Gemma 3 1B (free)"
model = "google/gemma-3-1b-it:free"
base_url = "https://openrouter.ai/api/v1"
api_key_env = "OPENROUTER_API_KEY"
"""


PAGE = Path(__file__).resolve().parents[1] / "glossary.py"


def introduction(*, is_open: bool) -> None:
    """The introduction, to open and to close, with a link to the glossary."""
    with st.expander("What is measured, and how to add a target", expanded=is_open):
        about()
        st.page_link(str(PAGE), label="Glossary: what the terms mean", icon=":material/menu_book:")


def about() -> None:
    """What is measured, and how to add a target."""
    st.html(
        '<div class="u u-about"><p>Uptoken probes each target on a timer with a tiny, freshly generated sum, from '
        "<b>this collector's own network</b>, and records whether a response came, the time to its first token, the "
        "output speed, and whether the answer was correct. A probe costs a few tokens, and a budget limits the total. "
        "What a provider reports about itself is shown next to that and marked as reported.</p><p>Add targets on "
        'the <a href="targets" target="_self">Targets</a> page, with <code>python -m collectors add</code>, or in '
        "<code>targets.toml</code>: a running collector starts to probe them within seconds. <code>python -m "
        "collectors check</code> validates the file and estimates the daily cost:</p></div>"
    )
    code_block.show(EXAMPLE, "toml")
