"""`rebuild`: roll-ups and incidents anew from the raw probes."""

from __future__ import annotations

import sys

from cli.options import StoreUrl, store_url


def rebuild(store: StoreUrl = None) -> int:
    """Make the roll-ups by hour and day and the incidents anew from the raw probes.

    They are kept up to date with every probe and do not drift, so this is only for doubts, or after the file was
    changed by hand. What is older than the raw probes that are kept stays as it is.
    """
    from collectors.scheduler.lock import nobody_writes
    from store import open_store

    url = store_url(store)
    with nobody_writes(url):
        opened = open_store(url)
        try:
            count = opened.rebuild()
        finally:
            opened.close()
    print(f"rebuilt roll-ups and incidents from {count:,} probes", file=sys.stderr)
    return 0
