"""The makers of sound: texts of any length read aloud, and music and noises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog

from core.creations.order import Commission, Maker
from core.creations.utterances import Utterances
from core.labels.labels import Labels
from core.models.joining import joined
from core.models.speech import Speaker, Spoken, pieces
from core.parts import Activity, Ending, Finished, Making, Media, Notice, Part, Progress, Usage
from core.safety.safety import Safety
from core.speaking import TROUBLES, told_of
from core.texts import one_line

log = structlog.get_logger()

SAY, COMPOSE = "speech", "sound"
MAX_TEXT = 20_000
"""Characters read aloud: some twenty minutes, in five to eight calls."""
MAX_PROMPT = 2000
"""Characters; models of music read some hundred words."""
MAX_FILE = 8_000_000
"""Bytes: longer sounds go in several files, since Discord takes no larger ones than 10 MB."""
SPEEDS = {"slow": 0.8, "normal": 1.0, "fast": 1.25}
SAY_SECONDS, COMPOSE_SECONDS = 1000.0, 1300.0
"""Eight calls that each take as long as they may, two of the longest, and a little more."""
LONGEST_SHOWN = 200
"""Characters of a prompt that are shown."""
DONE = Finished(Ending.COMPLETE)


@dataclass(frozen=True, slots=True)
class Reading:
    """A text that is to be read aloud, without marks."""

    text: str
    voice: str = ""
    language: str = ""
    speed: str = "normal"
    """One of :data:`SPEEDS`."""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Reading:
        """The inverse of :meth:`to_json`. Raises ValueError for what is none, or one of a newer version."""
        found = {name: request.get(name, "") for name in cls.__slots__}
        if set(request) - set(found) or not all(isinstance(value, str) for value in found.values()):
            raise ValueError("no text to be read aloud")
        reading = cls(**found)
        if not reading.text or len(reading.text) > MAX_TEXT or reading.speed not in SPEEDS:
            raise ValueError("no text to be read aloud")
        return reading


class Sounds:
    """Makes sound."""

    def __init__(self, speaker: Speaker, labels: Labels, safety: Safety) -> None:
        self._speaker = speaker
        self._labels = labels
        self._safety = safety

    @property
    def makers(self) -> Sequence[Maker]:
        """For the list of all makers."""
        return Maker(SAY, "audio", self.say, SAY_SECONDS), Maker(COMPOSE, "audio", self.compose, COMPOSE_SECONDS)

    async def say(self, commission: Commission) -> AsyncGenerator[Part]:
        """As :data:`core.creations.order.Make`. Where a model fails on the way, what it has said by then is shown."""
        yield Making(Activity.VOICE)
        try:
            reading = Reading.of(commission.order.request)
        except ValueError as error:
            log.error("an order for speech cannot be read", order=commission.order.id, cause=str(error))
            yield Notice("not_said")
            yield DONE
            return
        if refusal := await self._safety.prompt(commission, reading.text):
            yield refusal
            yield DONE
            return
        texts, said, trouble = pieces(reading.text), list[Spoken](), None
        utterances = Utterances(commission)
        for number, text in enumerate(texts):
            if len(texts) > 1:
                yield Progress("saying", {"number": number + 1, "count": len(texts)}, number / len(texts))
            try:
                said.append(
                    await utterances.said(number, text, partial(self._utter, commission, reading, number, text))
                )
            except TROUBLES as error:
                log.warning("a text not said", order=commission.order.id, cause=str(error))
                trouble = told_of(error, "not_said")
                break
        async for part in self._shown(commission, said, "not_said"):
            yield part
        if trouble is not None:
            if said:
                yield Notice("said_part", {"said": len(said), "count": len(texts)})
            yield trouble
        yield Finished(Ending.COMPLETE, _total(said))

    async def _utter(self, commission: Commission, reading: Reading, number: int, text: str) -> Spoken:
        return await self._speaker.utter(
            text,
            space=commission.order.share,
            payer=commission.payer,
            voice=reading.voice,
            language=reading.language,
            speed=SPEEDS[reading.speed],
            piece=commission.order.piece(number),
        )

    async def compose(self, commission: Commission) -> AsyncGenerator[Part]:
        """As :data:`core.creations.order.Make`."""
        yield Making(Activity.VOICE)
        prompt, seconds = commission.order.request.get("prompt"), commission.order.request.get("seconds")
        if not isinstance(prompt, str) or not isinstance(seconds, int) or not 0 < seconds <= self._speaker.max_seconds:
            log.error("an order for sound cannot be read", order=commission.order.id)
            yield Notice("not_composed")
            yield DONE
            return
        if refusal := await self._safety.prompt(commission, prompt):
            yield refusal
            yield DONE
            return
        told = {"prompt": one_line(prompt, LONGEST_SHOWN)}
        yield Progress("composing", told)
        try:
            made = await self._speaker.compose(
                prompt,
                seconds,
                space=commission.order.share,
                payer=commission.payer,
                piece=commission.order.piece(),
            )
        except TROUBLES as error:
            log.warning("no sound made", order=commission.order.id, cause=str(error))
            yield told_of(error, "not_composed")
            yield DONE
            return
        async for part in self._shown(commission, [made], "not_composed"):
            if isinstance(part, Media):
                yield Notice("composed", {**told, "model": made.usage.model})
            yield replace(part, description=prompt) if isinstance(part, Media) else part
        yield Finished(Ending.COMPLETE, made.usage)

    async def _shown(self, commission: Commission, made: Sequence[Spoken], failed: str) -> AsyncGenerator[Part]:
        """The files with their labels, and what is to be said of budgets."""
        order = commission.order
        try:
            files: list[Media] = []
            for group in _groups(made):
                files += await asyncio.to_thread(joined, group)
            for number, file in enumerate(files):
                origin = self._labels.origin(made[0].usage.model, made[0].provider, order.label)
                yield await self._labels.put(_numbered(file, number, len(files)), origin, order.space)
        except ValueError as error:
            log.warning("a broken sound", order=order.id, cause=str(error))
            yield Notice(failed)
        for notice in dict.fromkeys(notice.key for one in made for notice in one.notices):
            yield next(n for one in made for n in one.notices if n.key == notice)


def _groups(made: Sequence[Spoken]) -> list[list[Media]]:
    """What goes into one file each."""
    groups: list[list[Media]] = []
    for one in made:
        if groups and sum(len(media.data) for media in groups[-1]) + len(one.media.data) <= MAX_FILE:
            groups[-1].append(one.media)
        else:
            groups.append([one.media])
    return groups


def _numbered(file: Media, number: int, count: int) -> Media:
    name, dot, suffix = file.name.partition(".")
    return file if count == 1 else replace(file, name=f"{name}-{number + 1}{dot}{suffix}")


def _total(made: Sequence[Spoken]) -> Usage:
    if not made:
        return Usage()
    return Usage(made[0].usage.model, 0, 0, sum(one.usage.cost for one in made), sum(one.usage.calls for one in made))
