"""Cached, typed answers from the store and the statistics. No HTML, no widgets."""
