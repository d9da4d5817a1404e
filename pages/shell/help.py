"""For a first visit, and for whoever wonders: what is measured, how a target is added, what the words mean."""

from __future__ import annotations

import streamlit as st

from pages.components import code_block, glossary, theme

EXAMPLE = """[[target]]
name = "Gemma 3 1B (free)"
model = "google/gemma-3-1b-it:free"
base_url = "https://openrouter.ai/api/v1"
api_key_env = "OPENROUTER_API_KEY"
"""


def about(*, is_open: bool) -> None:
    """All of it, to open and to close."""
    with st.expander("What is this? What is measured, how to add a target, what the words mean", expanded=is_open):
        st.html(
            '<div class="u u-about"><p>Each target is asked a tiny sum with fresh numbers, again and again, from '
            "<b>this collector's own network</b>: whether a good reply came, how long its first token took, how fast "
            "the rest followed, and whether the sum was right. A probe costs a few tokens, and a budget stops it. "
            "What a provider says of itself stands beside it, and is marked as said.</p><p>A target is added in "
            "<code>targets.toml</code>; start the collector again after a change. Check it first with "
            "<code>python -m collectors check</code>, which also says what a day will cost:</p></div>"
        )
        code_block.show(EXAMPLE, "toml")
        st.html(theme.title("The words") + glossary.listed())
