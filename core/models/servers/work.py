"""What an engine is asked and what it answers: the seam between HTTP and the libraries.

Runs in child processes, perhaps in another environment: only the standard library here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Draw:
    """Pictures to be made. What is None is left to the engine."""

    model: str
    prompt: str = ""
    op: str = "draw"
    """draw, edit, vary, upscale or cutout."""
    count: int = 1
    size: tuple[int, int] | None = None
    """Width and height in pixels."""
    negative: str = ""
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    strength: float | None = None
    inputs: tuple[bytes, ...] = field(default=(), repr=False)
    mask: bytes | None = field(default=None, repr=False)
    partials: int = 0
    """Pictures wanted on the way."""


@dataclass(frozen=True, slots=True)
class Embed:
    """Texts to be embedded: as questions, or as what is searched."""

    texts: tuple[str, ...]
    is_query: bool = False


@dataclass(frozen=True, slots=True)
class Speak:
    """A text to be spoken. ``voice`` and ``language`` may be empty."""

    text: str
    voice: str = ""
    language: str = ""
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Compose:
    """Music or a noise to be made, about so many seconds long."""

    prompt: str
    seconds: float = 8.0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Hear:
    """A recording to be written down; an empty ``language`` is found out."""

    data: bytes = field(repr=False)
    language: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """A picture whose text is to be read."""

    picture: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Judge:
    """Pictures of which is asked what a moderator would say."""

    pictures: tuple[bytes, ...] = field(repr=False)


Request = Draw | Embed | Speak | Compose | Hear | Read | Judge


@dataclass(frozen=True, slots=True)
class Pictures:
    """PNG files."""

    files: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Vectors:
    """One for each text, as little-endian float32."""

    rows: tuple[bytes, ...]
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file."""

    data: bytes
    mime: str


@dataclass(frozen=True, slots=True)
class Words:
    """What was heard or read. ``seconds``: how long the recording is."""

    text: str
    seconds: float = 0.0
    language: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """Of each picture: by category a score between 0 and 1, and from which on it counts."""

    scores: tuple[dict[str, float], ...]
    least: float


Answer = Pictures | Vectors | Sound | Words | Judged


class EngineError(Exception):
    """The engine does not do it. ``status`` is HTTP's, ``code`` is for programs; ``param`` tells what can be had."""

    def __init__(self, message: str, code: str = "engine_failed", *, status: int = 503, param: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.param = param


def refused(message: str, code: str = "invalid_request", *, param: str = "") -> EngineError:
    """The request is at fault, not the engine."""
    return EngineError(message, code, status=400, param=param)


class CancelledByCaller(Exception):
    """Nobody wants it any more."""


class Telling(Protocol):
    """How far an engine is. Both raise CancelledByCaller once nobody wants the answer any more."""

    def step(self, step: int, steps: int) -> None:
        """So many steps of all are done."""
        ...

    def partial(self, picture: bytes) -> None:
        """The picture as it is now, as a file."""
        ...


class Engine(Protocol):
    """A library with its models in memory. It is used by one thread alone."""

    @property
    def models(self) -> Sequence[str]:
        """The models that it answers for; empty: any name."""
        ...

    def work(self, request: Request, telling: Telling) -> Answer:
        """Raises EngineError for what it does not do; what else it raises is a failure."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What an engine is opened with."""

    data: Path
    """Parley's data folder."""
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    """Its models: a name, and a folder, file or name in the hub."""
    threads: int = 2
    device: str = "cpu"
    """auto, cpu, or as torch names it."""
    longest_seconds: int = 600
    """Of a recording that is listened to."""


def torch_device(setup: Setup) -> str:
    """Where torch computes: as set, else the fastest there is."""
    torch = library("torch")
    if setup.device != "auto":
        return setup.device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


Open = Callable[[Setup], Engine]
"""Loads an engine; may take minutes. Raises EngineError, or whatever the library raises."""


def library(name: str) -> Any:
    """A module of the engine's environment, which type checkers of this one cannot see.

    Raises EngineError where it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EngineError(f"The library {name} is not installed for this engine ({error}).", "not_installed") from None
