"""Stores for the tests of what is deployed: those of the pages."""

from tests.pages.conftest import filled, store_at

__all__ = ["filled", "store_at"]
