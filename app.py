"""The dashboard's front door.

    streamlit run app.py

Streamlit runs `pages/shell/main.py` for every viewer; beside it are the routes that downloads stream through, and in
front of both a check of the host that a request is for, and what every response says to browsers. The script does not
lie here, because Streamlit would take a `pages/` folder next to it for pages of their own, without their head, for
whoever opens a link to one first.
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
