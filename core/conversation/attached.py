"""What came with a question besides words and pictures: documents and recordings, as the text that models read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

CUT_MARK = "\n[…]\n"
LONGEST_NAME = 80
_BYTES_IN_TOKEN = 4


class Kind(StrEnum):
    DOCUMENT = "document"
    RECORDING = "recording"


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that was read. ``name`` is what its sender called it."""

    kind: Kind
    name: str
    text: str
    pages: int = 0
    """Of the whole document; 0 where it has none."""
    is_cut: bool = False
    """The text is a part of what the file holds."""
    language: str = ""
    """Code of the language that is spoken in a recording, where the model told it."""

    def to_values(self) -> dict[str, Any]:
        """The form in which the tree keeps it."""
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Attached:
        """The inverse of :meth:`to_values`; what a later version added is left out. Raises KeyError, ValueError."""
        return cls(
            Kind(values["kind"]),
            values["name"],
            values["text"],
            values.get("pages", 0),
            values.get("is_cut", False),
            values.get("language", ""),
        )


def as_text(files: Sequence[Attached]) -> str:
    """The files as they stand in a prompt, each between marks with its name; empty for none.

    What a file holds cannot end its block, and its name is one line.
    """
    return "\n\n".join(_block(file) for file in files)


def fitted(files: Sequence[Attached], chars: int, tokens: int) -> tuple[tuple[Attached, ...], bool]:
    """The files cut to so many characters, and about so many tokens, in all; and whether anything was left out.

    Long files lose their middle; what short ones leave over is theirs.
    """
    room = [len(file.text) for file in files]
    left = min(chars, _chars(files, tokens))
    if sum(room) <= left:
        return tuple(files), False
    shares = [0] * len(room)
    for rank, index in enumerate(sorted(range(len(room)), key=room.__getitem__)):
        shares[index] = min(room[index], left // (len(room) - rank))
        left -= shares[index]
    return tuple(_cut(file, share) for file, share in zip(files, shares, strict=True)), True


def _chars(files: Sequence[Attached], tokens: int) -> int:
    """Characters of these files in so many tokens, by how many bytes a character of theirs takes."""
    text = "".join(file.text for file in files)
    return int(tokens * _BYTES_IN_TOKEN * len(text) / max(1, len(text.encode())))


def _cut(file: Attached, chars: int) -> Attached:
    """Its beginning, which says most, and some of its end."""
    if len(file.text) <= chars:
        return file
    end = chars // 4
    text = file.text[: chars - end] + CUT_MARK + (file.text[-end:] if end else "")
    return replace(file, text=text, is_cut=True)


def _block(file: Attached) -> str:
    name = " ".join(file.name.split())[:LONGEST_NAME].replace('"', "'").replace("<", "").replace(">", "")
    text = file.text.replace(f"</{file.kind}", f"<\u200b/{file.kind}")
    part = ' part="not all of it"' if file.is_cut else ""
    return f'<{file.kind} name="{name}"{part}>\n{text}\n</{file.kind}>'
