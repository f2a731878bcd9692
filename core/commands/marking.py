"""What moderators do with the log of their space: say where it is told, and whether a rule was right."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from core.access import Right
from core.commands.row import Moderation, Room
from core.message import ConversationKey, Platform
from core.moderation.cases import space_of
from core.parts import Ending, Finished, Notice, Part
from core.people.changing import Actor, change_space
from core.people.spaces import space_id
from core.storage.marks import Mark

DONE = Finished(Ending.COMPLETE)
_CASE = re.compile(r"(?:(-?[0-9]{1,20})/)?#?([0-9]{1,11})")
VERDICTS = {"right": True, "wrong": False}


async def mark(room: Room) -> AsyncIterator[Part]:
    """What a button says that stands under a case: ``right SPACE/12`` or ``wrong SPACE/12``."""
    word, _, asked = room.value("case").partition(" ")
    there = await at_case(room, asked)
    if there is None or word not in VERDICTS or there[0].moderation is None:
        yield Notice("undo_how")
    else:
        yield await _marked(*there, is_right=VERDICTS[word])
    yield DONE


async def _marked(room: Room, number: int, *, is_right: bool) -> Notice:
    if room.access is not None and not await room.access.may(room.call, Right.WARN):
        return Notice(f"lacking.{Right.WARN}")
    place, numbered = space_of(room.call), {"number": str(number)}
    case = await room.moderation.cases.get(place, number) if room.moderation is not None else None
    if case is None or not case.rule:
        return Notice("mark_none", numbered)
    by, text = room.call.author.id, case.evidence.text
    said = Mark(number, case.rule, is_right, text, by, room.call.sent_at or time.time(), case.account)
    if not await room.community.policy.marks.mark(place, said):
        return Notice("mark_same")
    return Notice("mark_right" if is_right else "mark_wrong", numbered)


async def at_case(room: Room, asked: str) -> tuple[Room, int] | None:
    """The room as of the space whose case is named, like ``12``, ``#12`` or ``SPACE/12``, and its number; None for what
    is no such name.

    On Telegram a log may be told in another group, which has a book of its own: what its buttons do is done in the
    space that they name, by whoever has the right there. Raises StorageError.
    """
    found, call = _CASE.fullmatch(asked.strip()), room.call
    if found is None:
        return None
    space, number = found[1] or call.space, int(found[2])
    if space == call.space:
        return room, number
    if call.conversation.platform is not Platform.TELEGRAM or room.moderation is None:
        return None
    return await _moved(room, room.moderation, space), number


async def _moved(room: Room, moderation: Moderation, space: str) -> Room:
    call = room.call
    where = replace(call.conversation, chat=space, thread="")
    place = await moderation.cases.place(space_id(where, space))
    where = ConversationKey(where.platform, where.bot, place.split(":", 2)[2])
    # What the platform said of the caller holds where they pressed, and nowhere else.
    there = replace(call, conversation=where, space=where.chat, place="", by_admin=False, within=(), private=False)
    return replace(room, call=there)


async def modlog(room: Room) -> AsyncIterator[Part]:
    """Chooses the channel in which all acts are told; without one, that of the reports."""
    id, wanted = space_id(room.call.conversation, room.call.space), room.value("channel")
    if room.moderation is None or not id:
        yield Notice("groups_only", {"name": room.call.name})
        yield DONE
        return
    channel = await room.moderation.members.channel(room.call, wanted) if wanted else ""
    if channel is None:
        yield Notice("reports_no_channel")
    else:
        chosen = channel
        await change_space(
            room.community, id, Actor.of(room.turn), lambda space: space.model_copy(update={"log_channel": chosen})
        )
        yield Notice("log_set" if channel else "log_usual")
    yield DONE
