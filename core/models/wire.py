"""The seam between the router and a wire format."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.models.chat import AS_USUAL, ChatMessage, Sampling, ToolForm
from core.models.model import Model
from core.models.settings import PictureWork
from core.parts import Ending, ToolCall


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
    tools: tuple[ToolForm, ...] = ()
    """What it may ask for."""
    schema: Mapping[str, Any] | None = None
    """The JSON schema that the answer is to follow; left out where the model cannot be held to one."""


@dataclass(frozen=True, slots=True)
class Done:
    """The model ended by itself: COMPLETE, LENGTH or FILTERED. Tokens are None where nobody tells."""

    ending: Ending
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    calls: tuple[ToolCall, ...] = ()
    """What it wants done before it goes on."""
    left_out: frozenset[str] = frozenset()
    """Names of values to sample by that the model does not take."""


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
    language: str = ""
    """As the server tells it: a code or a name in English."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text to be said aloud."""

    text: str
    voice: str
    """As the server calls it."""
    language: str = ""
    """Its code; empty where nobody knows."""
    speed: float = 1.0
    """1: as usual."""
    once: str = ""
    """Names the call, so that it is not paid twice (``core/models/once.py``); empty where it has no name."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """Pictures to be made. What the model's row does not take is left out where it is asked.

    ``sender`` names the asker to a provider that wants to know, and tells nothing of them.
    """

    prompt: str
    size: str = "square"
    """A shape (``core.settings.Shape``), or pixels as ``WIDTHxHEIGHT``."""
    count: int = 1
    sender: str = ""
    op: PictureWork = "draw"
    negative: str = ""
    """What is not to be seen."""
    quality: str = ""
    """In the server's words; empty: as the model's row says."""
    seed: int | None = None
    """The same again makes the same picture."""
    steps: int | None = None
    strength: float | None = None
    """Of a change, 0 to 1: how little is left of what there was."""
    inputs: tuple[bytes, ...] = ()
    """The pictures that it begins with, made ready by :mod:`core.models.vision`."""
    mask: bytes = b""
    """A PNG of the first one's size, white and see-through where it may be changed."""
    once: str = ""
    """Names the call, so that it is not paid twice (``core/models/once.py``); empty where it has no name."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far a picture is: 0 to 1."""

    done: float


@dataclass(frozen=True, slots=True)
class Partial:
    """What a picture looks like so far, as a file."""

    picture: bytes


@dataclass(frozen=True, slots=True)
class Drawing:
    """Pictures as files. Tokens are None where nobody tells."""

    pictures: tuple[bytes, ...]
    prompt_tokens: int | None = None
    answer_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class FilmRequest:
    """A film to be made, or one that is being made already."""

    prompt: str
    seconds: int
    size: str
    """Pixels, as ``WIDTHxHEIGHT``."""
    first: bytes = b""
    """A picture of that size which it begins with."""
    job: str = ""
    """The server's own id of what an earlier call began, to be gone on with."""
    once: str = ""
    """Names the call, so that it is not paid twice (``core/models/once.py``); empty where it has no name."""


@dataclass(frozen=True, slots=True)
class FilmJob:
    """The server has begun it under this id, and goes on whoever asks."""

    id: str


@dataclass(frozen=True, slots=True)
class Film:
    """A film as a file."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a moderation model finds in something, by its own names of categories."""

    scores: Mapping[str, float]
    """0 to 1."""
    flagged: frozenset[str]
    """What it thinks is too much."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """Vectors, as little-endian float32. Tokens are None where nobody tells."""

    vectors: tuple[bytes, ...]
    tokens: int | None = None


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

    async def speak(self, model: Model, utterance: Utterance) -> bytes:
        """The text as sound: Opus in Ogg where the server keeps to what it is asked for. Raises ModelError; has no
        deadline of its own."""
        ...

    async def compose(self, model: Model, prompt: str, seconds: int, *, once: str = "") -> bytes:
        """Music or a noise of about that length, as a file; ``once`` names the call. Raises ModelError; has no deadline
        of its own."""
        ...

    def draw(self, model: Model, request: ImageRequest) -> AsyncGenerator[Step | Partial | Drawing, None]:
        """How far it is, where the server tells, then one Drawing: as many pictures as asked for, or fewer.

        Raises ModelError, :class:`core.errors.UnsupportedPrompt` among them. Has no deadlines of its own; closing it,
        or cancelling a step, ends the call.
        """
        ...

    def film(self, model: Model, request: FilmRequest) -> AsyncGenerator[FilmJob | Step | Film, None]:
        """The id of what was begun, unless it was before; how far it is; at the end the film.

        Raises ModelError. Has no deadlines of its own; closing it ends the looking on, not the server's work.
        """
        ...

    async def forget_film(self, job: str) -> None:
        """Ends what the server makes under an id, where it can be ended. Raises ModelError."""
        ...

    async def judge(self, model: Model, text: str, pictures: Sequence[tuple[str, bytes]] = ()) -> Judgement:
        """What is to be found in a text, and in pictures as their kinds and files. Raises ModelError; has no deadline
        of its own."""
        ...

    async def embed(self, model: Model, texts: Sequence[str], *, is_query: bool) -> Embedding:
        """A vector for each of the texts, all of one length. Raises ModelError; has no deadline of its own."""
        ...

    async def model_ids(self) -> tuple[str, ...]:
        """The server's own names of its models. Raises ModelError; has no deadline of its own."""
        ...

    async def aclose(self) -> None:
        """Closes the connections."""
        ...
