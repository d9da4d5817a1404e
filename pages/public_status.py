"""What the public status page shows, how to link to it, and how it is set up."""

import streamlit as st

from pages.components import code_block, theme
from pages.sections import public_status
from pages.shell import sign_in

st.html(theme.head("Public status", "as others see it: names, states, 90 days of bars and incidents"))
if sign_in.let_in():
    with theme.card("public_settings", "Settings", "environment variables of the dashboard"):
        st.html(public_status.settings_table())
    with theme.card("public_links", "Links", "the page, its feed, and the page in a frame"):
        st.html(public_status.links())
        code_block.show(public_status.frame(st.context.url), "html")


@sign_in.fragment(run_every="30s")
def live() -> None:
    """The page follows along."""
    st.iframe(public_status.preview())


live()
