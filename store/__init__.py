"""The rows: their shape, the engines that keep them, and the files that they leave and enter by."""

from store.protocol import ALL, NoStoreError, Selection, Series, Store, StoreError, StoreUrlError
from store.rollups import Spending
from store.url import DEFAULT_URL, open_store

__all__ = [
    "ALL",
    "DEFAULT_URL",
    "NoStoreError",
    "Selection",
    "Series",
    "Spending",
    "Store",
    "StoreError",
    "StoreUrlError",
    "open_store",
]
