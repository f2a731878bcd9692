"""Sound on request: words read aloud, music and noises."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping

from core.commands.row import Room
from core.commands.wishes import given
from core.creations import sound
from core.models.speech import speakable
from core.parts import Ending, Finished, Notice, Part
from core.texts import one_line

LONGEST_FOUND = 40
LONGEST_LIST = 400
USUAL_SECONDS = 10
_LANGUAGE = re.compile(r"[a-z]{2,3}([-_][a-z0-9]{2,8})*", re.IGNORECASE)


async def say(room: Room) -> AsyncIterator[Part]:
    """What was said with it; else the answer or the message replied to."""
    values = given(room)
    if not room.workshop.speaking.is_set_up:
        yield Notice("no_speech")
    elif refusal := _refusal(room, values):
        yield refusal
    else:
        text = speakable(values.get("words") or await _quoted_words(room))
        if not text:
            yield Notice("say_how")
        elif len(text) > sound.MAX_TEXT:
            yield Notice("too_long", {"found": len(text), "allowed": sound.MAX_TEXT})
        else:
            language = values.get("language", "").lower().replace("_", "-")
            reading = sound.Reading(text, _voice(room, values), language, values.get("speed", "normal").lower())
            async for part in room.workshop.creations.made(room.turn, sound.SAY, reading.to_json()):
                yield part
            return
    yield Finished(Ending.COMPLETE)


async def music(room: Room) -> AsyncIterator[Part]:
    """What the prompt says; without one, what the message replied to says."""
    most, values = room.workshop.speaking.speaker.max_seconds, given(room)
    prompt, seconds = values.get("prompt") or _quoted(room), values.get("seconds", "")
    if not most:
        yield Notice("no_music")
    elif not prompt:
        yield Notice("music_how")
    elif len(prompt) > sound.MAX_PROMPT:
        yield Notice("too_long", {"found": len(prompt), "allowed": sound.MAX_PROMPT})
    elif seconds and not (seconds.isascii() and seconds.isdecimal() and len(seconds) < 6 and 0 < int(seconds) <= most):
        yield Notice("music_seconds", {"found": one_line(seconds, LONGEST_FOUND), "most": most})
    else:
        request = {"prompt": prompt, "seconds": int(seconds or min(USUAL_SECONDS, most))}
        async for part in room.workshop.creations.made(room.turn, sound.COMPOSE, request):
            yield part
        return
    yield Finished(Ending.COMPLETE)


def _refusal(room: Room, values: Mapping[str, str]) -> Notice | None:
    """Of what was said besides the text."""
    speaker = room.workshop.speaking.speaker
    voice, language, speed = (values.get(name, "") for name in ("voice", "language", "speed"))
    if voice and not _voice(room, values):
        known = one_line(", ".join(room.catalog.voices), LONGEST_LIST)
        return Notice("voice_unknown", {"found": one_line(voice, LONGEST_FOUND), "voices": known})
    if language and not (len(language) < LONGEST_FOUND and _LANGUAGE.fullmatch(language)):
        return Notice("say_language", {"found": one_line(language, LONGEST_FOUND)})
    if speed and speed.lower() not in sound.SPEEDS:
        return Notice("say_speed", {"found": one_line(speed, LONGEST_FOUND)})
    return Notice("no_speed") if speed.lower() not in ("", "normal") and not speaker.has_speed else None


def _voice(room: Room, values: Mapping[str, str]) -> str:
    wanted = values.get("voice", "").lower()
    return next((name for name in room.catalog.voices if wanted and name.lower() == wanted), "")


async def _quoted_words(room: Room) -> str:
    quoted = _quoted(room)
    if room.call.reply_to:
        # An answer is known whole, with its marks; a quote of it may be cut.
        return await room.workshop.speaking.text_of(room.call.conversation, room.call.reply_to) or quoted
    return quoted


def _quoted(room: Room) -> str:
    return room.call.quote.text.strip() if room.call.quote else ""
