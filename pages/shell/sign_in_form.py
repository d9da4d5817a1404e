"""The pages to sign in with a password, and to sign out: plain HTML without a script."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256

from markupsafe import Markup

from charts.palette import PALETTES, Mode


@cache
def _css() -> str:
    def colours(mode: Mode) -> str:
        palette = PALETTES[mode]
        return (
            f"--page:{palette.page};--card:{palette.card};--line:{palette.line};--text:{palette.text};"
            f"--muted:{palette.muted};--accent:{palette.accent};--wrong:{palette.down_text}"
        )

    return (
        f":root{{color-scheme:light dark;{colours('light')}}}"
        f"@media(prefers-color-scheme:dark){{:root{{{colours('dark')}}}}}"
        "*{box-sizing:border-box}"
        'body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 "Source Sans",system-ui,sans-serif}'
        "main{max-width:380px;margin:12vh auto 0;padding:24px;background:var(--card);border:1px solid var(--line);"
        "border-radius:12px}h1{font-size:25px;margin:0 0 12px}p{margin:0 0 12px}a{color:inherit}"
        "label{display:block;font-weight:650;margin-bottom:4px}"
        "input,button{width:100%;font:inherit;padding:9px 12px;border-radius:8px;border:1px solid var(--muted);"
        "background:var(--page);color:var(--text)}"
        "button{margin-top:14px;font-weight:650;cursor:pointer;border-color:var(--text)}"
        ":focus-visible{outline:2px solid var(--accent);outline-offset:2px}.wrong{color:var(--wrong);font-weight:650}"
    )


@cache
def policy() -> str:
    """The Content-Security-Policy of these pages."""
    style = b64encode(sha256(_css().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'self'"


def sign_in_page(after: str, wrong: str = "") -> str:
    """The form. `after` is the page to open afterwards, `wrong` why the last attempt was refused."""
    return _page(
        "Sign in",
        Markup(
            "<p>Sign in to see this dashboard.</p>{}"
            '<form method="post" action="login"><input type="hidden" name="next" value="{}">'
            '<input type="text" name="username" value="uptoken" autocomplete="username" hidden>'
            '<label for="password">Password</label>'
            '<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>'
            '<button type="submit">Sign in</button></form>'
        ).format(Markup('<p class="wrong" role="alert">{}</p>').format(wrong) if wrong else "", after),
    )


def sign_out_page() -> str:
    """A form, so that a link on another page does not end the session."""
    return _page(
        "Sign out",
        Markup(
            '<p>This ends your session in this browser. <a href="./">Back to the dashboard</a></p>'
            '<form method="post" action="logout"><button type="submit">Sign out</button></form>'
        ),
    )


def _page(title: str, body: Markup) -> str:
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><title>{0} · Uptoken</title>'
        "<style>{1}</style></head><body><main><h1>Uptoken</h1>{2}</main></body></html>"
    ).format(title, Markup(_css()), body)  # nosec B704: the style is this module's own
