"""The seam between the router and a wire format."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from core.models.catalog import Model
from core.models.chat import ChatMessage
from core.parts import Ending


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call to one model."""

    model: Model
    messages: tuple[ChatMessage, ...]
    max_answer: int
    """Tokens."""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The model ended by itself: COMPLETE, LENGTH or FILTERED. Tokens are None where nobody tells."""

    ending: Ending
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


class Wire(Protocol):
    """A client of one of a provider's servers."""

    def stream(self, call: ModelCall) -> AsyncGenerator[str | Done, None]:
        """Pieces of visible text, then one Done. An empty piece is a sign of life: the model thinks.

        Raises ModelError. Has no deadlines of its own; closing it, or cancelling a step, ends the call.
        """
        ...

    async def model_ids(self) -> tuple[str, ...]:
        """The server's own names of its models. Raises ModelError; has no deadline of its own."""
        ...

    async def aclose(self) -> None:
        """Closes the connections."""
        ...
