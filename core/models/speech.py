"""Answers as sound, by a model of the kind ``speech``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import ModelError, ModelFault
from core.models import costs
from core.models.budget import Amounts
from core.models.calls import ask
from core.models.catalog import Catalog, Model
from core.models.paying import NOBODY, Bill, Payer
from core.models.router import Router
from core.models.wire import Wire
from core.parts import Media, Notice, Usage

MAX_CHARS = 4000
"""Characters spoken at once: OpenAI's endpoint takes 4,096, and it is some four minutes."""
_FORMATS = (
    (b"OggS", "audio/ogg", "ogg"),
    (b"ID3", "audio/mpeg", "mp3"),
    (b"\xff\xfb", "audio/mpeg", "mp3"),
    (b"\xff\xf3", "audio/mpeg", "mp3"),
    (b"RIFF", "audio/wav", "wav"),
    (b"fLaC", "audio/flac", "flac"),
)
"""How sound begins. Many servers do not keep to the format that they are asked for."""
_NOT_SPOKEN = (
    (re.compile(r"(?ms)^ {0,3}(```|~~~).*?(^ {0,3}\1[`~]*\s*$|\Z)"), "\n"),
    (re.compile(r"!\[([^\[\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"\[([^\[\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"https?://\S+"), ""),
    (re.compile(r"(?m)^[ \t]*[:|-][ \t:|-]{2,}$"), ""),
    (re.compile(r"(?m)^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$"), ""),
    (re.compile(r"(?m)^\s{0,3}(#{1,6}\s+|>\s?|[-*+]\s+(\[[ xX]\]\s+)?)"), ""),
    (re.compile(r"(?<!\w)[*_~`]{1,3}(?=\S)|(?<=\S)[*_~`]{1,3}(?!\w)|`+"), ""),
    (re.compile(r"[ \t]*\|[ \t]*"), ", "),
    (re.compile(r"[ \t]{2,}"), " "),
    (re.compile(r"\n{3,}"), "\n\n"),
)
"""Marks that would be read aloud; code is left out."""
_SENTENCE_ENDS = re.compile(r"[.!?…。！？\n]")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text as sound. ``is_cut``: only its beginning was spoken."""

    media: Media
    usage: Usage
    is_cut: bool
    notices: tuple[Notice, ...] = ()
    """What is to be said of a budget."""


class Speaker:
    """Reads texts aloud."""

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self._catalog = catalog
        self._router = router

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self._catalog.has("speech")

    async def speak(self, markdown: str, *, space: str, payer: Payer = NOBODY) -> Spoken | None:
        """The text's beginning as sound, at most :data:`MAX_CHARS`; None where there is nothing to be spoken.

        Raises ModelError, Busy, OverBudget, StorageError.
        """
        whole = speakable(markdown)
        text = _beginning(whole)
        if not text:
            return None

        async def work(wire: Wire, model: Model, bill: Bill) -> tuple[Media, Usage]:
            data = await wire.speak(model, text)
            usage = Usage(model.name, 0, 0, model.cost_of_speech(len(text)), 1)
            seconds = costs.sounding_seconds(data)
            bill.took = Amounts(usage.cost, seconds=costs.spoken_seconds(text) if seconds is None else seconds)
            bill.usage = usage
            return _media(data), usage

        (media, usage), notices = await ask(
            self._catalog,
            self._router,
            "speech",
            space,
            work,
            most=lambda model: costs.of_speaking(model, text),
            payer=payer,
        )
        return Spoken(media, usage, is_cut=len(text) < len(whole), notices=notices)


def speakable(markdown: str) -> str:
    """What is to be heard of a text: its words without marks, addresses and code."""
    for pattern, spoken in _NOT_SPOKEN:
        markdown = pattern.sub(spoken, markdown)
    return markdown.strip(" \n,")


def _beginning(text: str) -> str:
    """At most so much as is spoken at once, to the end of a sentence where there is one in the last third."""
    if len(text) <= MAX_CHARS:
        return text
    ends = [found.end() for found in _SENTENCE_ENDS.finditer(text, MAX_CHARS * 2 // 3, MAX_CHARS)]
    return text[: ends[-1] if ends else MAX_CHARS].rstrip()


def _media(data: bytes) -> Media:
    for beginning, mime, suffix in _FORMATS:
        if data.startswith(beginning):
            return Media(f"answer.{suffix}", mime, data)
    raise ModelError(ModelFault.MALFORMED, "the answer is no sound", retryable=True)
