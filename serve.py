"""The dashboard with its own routes beside the pages, for downloads that stream.

streamlit run serve.py
"""

from pathlib import Path

import streamlit as st

from pages.shared.routes import ROUTES

app = st.App(Path(__file__).with_name("app.py"), routes=ROUTES)
