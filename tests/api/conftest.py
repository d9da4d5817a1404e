"""Stores for the tests of the HTTP routes: those of the pages."""

from tests.pages.conftest import store_at

__all__ = ["store_at"]
