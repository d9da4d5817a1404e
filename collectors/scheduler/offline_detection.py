"""Whether it was the others that were down, or only this machine's own network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from collectors.scheduler.context import Result
from store.outcomes import DOWN
from store.schema import Probe

OWN_NETWORK = "this machine's own network was down: none of the tick's hosts could be reached"


def judged(findings: Iterable[Result]) -> list[Result]:
    """The findings of a tick, its failures turned to `offline` when every remote host was unreachable.

    One host alone proves nothing unless the system itself says that it has no network or no name service. Hosts on
    this machine do not count: they are reached without a network.
    """
    findings = list(findings)
    contacts = [finding.contact for finding in findings if finding.contact is not None]
    hosts = {contact.host for contact in contacts}
    all_unreached = bool(contacts) and all(contact.unreached for contact in contacts)
    if not all_unreached or not (len(hosts) > 1 or all(contact.own_network for contact in contacts)):
        return findings
    return [_offline(finding) for finding in findings]


def _offline(finding: Result) -> Result:
    if finding.contact is None or not isinstance(finding.row, Probe) or finding.row.outcome not in DOWN:
        return finding
    return replace(finding, row=replace(finding.row, outcome="offline", error=OWN_NETWORK))
