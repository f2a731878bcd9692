"""What a tool is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.access import Right
from core.conversation.turn import Turn
from core.errors import ParleyError
from core.models.chat import ToolForm
from core.parts import Part

Arguments = Mapping[str, Any]


class ToolError(ParleyError):
    """A tool could not do it; the text is for the model."""


@dataclass(frozen=True, slots=True)
class Output:
    """What the model is told: data, never more than that."""

    text: str


@dataclass(frozen=True, slots=True)
class Caller:
    """In whose name a tool runs: nothing that a model or another tool said gives it more rights than theirs."""

    turn: Turn
    has: Callable[[Right], Awaitable[bool]]
    """Whether the asker may; to be asked whenever a tool does something. Raises RightsUnknownError, StorageError."""
    number: int = 1
    """Of the call among those of the same tool in the turn."""
    heard: str = ""
    """What was said before in the conversation, by people and by tools that give links; nothing of the model's."""


Run = Callable[[Arguments, Caller], AsyncGenerator[Part | Output]]
"""Does it: Outputs for the model, parts for the answer (Finished only for what it took). It may be run again from the
beginning when its process dies, and is closed when the answer is stopped. Raises ToolError, StorageError."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that models can ask for."""

    form: ToolForm
    run: Run
    allowed_as: str
    """The name by which settings and spaces allow it."""
    called: str = ""
    """The key of what people know it as; empty: its form's name."""
    right: Right | None = None
    """What the asker needs besides the right to use tools."""
    is_there: Callable[[Turn], Awaitable[bool]] | None = None
    """Whether it is of any use there and now; None: always."""
    subject: Callable[[Arguments], str] = lambda arguments: ""
    """What it is looking at, for people: one short word, like a host's name."""
    gives_links: bool = False
    """Links in its output may be opened: what it says is never what the model itself wrote to it."""
    seconds: float = 60.0
    """The longest that it may take."""


def text_of(arguments: Arguments, name: str) -> str:
    """An argument that is a text; empty where it is none."""
    value = arguments.get(name)
    return value if isinstance(value, str) else ""


def takes(required: Sequence[str] = (), **arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments, by their names."""
    return {
        "type": "object",
        "properties": arguments,
        "required": list(required),
        "additionalProperties": False,
    }


def words(about: str, most: int) -> dict[str, Any]:
    """An argument that is a text of so many characters at most; ``about`` is for the model."""
    return {"type": "string", "description": about, "maxLength": most}
