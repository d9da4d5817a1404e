"""When the TLS certificates of hosts expire, as probes last saw them."""

from __future__ import annotations

from collections.abc import Iterable

from store.protocol import Selection, Store
from store.schema import CERTIFICATES, Certificate


def certificates(store: Store, until: int) -> list[Certificate]:
    """What each location last saw of each host before `until` (milliseconds UTC). Raises StoreError."""
    return [Certificate(*row) for row in store.read(CERTIFICATES, Selection(until=until))]


def expiry_by_host(rows: Iterable[Certificate]) -> dict[str, int]:
    """When each host's certificate expires (milliseconds UTC), as the location saw it that looked last."""
    return {row.host: row.expires_at for row in sorted(rows, key=lambda row: row.seen_at)}
