"""Everything else, through `apprise`: optional, see requirements-alerts.txt."""

from __future__ import annotations

from alerts.channels.contract import SendError
from alerts.messages import Message
from settings.alerts import Channel

MISSING = "apprise is not installed: pip install -r requirements-alerts.txt"


def send(channel: Channel, message: Message) -> None:
    """Hand the message to the service that the URL names. Raises SendError."""
    try:
        import apprise
    except ImportError:
        raise SendError(MISSING) from None
    sender = apprise.Apprise()
    if channel.url is None or not sender.add(channel.url):
        raise SendError("apprise does not know a service with this URL")
    if not sender.notify(body=message.text, title=f"Uptoken: {message.title}", body_format=apprise.NotifyFormat.TEXT):
        raise SendError("the service did not take it; apprise says no more")
