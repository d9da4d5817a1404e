"""What a type of channel is."""

from __future__ import annotations

from collections.abc import Callable

from alerts.messages import Message
from settings.alerts import Channel

CONNECT_S, READ_S, WHOLE_S = 5.0, 10.0, 20.0


class SendError(Exception):
    """The channel did not take a message; why, without its secrets. `wait_s`: how long it asked to be left alone."""

    def __init__(self, problem: str, wait_s: float | None = None) -> None:
        super().__init__(problem)
        self.wait_s = wait_s


Send = Callable[[Channel, Message], None]
