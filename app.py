"""The dashboard's front door: the pages, the looks and the time range that all pages share.

    streamlit run serve.py

serves these pages, and beside them the routes that downloads stream through.
"""

import streamlit as st

from pages.shared import freshness, looks, window

st.set_page_config(page_title="Uptoken", page_icon=str(looks.ICON), layout="wide")
page = st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", default=True),
        st.Page("pages/model.py", title="Model"),
        st.Page("pages/export.py", title="Export"),
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
