"""Cached, typed answers from the store and the statistics. No HTML, no widgets."""

import logging

import streamlit  # noqa: F401  it sets the level of its own loggers when it is imported

# the routes declare cached functions before Streamlit's server runs, which it would say of each of them at every start
logging.getLogger("streamlit.runtime.caching.cache_data_api").setLevel(logging.ERROR)
