"""Calls that are not to be paid twice: what was asked for an order, and whose answer was lost with a connection or with
the process that asked, is asked again under the same name, so that a provider that knows such names makes nothing anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from core.errors import ModelError, ModelFault


class Once:
    """The names of the calls for one piece of an order."""

    def __init__(self, piece: str) -> None:
        """``piece`` is the same in whichever process it is asked for; empty: its calls have no names."""
        self._piece = piece
        self._answered: Counter[str] = Counter()

    @contextmanager
    def call(self, model: str) -> Generator[str]:
        """The name of the next call to a model. One that was answered, with an error that is, is not repeated by the
        next: providers would only repeat the answer."""
        try:
            yield f"{self._piece} {self._answered[model]}" if self._piece else ""
        except ModelError as error:
            self._answered[model] += error.fault is not ModelFault.UNREACHABLE
            raise
