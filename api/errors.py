"""What a request of the API did wrong, in words, with the status that says so."""

from __future__ import annotations


class ApiError(Exception):
    """The request cannot be answered as it is. The message says what is wrong and what to send instead."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
