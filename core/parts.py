"""What goes out: an answer is a stream of these small values, and every platform renders the same stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.texts import Value


class Ending(StrEnum):
    """How an answer ended. Every ending is shown as what it is."""

    COMPLETE = "complete"
    LENGTH = "length"
    """Cut by the model's length limit; can be continued."""
    FILTERED = "filtered"
    """The provider's content filter stopped it."""
    BROKEN = "broken"
    """The connection or the model broke off after some text, and no fallback could finish it."""
    EMPTY = "empty"
    """The model ended without any text."""
    FAILED = "failed"
    """No model gave any text: all are down, refused or over their deadline."""
    STOPPED = "stopped"
    """The user stopped it."""
    SUPERSEDED = "superseded"
    """The question was edited or deleted while it was being answered; nothing more is shown."""
    SILENT = "silent"
    """Nothing is to be said: what was asked for shows by itself."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer took. ``cost`` is in millionths of a currency unit; ``calls`` counts model calls."""

    model: str = ""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: int = 0
    calls: int = 0


class Activity(StrEnum):
    """What is being made, for platforms that show it."""

    TEXT = "text"
    PHOTO = "photo"
    VIDEO = "video"
    VOICE = "voice"
    FILE = "file"

    @classmethod
    def of(cls, mime: str) -> Activity:
        """Of a file of this type."""
        kinds = {"image": cls.PHOTO, "video": cls.VIDEO, "audio": cls.VOICE}
        return kinds.get(mime.partition("/")[0], cls.FILE)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer, as Markdown."""

    text: str


@dataclass(frozen=True, slots=True)
class Media:
    """A file to show with the answer."""

    name: str
    mime: str
    data: bytes
    description: str = ""
    """What a picture shows, in words, for those who cannot see it."""


@dataclass(frozen=True, slots=True)
class Making:
    """From now on something else than text is made, or text again."""

    activity: Activity


@dataclass(frozen=True, slots=True)
class InLine:
    """The question waits for a free place at a model; it holds until another part comes."""

    place: int
    """1: it is next."""
    seconds: int
    """How long it is expected to wait; 0 where nobody can tell."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is that is being made; it holds until another part comes."""

    key: str
    """The sentence that says what is being done: a key of ``core/texts.py``."""
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])
    done: float | None = None
    """0 to 1; None where nobody can tell."""
    preview: Media | None = None
    """What it looks like so far."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of Parley's own, shown under the answer or alone: a key of ``core/texts.py`` and its values.

    Numbers and amounts are written as the asker's language writes them.
    """

    key: str
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True)
class Poll:
    """A question of a quiz: people vote for one of its options. Its texts are plain."""

    question: str
    options: tuple[str, ...]
    correct: int
    """Which of the options is right, counted from 0."""
    explanation: str = ""
    """Why it is."""
    seconds: int = 0
    """How long votes are taken; 0: as the platform likes it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: pressing it calls ``command``, a command's name with its value behind a blank."""

    label: str
    command: str
    among: str = ""
    """What is chosen, where it is one value of a list: a platform with drop-down lists may show them as one."""


@dataclass(frozen=True, slots=True)
class Menu:
    """Choices under the answer, in rows."""

    rows: tuple[tuple[Choice, ...], ...]
    instead: str = ""
    """What is said in its place, as Markdown, where the platform has no menus."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model wants to have done before it goes on (``core/tools/``)."""

    id: str
    name: str
    arguments: str
    """JSON, if the model wrote it well."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Always the last part, exactly once."""

    ending: Ending
    usage: Usage = Usage()
    causes: tuple[str, ...] = field(default=(), compare=False)
    """For operators: what failed on the way."""
    calls: tuple[ToolCall, ...] = ()
    """It goes on once these are done: seen by the toolbox alone."""


Part = TextDelta | Media | Making | InLine | Progress | Poll | Menu | Notice | Finished
