"""Forms for what a command lacks: a long text with files beside it. Discord calls them modals. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bots.discord_bot.calls import uploads
from core.commands.row import Command, Kind, Option
from core.message import Attachment, CommandCall, clean_text

Payload = Mapping[str, Any]

MODAL = 9
"""First answer to an interaction: a form."""
LABEL, INPUT, UPLOAD = 18, 4, 19
"""Types of components."""
LINE, PARAGRAPH = 1, 2
"""Styles of an input with one line and with many."""
ASKED = (Kind.LONG, Kind.SECRET)
"""Kinds of options that are asked for in a form."""
MAX_TITLE = MAX_LABEL = 45
MAX_EXPLANATION = 100
MAX_INPUT = 4000
MAX_FILES = 10
MARK = ".form"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a form carries of the call that it is for: its row, where it is kept, and who sees the answer."""

    row: str
    id: str
    alone: bool

    def __str__(self) -> str:
        return f"{MARK} {self.row} {self.id} {'alone' if self.alone else 'open'}"

    @classmethod
    def parse(cls, text: str) -> Reference | None:
        """The inverse of ``str``; None for anything else."""
        match text.split(" "):
            case [mark, *row, id, ("alone" | "open") as seen] if mark == MARK and row:
                return cls(" ".join(row), id, seen == "alone")
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Filled:
    """What was filled in."""

    options: Mapping[str, str]
    attachments: tuple[Attachment, ...]


def is_wanted(row: Command, call: CommandCall) -> bool:
    """Whether the call lacks a long text. The message in whose menu it was chosen, or a file, stands for a row's first
    option. A menu has no room for the others: there they are asked for, needed or not."""
    from_menu = call.quote is not None
    missing = row.options[1:] if from_menu or call.attachments else row.options
    return any(
        option.kind in ASKED and (option.required or from_menu) and not row.value(call, option.name)
        for option in missing
    )


def form(row: Command, call: CommandCall, reference: Reference) -> dict[str, Any]:
    """The data of a modal for what the call has not said."""
    language = call.author.language
    return {
        "custom_id": str(reference),
        "title": row.summary(language)[:MAX_TITLE],
        "components": list(_fields(row, call, language)),
    }


def filled(data: Payload) -> Filled:
    """The data of a submitted modal."""
    texts: dict[str, str] = {}
    ids: list[str] = []
    for label in data["components"]:
        field: Payload = label.get("component") or {}
        if field.get("type") == INPUT and (text := clean_text(field.get("value") or "")):
            texts[field["custom_id"]] = text
        elif field.get("type") == UPLOAD:
            ids += field.get("values") or ()
    return Filled(texts, uploads(data.get("resolved") or {}, ids))


def _fields(row: Command, call: CommandCall, language: str) -> Iterator[dict[str, Any]]:
    for option in row.options:
        if option.kind in ASKED and not row.value(call, option.name):
            style = LINE if option.kind is Kind.SECRET else PARAGRAPH
            field = {"type": INPUT, "custom_id": option.name, "style": style, "max_length": MAX_INPUT}
            yield _label(row, option, language, field | {"required": option.required})
        elif option.kind is Kind.FILE and not call.attachments:
            field = {"type": UPLOAD, "custom_id": option.name, "min_values": 0, "max_values": MAX_FILES}
            yield _label(row, option, language, field | {"required": False})


def _label(row: Command, option: Option, language: str, field: Mapping[str, Any]) -> dict[str, Any]:
    words: Sequence[str] = (row.explain(option, language), row.named(option, language))
    fitting = next(text for text in (*words, words[0][:MAX_LABEL]) if len(text) <= MAX_LABEL)
    explained = {"description": words[0][:MAX_EXPLANATION]} if fitting != words[0] else {}
    return {"type": LABEL, "label": fitting, **explained, "component": field}
