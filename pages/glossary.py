"""What is measured, and what the terms mean."""

import streamlit as st

from pages.components import glossary, theme
from pages.shell import help

st.html(theme.head("Glossary", "What Uptoken measures, and the terms on its pages. They are also shown as tooltips."))
with theme.card("about", "What is measured"):
    help.about()
with theme.card("terms", "Terms"):
    st.html(glossary.definitions())
