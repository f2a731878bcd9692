"""What people have in the making: a list of it, an end to it, and what came of it when it took long."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from core.commands.row import Room
from core.creations.doing import update_of
from core.creations.order import Order
from core.creations.wish import shown_prompt
from core.parts import Choice, Ending, Finished, Menu, Notice, Part, Progress, TextDelta
from core.people.identity import account_of
from core.storage.orders import number_of
from core.texts import Label, one_line, say

DONE = Finished(Ending.COMPLETE)
LONGEST_SHOWN = 60
"""Characters of what was asked for."""
_NUMBER = re.compile(r"[0-9]{1,18}(#[0-9]{1,4})?")


async def made(room: Room) -> AsyncIterator[Part]:
    """Shows what came of an order; posted by the job that made it, and by nobody else."""
    id = room.call.options.get("order", "")
    if room.call.update != update_of(id):
        yield Notice("unknown_command", {"found": room.call.name})
        yield DONE
        return
    room.turn.creations.append(id)
    async for part in room.workshop.creations.shown(id):
        yield part


async def creations(room: Room) -> AsyncIterator[Part]:
    """What the asker has in the making where they ask."""
    account = account_of(room.call.author, room.call.conversation.platform)
    found = await room.workshop.creations.in_the_making(room.call.conversation, account)
    if not found:
        yield Notice("creations_none")
        yield DONE
        return
    lines = [_line(order, told, room.language) for order, told in found]
    yield TextDelta("\n".join((say("creations_head", room.language), "", *lines)))
    stop = say("button.stop", room.language)
    rows = tuple((Choice(f"{stop} {number_of(o.id)}", f"unmake {number_of(o.id)}"),) for o, _ in found[:10])
    yield Menu(rows, say("creations_stop", room.language))
    yield DONE


async def unmake(room: Room) -> AsyncIterator[Part]:
    """Ends what is being made: for who ordered it, and for administrators."""
    number = room.words.strip()
    id = f"{room.call.conversation}/{number}"
    asker = await room.workshop.creations.asker_of(id) if _NUMBER.fullmatch(number) else ""
    if not asker:
        yield Notice("creation_unknown", {"found": one_line(number, LONGEST_SHOWN)})
    elif asker != account_of(room.call.author, room.call.conversation.platform) and not await room.is_admin():
        yield Notice("not_theirs")
    else:
        yield Notice("creation_stopped" if await room.workshop.creations.stop(id) else "creation_ended")
    yield DONE


def _line(order: Order, told: Part | None, language: str) -> str:
    done = told.done if isinstance(told, Progress) else None
    line = say("creations_line", language, number=number_of(order.id), kind=Label("creation", order.kind))
    what = one_line(shown_prompt(order.request) or str(order.request.get("text", "")), LONGEST_SHOWN)
    return " ".join(filter(None, (line, what and _quoted(what), "" if done is None else f"— {done:.0%}")))


def _quoted(text: str) -> str:
    """As code: nothing that people wrote is a mark or a mention here."""
    return "`" + text.replace("`", "'") + "`"
