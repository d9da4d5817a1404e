"""The dashboard's front door.

    streamlit run app.py

Streamlit runs `pages/shell/main.py` for every viewer. Next to it are the routes of the API, and in front of both the
middleware below. The script is not in this folder, because Streamlit would treat the `pages/` folder next to it as
pages of its own, without the sign-in and the navigation.
"""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from api.registry import ROUTES
from pages.queries import access
from pages.shell.host_check import HostCheck
from pages.shell.password_gate import PasswordGate
from pages.shell.preload import get_ready
from pages.shell.routes_below_base import RoutesBelowBase
from pages.shell.safeguards import Safeguards
from pages.shell.static_files import StaticFiles

access.refuse_wrong_settings()
app = st.App(
    Path(__file__).parent / "pages" / "shell" / "main.py",
    lifespan=get_ready,
    routes=ROUTES,
    middleware=[
        Middleware(Safeguards),
        Middleware(HostCheck),
        Middleware(RoutesBelowBase, routes=ROUTES),
        Middleware(PasswordGate, routes=ROUTES),
        Middleware(StaticFiles),
    ],
)
