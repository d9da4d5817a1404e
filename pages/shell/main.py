"""What all pages share: the sign-in, the navigation, the theme and the time range."""

import os
from html import escape
from pathlib import Path

import streamlit as st

from pages.components import theme
from pages.shell import browser, help, sign_in, staleness, time_range, workload
from settings.secrecy import hidden

PAGES = Path(__file__).resolve().parents[1]

st.set_page_config(page_icon=str(theme.ICON), layout="wide")
everything = sign_in.let_in()
alerts = st.Page(PAGES / "alerts.py", title="Alerts")
targets = st.Page(PAGES / "targets.py", title="Targets")
export = st.Page(PAGES / "export.py", title="Export")
system = st.Page(PAGES / "system.py", title="System")
status = st.Page(PAGES / "public_status.py", title="Public status", url_path="public-status", default=not everything)
glossary = st.Page(help.PAGE, title="Glossary", visibility="hidden")  # the overview has a link to it
page = st.navigation(
    [
        st.Page(PAGES / "overview.py", title="Overview", default=True),
        st.Page(PAGES / "model.py", title="Model"),
        st.Page(PAGES / "compare.py", title="Compare"),
        st.Page(PAGES / "routing.py", title="Routing"),
        st.Page(PAGES / "catalog.py", title="Catalog"),
        targets,
        alerts,
        export,
        system,
        status,
        glossary,
    ]
    if everything
    else [status],
    position="top" if everything else "hidden",
)
st.set_page_config(page_title=f"{page.title} · Uptoken")
st.logo(theme.LOGO, size="large")
theme.style()
browser.mount()
if page is not status:
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="head"):
        staleness.line()
        if page not in (targets, alerts, system, glossary):  # which do not depend on a range
            time_range.control()
    staleness.stopped_bar()
    if page not in (targets, alerts, system, glossary):
        time_range.custom_control()
        time_range.effective_range()
if notice := os.environ.get("UPTOKEN_NOTICE"):
    st.html(f'<div class="u u-notice" role="note">{escape(hidden(notice))}</div>')
workload.carry_over(page.url_path)
page.run()
if not everything:
    st.button("Log in", on_click=st.login, type="tertiary", help="To see all pages")
sign_in.sign_out()
