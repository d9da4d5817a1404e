"""Code to copy. Coloured on the server: the browser's own highlighter would be 1.6 MB of a first visit."""

from __future__ import annotations

from functools import lru_cache
from html import escape

import streamlit as st
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name


def show(text: str, language: str) -> None:
    """`text` in its colours, with a button that copies it."""
    st.html(_html(text, language))


@lru_cache(maxsize=64)
def _html(text: str, language: str) -> str:
    coloured = highlight(text, get_lexer_by_name(language), HtmlFormatter(nowrap=True, classprefix="k-"))
    # tabindex: what scrolls must be reachable by keyboard
    return (
        f'<div class="u u-code" data-language="{escape(language, quote=True)}">'
        '<button type="button" class="u-copy" aria-label="Copy the code">copy</button>'
        f'<pre tabindex="0">{coloured.rstrip()}</pre></div>'
    )
