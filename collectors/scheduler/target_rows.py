"""The configured targets as rows: the dashboard does not read the configuration."""

from __future__ import annotations

import json
from dataclasses import replace

from settings.maintenance import to_json
from settings.targets import Config, ProbeTarget
from store import Store
from store.schema import TARGETS, Target


def changed_targets(store: Store, config: Config, location: str, now: int) -> list[Target]:
    """The rows that differ from the store's for this location; a target that left the configuration is `removed`."""
    known = {row.name: row for row in (Target(*values) for values in store.read(TARGETS)) if row.location == location}
    wanted = {target.name: _row(target, location, now) for target in config.all_targets}
    removed = [replace(row, state="removed", updated_at=now) for name, row in known.items() if name not in wanted]
    changed = [row for row in wanted.values() if _same_moment(known.get(row.name), now) != row]
    return changed + [row for row in removed if known[row.name].state != "removed"]


def _same_moment(row: Target | None, now: int) -> Target | None:
    return row and replace(row, updated_at=now)


def _state(target: ProbeTarget) -> str:
    if not target.enabled:
        return "disabled"
    return "waiting_for_key" if target.waits_for_key else "active"


def _row(target: ProbeTarget, location: str, now: int) -> Target:
    return Target(
        name=target.name,
        location=location,
        state=_state(target),
        model=target.model,
        base_url=target.base_url,
        every_s=target.every_s,
        profile=target.profile,
        updated_at=now,
        throughput_every_s=target.throughput_every_s,
        provider=target.provider,
        api_key_env=target.api_key_env,
        tags=",".join(target.tags) or None,
        api=target.api,
        api_key_header=target.api_key_header,
        params=json.dumps(dict(target.params)) if target.params else None,
        answer_check=target.check,
        maintenance=to_json(target.maintenance),
        ttft_max_s=target.ttft_max_s,
        slo=target.slo,
    )
