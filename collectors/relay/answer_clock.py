"""When the first visible answer text came, found while the stream passes and without keeping the answer."""

from __future__ import annotations

from collectors.http.thoughts import first_thought

KEPT_CHARACTERS = 4_096
"""An opening mark of reasoning stands within so many characters, if it comes at all."""
_KEPT_TAIL = 64
"""Longer than any closing mark."""


class AnswerClock:
    """Fed with each piece of text and its stamp. Reasoning that a server leaves in the text is not an answer."""

    def __init__(self) -> None:
        self.first_answer_at: float | None = None
        self.reasoned = False
        """Reasoning stood in the text."""
        self._pieces: list[tuple[float, str]] = []
        self._length = 0
        self._is_decided = False

    def note(self, at: float, text: str) -> None:
        """A piece of the text came."""
        if self._is_decided:
            return
        self._pieces.append((at, text))
        self._length += len(text)
        if self._length >= KEPT_CHARACTERS:
            self._decide(is_over=False)

    def close(self) -> None:
        """The text is complete."""
        if not self._is_decided:
            self._decide(is_over=True)

    def _decide(self, *, is_over: bool) -> None:
        text = "".join(piece for _, piece in self._pieces)
        thought = first_thought(text)
        self.reasoned = self.reasoned or not thought.is_empty
        answer = text[thought.end :]
        if not answer.strip():
            if not is_over:  # still reasoning: only its end is looked for from here on
                self._forget_all_but_the_mark(text)
            return
        begins = thought.end
        if self.reasoned:
            begins += len(answer) - len(answer.lstrip())
        for at, piece in self._pieces:
            begins -= len(piece)
            if begins < 0:
                self.first_answer_at = at
                break
        self._is_decided, self._pieces = True, []

    def _forget_all_but_the_mark(self, text: str) -> None:
        stamp = self._pieces[-1][0]
        kept = text[:_KEPT_TAIL] + text[-_KEPT_TAIL:]
        self._pieces, self._length = [(stamp, kept)], KEPT_CHARACTERS - _KEPT_TAIL
