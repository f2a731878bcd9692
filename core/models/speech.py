"""Texts as sound, by a model of the kind ``speech``; music and noises, by one of the kind ``sound``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from core.errors import ModelError, ModelFault
from core.models import costs
from core.models.budget import Amounts
from core.models.calls import ask
from core.models.catalog import Catalog
from core.models.language import language_of
from core.models.model import Model
from core.models.once import Once
from core.models.paying import NOBODY, Bill, Payer
from core.models.router import Router
from core.models.wire import Utterance, Wire
from core.parts import Media, Notice, Usage

MAX_CHARS = 4000
"""Characters spoken at once: OpenAI's endpoint takes 4,096, and it is some four minutes."""
COMPOSE_SECONDS = 600.0
"""The longest that making music may take: a small model needs some ten seconds for each of its seconds on two cores."""
_FORMATS = (
    (b"OggS", "audio/ogg", "ogg"),
    (b"ID3", "audio/mpeg", "mp3"),
    (b"\xff\xfb", "audio/mpeg", "mp3"),
    (b"\xff\xfa", "audio/mpeg", "mp3"),
    (b"\xff\xf3", "audio/mpeg", "mp3"),
    (b"\xff\xf2", "audio/mpeg", "mp3"),
    (b"RIFF", "audio/wav", "wav"),
    (b"fLaC", "audio/flac", "flac"),
)
"""How sound begins. Many servers do not keep to the format that they are asked for."""
_NOT_SPOKEN = (
    (re.compile(r"(?ms)^ {0,3}(```|~~~).*?(^ {0,3}\1[`~]*\s*$|\Z)"), "\n"),
    (re.compile(r"!\[([^\[\]]*)\]\([^)\n]{0,2000}\)"), r"\1"),
    (re.compile(r"\[([^\[\]]*)\]\([^)\n]{0,2000}\)"), r"\1"),
    (re.compile(r"https?://\S+"), ""),
    (re.compile(r"(?m)^[ \t]*[:|-][ \t:|-]{2,}$"), ""),
    (re.compile(r"(?m)^[ \t]*\|[ \t]*|(?:(?<![ \t])[ \t]+)?\|[ \t]*$"), ""),
    (re.compile(r"(?m)^\s{0,3}(#{1,6}\s+|>\s?|[-*+]\s+(\[[ xX]\]\s+)?)"), ""),
    (re.compile(r"(?<!\w)[*_~`]{1,3}(?=\S)|(?<=\S)[*_~`]{1,3}(?!\w)|`+"), ""),
    (re.compile(r"(?:(?<![ \t])[ \t]+)?\|[ \t]*"), ", "),
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
    provider: str = ""
    """Who hosts the model that spoke."""


class Speaker:
    """Reads texts aloud, and makes music and noises."""

    def __init__(self, catalog: Catalog, router: Router) -> None:
        self._catalog = catalog
        self._router = router

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self._catalog.has("speech")

    @property
    def has_speed(self) -> bool:
        """Whether a model can speak faster or slower."""
        return any(model.has_speed for model in self._catalog.of_kind("speech"))

    @property
    def max_seconds(self) -> int:
        """The longest music or noise that can be made; 0 where no model makes any."""
        return max((model.max_seconds for model in self._catalog.of_kind("sound")), default=0)

    async def speak(self, markdown: str, *, space: str, payer: Payer = NOBODY) -> Spoken | None:
        """The text's beginning as sound, at most :data:`MAX_CHARS`; None where there is nothing to be spoken.

        Raises ModelError, Busy, OverBudget, StorageError.
        """
        whole = speakable(markdown)
        text = first_piece(whole)
        if not text:
            return None
        spoken = await self.utter(text, space=space, payer=payer)
        return replace(spoken, is_cut=len(text) < len(whole))

    async def utter(
        self,
        text: str,
        *,
        space: str,
        payer: Payer = NOBODY,
        voice: str = "",
        language: str = "",
        speed: float = 1.0,
        piece: str = "",
    ) -> Spoken:
        """A text of at most :data:`MAX_CHARS`, without marks (:func:`speakable`). A model that lacks the voice speaks
        with its own; ``language`` is guessed where it is not said; ``piece`` is as of :class:`core.models.once.Once`.

        Raises ModelError, Busy, OverBudget, StorageError.
        """
        language = language or language_of(text)
        models = self._catalog.of_kind("speech")
        if speed != 1:
            models = tuple(model for model in models if model.has_speed)

        once = Once(piece)

        async def work(wire: Wire, model: Model, bill: Bill) -> Spoken:
            with once.call(model.name) as name:
                data = await wire.speak(model, Utterance(text, model.voice_of(voice, language), language, speed, name))
            usage = Usage(model.name, 0, 0, model.cost_of_speech(len(text)), 1)
            seconds = costs.sounding_seconds(data)
            bill.took = Amounts(usage.cost, seconds=costs.spoken_seconds(text) if seconds is None else seconds)
            bill.usage = usage
            return Spoken(media_of(data, "answer"), usage, is_cut=False, provider=model.provider)

        spoken, notices = await ask(
            self._catalog,
            self._router,
            "speech",
            space,
            work,
            most=lambda model: costs.of_speaking(model, text),
            payer=payer,
            models=_with_voice(models, voice),
        )
        return replace(spoken, notices=notices)

    async def compose(self, prompt: str, seconds: int, *, space: str, payer: Payer = NOBODY, piece: str = "") -> Spoken:
        """Music or a noise. Raises ModelError, Busy, OverBudget, StorageError."""
        once = Once(piece)

        async def work(wire: Wire, model: Model, bill: Bill) -> Spoken:
            with once.call(model.name) as name:
                data = await wire.compose(model, prompt, seconds, once=name)
            usage = Usage(model.name, 0, 0, model.cost_of_sound(seconds), 1)
            bill.took, bill.usage = Amounts(usage.cost, seconds=seconds), usage
            return Spoken(media_of(data, "sound"), usage, is_cut=False, provider=model.provider)

        spoken, notices = await ask(
            self._catalog,
            self._router,
            "sound",
            space,
            work,
            most=lambda model: Amounts(model.cost_of_sound(seconds), seconds=seconds),
            payer=payer,
            seconds=COMPOSE_SECONDS,
            models=[model for model in self._catalog.of_kind("sound") if model.max_seconds >= seconds],
        )
        return replace(spoken, notices=notices)


def speakable(markdown: str) -> str:
    """What is to be heard of a text: its words without marks, addresses and code."""
    for pattern, spoken in _NOT_SPOKEN:
        markdown = pattern.sub(spoken, markdown)
    return markdown.strip(" \n,")


def _with_voice(models: Sequence[Model], voice: str) -> Sequence[Model]:
    """Those that have the voice first."""
    return sorted(models, key=lambda model: bool(voice) and voice not in {model.voice, *chain(*model.voices)})


def pieces(text: str) -> list[str]:
    """A text in pieces that are each spoken at once."""
    found: list[str] = []
    while text := text.strip():
        found.append(first_piece(text))
        text = text[len(found[-1]) :]
    return found


def first_piece(text: str) -> str:
    """At most so much as is spoken at once, to the end of a sentence where there is one in the last third."""
    if len(text) <= MAX_CHARS:
        return text
    ends = [found.end() for found in _SENTENCE_ENDS.finditer(text, MAX_CHARS * 2 // 3, MAX_CHARS)]
    return text[: ends[-1] if ends else MAX_CHARS].rstrip()


def media_of(data: bytes, name: str) -> Media:
    """A sound as what it is. Raises ModelError where it is none."""
    for beginning, mime, suffix in _FORMATS:
        if data.startswith(beginning):
            return Media(f"{name}.{suffix}", mime, data)
    if data[4:8] == b"ftyp":
        return Media(f"{name}.m4a", "audio/mp4", data)
    raise ModelError(ModelFault.MALFORMED, "the answer is no sound", retryable=True)
