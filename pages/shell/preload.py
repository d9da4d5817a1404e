"""What is done before the first viewer comes, so that no viewer waits for it."""

from __future__ import annotations

import gc
import importlib
import pkgutil

import pages

MAIN = "pages.shell.main"  # the script itself, which runs for a viewer


def get_ready() -> None:
    """Import what pages use, and set all that is loaded by now aside from garbage collection.

    Streamlit collects after each run of a script, fragments included, and no message reaches a browser meanwhile. Of
    120,000 objects, nearly all of them modules that stay, a collection takes 0.14 s; of what runs made, 0.02 to 0.05 s.
    """
    for module in pkgutil.walk_packages(pages.__path__, "pages."):
        if module.name.count(".") > 1 and module.name != MAIN:
            importlib.import_module(module.name)
    importlib.import_module("plotly.io")
    gc.collect()
    gc.freeze()
