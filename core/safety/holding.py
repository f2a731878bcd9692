"""Answers that are looked at: held back until they are whole, or looked at when they were shown. What is written by a
job is whole before it is shown."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from core.conversation.turn import Turn
from core.creations.order import Commission, Maker
from core.moderation.own_words import OVERLAP, Look
from core.parts import Ending, Finished, Notice, Part, Progress, TextDelta
from core.safety.safety import Safety


async def watched(safety: Safety, turn: Turn, parts: AsyncGenerator[Part]) -> AsyncGenerator[Part]:
    """The parts of an answer. Where it is held back, its text comes in one piece at the end, or a notice in its place.

    Raises what ``parts`` raise, and StorageError.
    """
    holds = safety.holds_answers(turn)
    texts: list[str] = []
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, TextDelta):
                texts.append(part.text)
                if not holds:
                    yield part
                elif len(texts) == 1:
                    yield Progress("held_answer")
            elif isinstance(part, Finished) and texts:
                notice = await safety.answer(turn, "".join(texts))
                if not holds:
                    yield part
                elif notice is None:
                    yield TextDelta("".join(texts))
                    yield part
                else:
                    yield notice
                    yield Finished(Ending.COMPLETE, part.usage, part.causes)
            else:
                yield part


async def lawful(look: Look, parts: AsyncGenerator[Part]) -> AsyncGenerator[Part]:
    """The parts of an answer as far as no rule of the space is against it: line by line, each looked at with what
    stands before it, before it is shown. Raises what ``parts`` raise."""
    shown, held, is_stopped = "", "", False
    async with aclosing(parts):
        async for part in parts:
            if not isinstance(part, TextDelta | Finished):
                yield part
                continue
            if isinstance(part, TextDelta):
                held += part.text
            whole = len(held) if isinstance(part, Finished) else held.rfind("\n") + 1
            ready, held = held[:whole], held[whole:]
            if ready and not is_stopped:
                if is_stopped := bool(look(shown[-OVERLAP:] + ready)):
                    yield Notice("unsafe_rest" if shown.strip() else "unsafe_answer")
                else:
                    shown += ready
                    yield TextDelta(ready)
            if isinstance(part, Finished):
                yield part


def checked(safety: Safety, maker: Maker) -> Maker:
    """A maker of texts, of which nothing comes that a space does not let pass."""

    async def make(commission: Commission) -> AsyncGenerator[Part]:
        texts: list[str] = []
        async with aclosing(maker.make(commission)) as parts:
            async for part in parts:
                if isinstance(part, TextDelta):
                    texts.append(part.text)
                    continue
                if isinstance(part, Finished) and texts:
                    text = "".join(texts)
                    yield await safety.written(commission, text) or TextDelta(text)
                yield part

    return replace(maker, make=make)
