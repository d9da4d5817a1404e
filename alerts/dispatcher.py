"""Sending messages, each channel in a thread of its own: one that hangs delays no probe and no other channel."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from alerts.channels.contract import Send, SendError
from alerts.channels.registry import send_function
from alerts.messages import Message
from settings.alerts import Channel
from settings.secrecy import hidden, redacted
from store.clock import now_ms

MOST_ERROR = 200


@dataclass(frozen=True)
class Delivery:
    """A message that a channel took, or did not (`error`): from when to when that took (milliseconds UTC)."""

    channel: str
    message: Message
    began_at: int
    ended_at: int
    error: str | None = None
    wait_s: float | None = None


class Dispatcher:
    """The threads. At most one message of a channel is under way."""

    def __init__(self, find_send: Callable[[str], Send] = send_function) -> None:
        self._find_send = find_send
        self._ended: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._under_way: set[str] = set()

    @property
    def under_way(self) -> frozenset[str]:
        """The channels that have not said yet whether they take their message."""
        return frozenset(self._under_way)

    def start(self, channel: Channel, message: Message) -> None:
        """Send a message."""
        self._under_way.add(channel.name)
        work = threading.Thread(target=self._send, args=(channel, message), name=f"alerts-{channel.name}", daemon=True)
        try:
            work.start()
        except RuntimeError as problem:  # no thread could be started
            now = now_ms()
            self._ended.put(Delivery(channel.name, message, now, now, str(problem)))

    def take_ended(self) -> list[Delivery]:
        """The messages that are decided since the last time."""
        ended = []
        while not self._ended.empty():
            ended.append(self._ended.get())
            self._under_way.discard(ended[-1].channel)
        return ended

    def _send(self, channel: Channel, message: Message) -> None:
        began_at, error, wait_s = now_ms(), None, None
        try:
            deliver(channel, message, self._find_send)
        except SendError as problem:
            error, wait_s = str(problem), problem.wait_s
        self._ended.put(Delivery(channel.name, message, began_at, now_ms(), error, wait_s))


def deliver(channel: Channel, message: Message, find_send: Callable[[str], Send] = send_function) -> None:
    """Send a message here and now. Raises SendError, whose text has no secret."""
    wait_s = None
    try:
        if channel.problem is not None or channel.url is None:
            raise SendError(channel.problem or f"it has no URL: {channel.where_url_belongs}")
        find_send(channel.type)(channel, message)
        return
    except SendError as caught:
        problem, wait_s = str(caught), caught.wait_s
    except Exception as caught:  # noqa: BLE001  a library that breaks is a failed delivery, and must not end the thread
        problem = f"{type(caught).__name__}: {caught}"
    raise SendError(hidden(redacted(problem))[:MOST_ERROR], wait_s)
