"""Uptoken's version, as `pyproject.toml` has it too: a test compares them."""

VERSION = "1.0.0"
