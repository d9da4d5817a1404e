"""Telling failures of the targets from a failure of this machine's own network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from collectors.contract import Result
from store.outcomes import DOWN
from store.schema import Probe

OWN_NETWORK = "this machine's network was down: no host could be reached"


def detect_offline(results: Iterable[Result]) -> list[Result]:
    """The results of a tick, its failures turned into `offline` when every remote host was unreachable.

    One host alone proves nothing unless the system itself says that it has no network or no name service. Hosts on
    this machine do not count: they are reached without a network.
    """
    results = list(results)
    contacts = [result.reachability for result in results if result.reachability is not None]
    hosts = {contact.host for contact in contacts}
    all_unreached = bool(contacts) and all(contact.unreached for contact in contacts)
    if not all_unreached or not (len(hosts) > 1 or all(contact.own_network for contact in contacts)):
        return results
    return [_offline(result) for result in results]


def _offline(result: Result) -> Result:
    if result.reachability is None or not isinstance(result.row, Probe) or result.row.outcome not in DOWN:
        return result
    return replace(result, row=replace(result.row, outcome="offline", error=OWN_NETWORK))
