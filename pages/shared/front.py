"""What every viewer sees first: the pages, the looks and the time range that all pages share."""

from pathlib import Path

import streamlit as st

from pages.shared import access, freshness, looks, window

PAGES = Path(__file__).resolve().parents[1]

st.set_page_config(page_title="Uptoken", page_icon=str(looks.ICON), layout="wide")
access.let_in()
page = st.navigation(
    [
        st.Page(PAGES / "overview.py", title="Overview", default=True),
        st.Page(PAGES / "model.py", title="Model"),
        st.Page(PAGES / "compare.py", title="Compare"),
        st.Page(PAGES / "routing.py", title="Routing"),
        st.Page(PAGES / "catalog.py", title="Catalog"),
        st.Page(PAGES / "export.py", title="Export"),
    ],
    position="top",
)
st.logo(looks.LOGO, size="large")
looks.style()
with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="head"):
    freshness.line()
    window.control()
window.custom_control()
page.run()
