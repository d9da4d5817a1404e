"""When the first visible answer text came, found while the stream passes and without keeping the answer."""

from __future__ import annotations

from collectors.http.thoughts import closing_mark, first_thought

HEAD_CHARACTERS = 160
"""An opening mark of reasoning stands within so many characters, if it comes at all."""
TAIL_CHARACTERS = 128
"""Longer than any closing mark."""
_HINTS = (">", "]", "▷")
"""One of them ends every closing mark but `assistantfinal`."""


class AnswerClock:
    """Fed with each piece of text and its stamp. Reasoning that a server leaves in the text is not an answer; where the
    prompt's template opens it, only its end shows that everything before was reasoning.
    """

    def __init__(self) -> None:
        self.first_answer_at: float | None = None
        self.reasoned = False
        """Reasoning stood in the text."""
        self._head: list[tuple[float, str]] | None = []
        self._length = 0
        self._tail = ""
        self._waits_for_answer = False
        self._is_over = False

    def note(self, at: float, text: str) -> None:
        """A piece of the text came."""
        if self._is_over:
            return
        if self._head is not None:
            self._head.append((at, text))
            self._length += len(text)
            if self._length >= HEAD_CHARACTERS:
                self._judge(self._head)
        elif self._waits_for_answer:
            self._answer(at, text)
        else:
            self._look_for_end(at, text)

    def close(self) -> None:
        """The text is complete."""
        if self._head is not None:
            self._judge(self._head)
        self._is_over = True

    def _judge(self, head: list[tuple[float, str]]) -> None:
        text = "".join(piece for _, piece in head)
        thought = first_thought(text)
        self._head, self._tail = None, text[-TAIL_CHARACTERS:]
        if thought.end == 0:
            self.first_answer_at = head[0][0] if text.strip() else None
            return
        self.reasoned = not thought.is_empty
        if closing_mark(text) is None:
            return  # its end has not come yet
        self._waits_for_answer = True
        begins = thought.end
        for at, piece in head:
            if begins < len(piece):
                self._answer(at, piece[max(begins, 0) :])
            begins -= len(piece)

    def _look_for_end(self, at: float, text: str) -> None:
        data = self._tail + text
        self._tail = data[-TAIL_CHARACTERS:]
        if not any(hint in text for hint in _HINTS) and "assistantfinal" not in data:
            return
        end = closing_mark(data)
        if end is None:
            return
        self.reasoned, self.first_answer_at, self._waits_for_answer = True, None, True
        self._answer(at, data[end:])

    def _answer(self, at: float, text: str) -> None:
        if text.strip() and not self._is_over:
            self.first_answer_at, self._is_over = at, True
