"""What of a model's raw text is the answer: thoughts left out, characters whole."""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


class VisibleText:
    """Takes raw pieces in order and gives the visible text in them.

    Small local models write their thoughts as a ``<think>`` block before the answer. Only a block at the very
    beginning counts: further on, the tag is something the answer talks about.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    def feed(self, piece: str) -> str:
        """The visible text that is certain after ``piece``; may be empty."""
        if self._state == "answer" and not self._held and piece.isascii():
            return piece
        text = self._held + piece
        self._held = ""
        if self._state == "start":
            text = self._begin(text)
        if self._state == "thoughts":
            text = self._skip(text)
        return self._whole(text)

    def finish(self) -> str:
        """What was still held back when the answer ended."""
        text, self._held = self._held, ""
        return "" if self._state == "thoughts" else _mend(text)

    def _begin(self, text: str) -> str:
        start = text.lstrip()
        if start.startswith(OPEN):
            self._state = "thoughts"
            return start[len(OPEN) :]
        if OPEN.startswith(start):
            self._held = text
            return ""
        self._state = "answer"
        return text

    def _skip(self, text: str) -> str:
        _, closed, rest = text.partition(CLOSE)
        if closed:
            self._state = "answer"
            return rest
        # The closing tag may come in two pieces.
        self._held = text[-(len(CLOSE) - 1) :]
        return ""

    def _whole(self, text: str) -> str:
        """Keeps half of a surrogate pair back: some servers split one over two JSON strings."""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._held = text[-1]
            text = text[:-1]
        return _mend(text)


def _mend(text: str) -> str:
    """Joins surrogate pairs and replaces lone halves, which no wire accepts."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
