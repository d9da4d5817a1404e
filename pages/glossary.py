"""What is measured, and what the terms mean."""

import streamlit as st

from pages.components import glossary, theme
from pages.shell import help

st.html(theme.head("Glossary", "What Uptoken measures, and the terms on its pages. They are also shown as tooltips."))
with theme.card("about", "What is measured"):
    help.about()
with theme.card("terms", "Terms"):
    st.html(glossary.definitions())
with theme.card("outcomes", "Outcomes", "how a probe can end, and what each counts as"):
    st.html('<div id="outcomes"></div>')
    st.html(glossary.outcomes())
