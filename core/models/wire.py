"""The seam between the router and a wire format."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from core.models.catalog import Model
from core.models.chat import AS_USUAL, ChatMessage, Sampling
from core.parts import Ending
from core.settings import Shape


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call to one model."""

    model: Model
    messages: tuple[ChatMessage, ...]
    max_answer: int
    """Tokens."""
    sender: str = ""
    sampling: Sampling = AS_USUAL
    """Above the model's own."""


@dataclass(frozen=True, slots=True)
class Done:
    """The model ended by itself: COMPLETE, LENGTH or FILTERED. Tokens are None where nobody tells."""

    ending: Ending
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A sound file; ``name`` ends in what tells its format."""

    name: str
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard. Tokens and seconds are None where nobody tells."""

    text: str
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """Pictures to be drawn. ``sender`` names the asker to a provider that wants to know, and tells nothing of them."""

    prompt: str
    shape: Shape = "square"
    count: int = 1
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pictures as files. Tokens are None where nobody tells."""

    pictures: tuple[bytes, ...]
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


class Wire(Protocol):
    """A client of one of a provider's servers."""

    def stream(self, call: ModelCall) -> AsyncGenerator[str | Done, None]:
        """Pieces of visible text, then one Done. An empty piece is a sign of life: the model thinks.

        Raises ModelError. Has no deadlines of its own; closing it, or cancelling a step, ends the call.
        """
        ...

    async def transcribe(self, model: Model, recording: Recording) -> Transcript:
        """What is said in a recording. Raises ModelError; has no deadline of its own."""
        ...

    async def speak(self, model: Model, text: str) -> bytes:
        """The text as sound: Opus in Ogg where the server keeps to what it is asked for. Raises ModelError; has no
        deadline of its own."""
        ...

    async def draw(self, model: Model, request: ImageRequest) -> Drawing:
        """As many pictures as asked for, or fewer. Raises ModelError; has no deadline of its own."""
        ...

    async def model_ids(self) -> tuple[str, ...]:
        """The server's own names of its models. Raises ModelError; has no deadline of its own."""
        ...

    async def aclose(self) -> None:
        """Closes the connections."""
        ...
