from __future__ import annotations

import base64

import pytest

from collectors.http.redaction import safe_error

KEY = "sk-or-v1-0123456789abcdef/CANARY+x"


@pytest.mark.parametrize(
    "echo", [KEY, KEY[:14] + "...", base64.b64encode(KEY.encode()).decode(), KEY.encode().hex(), f"Bearer {KEY}"]
)
def test_no_form_and_no_piece_of_a_key_is_kept(echo: str) -> None:
    text = safe_error(f"bad key: {echo} was refused", [KEY])
    assert text is not None
    assert "was refused" in text
    assert not any(KEY[i : i + 8] in text for i in range(len(KEY) - 7))
    assert echo not in text


def test_terminal_escapes_and_line_breaks_are_gone_and_the_length_is_bounded() -> None:
    text = safe_error("\x1b[31mred\x00\nnext\ud800" + "x" * 1_000)
    assert text is not None
    assert text.startswith("[31mred next x")
    assert len(text) == 300
    assert text.isprintable()


def test_nothing_is_null() -> None:
    assert safe_error(" \n\t ") is None
