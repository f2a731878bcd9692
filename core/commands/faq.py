"""Answers that staff wrote: shown, added, removed and tried."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import structlog

from core.commands.row import Room
from core.knowledge.faq import (
    LONGEST_ANSWER,
    LONGEST_TRIGGER,
    MOST_RULES,
    MOST_TRIGGERS,
    Faq,
    match,
    triggers_of,
    with_rule,
    without_rule,
)
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people.identity import account_of
from core.people.spaces import space_id
from core.storage.records import Conflict
from core.texts import one_line, say

log = structlog.get_logger()

DONE = Finished(Ending.COMPLETE)
SHORTENED = 60
"""Characters of a trigger or an answer in the list."""
MOST_SHOWN = 50
"""Rules of the list; the newest."""


async def list_rules(room: Room) -> AsyncIterator[Part]:
    """The rules of the space, by their numbers."""
    faq = await room.community.faqs.of(_space(room))
    if not faq.rules:
        yield Notice("faq_empty")
    else:
        lines = [say("faq_heading", room.language, count=len(faq.rules))]
        for rule in faq.rules[-MOST_SHOWN:]:
            asked = " · ".join(one_line(trigger, SHORTENED) for trigger in rule.triggers)
            lines.append(f"{rule.number}. {asked} → {one_line(rule.answer, SHORTENED)}")
        yield TextDelta("\n".join(lines))
    yield DONE


async def add(room: Room) -> AsyncIterator[Part]:
    """One more rule; triggers that another one has are taken from it."""
    triggers, answer = triggers_of(room.value("trigger")), room.value("answer")
    if not triggers:
        yield Notice("faq_no_trigger", {"most": MOST_TRIGGERS, "longest": LONGEST_TRIGGER})
    elif not answer:
        yield Notice("faq_no_answer")
    elif len(answer) > LONGEST_ANSWER:
        yield Notice("too_long", {"found": len(answer), "allowed": LONGEST_ANSWER})
    else:
        changed = await _change(room, lambda faq: with_rule(faq, triggers, answer))
        if isinstance(changed, Notice):
            yield changed
        elif not (changed.rules and changed.rules[-1].triggers == triggers and changed.rules[-1].answer == answer):
            yield Notice("faq_full", {"most": MOST_RULES})
        else:
            yield Notice("faq_added", {"number": changed.rules[-1].number})
    yield DONE


async def remove(room: Room) -> AsyncIterator[Part]:
    """A rule by its number."""
    typed = room.value("number")
    number = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= 9 else 0
    known = await room.community.faqs.of(_space(room))
    if not any(rule.number == number for rule in known.rules):
        yield Notice("faq_unknown", {"found": one_line(typed, 20)})
    else:
        changed = await _change(room, lambda faq: without_rule(faq, number))
        yield changed if isinstance(changed, Notice) else Notice("faq_removed", {"number": number})
    yield DONE


async def test(room: Room) -> AsyncIterator[Part]:
    """Which rule would answer these words."""
    hit = match(await room.community.faqs.of(_space(room)), room.value("words"))
    if hit is None:
        yield Notice("faq_no_hit")
    else:
        yield Notice("faq_hit", {"number": hit.rule.number})
        yield TextDelta(hit.rule.answer)
    yield DONE


async def _change(room: Room, change: Callable[[Faq], Faq]) -> Faq | Notice:
    try:
        kept = await room.community.faqs.records.change(_space(room), change)
    except Conflict:
        return Notice("conflict")
    call = room.call
    log.info("faq changed", space=_space(room), by=account_of(call.author, call.conversation.platform))
    return kept.value


def _space(room: Room) -> str:
    return space_id(room.call.conversation, room.call.space)
