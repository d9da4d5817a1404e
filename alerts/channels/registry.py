"""Every type of channel: a new one is one file and one entry here. Each loads when something is sent through it."""

from __future__ import annotations

from importlib import import_module

from alerts.channels.contract import Send

_MODULES = {
    "webhook": "alerts.channels.webhook",
    "smtp": "alerts.channels.smtp",
    "apprise": "alerts.channels.through_apprise",
}


def send_function(kind: str) -> Send:
    """The function that sends through channels of a type."""
    send: Send = import_module(_MODULES[kind]).send
    return send
