"""Who acts on others while they write as the group itself: nobody knows who it is until they press a button."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace

from core.access import ACTS, Right
from core.commands.row import Command
from core.errors import EntryError
from core.message import CommandCall, Platform
from core.message_json import from_json, to_json
from core.parts import Choice, Ending, Finished, Menu, Notice, Part
from core.people.spaces import space_id
from core.storage.client import Store
from core.storage.proposals import Proposals
from core.texts import say

KNOWN = ".known"
"""Name of the button, with the id of the call that waits for a press."""
SECONDS = 120


def is_unknown(row: Command, call: CommandCall) -> bool:
    """Whether a right is asked for that somebody has, and not the group that they write as."""
    where = call.conversation
    return bool(rights(row) & ACTS) and where.platform is Platform.TELEGRAM and call.author.id == where.chat


def rights(row: Command) -> frozenset[Right]:
    """One of these whoever presses needs. Which one it takes to undo depends on what is undone: it is asked then."""
    if row.right is None:
        return ACTS if row.name == "undo" else frozenset()
    return frozenset((row.right,))


async def ask(store: Store, call: CommandCall, language: str) -> AsyncIterator[Part]:
    """Has them press a button. Raises StorageError."""
    id = await Proposals(store).keep(space_id(call.conversation, call.space), to_json(call))
    text = say("anonymous_ask", language, minutes=SECONDS // 60)
    yield Notice("anonymous_ask", {"minutes": SECONDS // 60})
    yield Menu(((Choice(say("button.it_is_me", language), f"{KNOWN} {id}"),),), text)
    yield Finished(Ending.COMPLETE)


async def waiting(store: Store, press: CommandCall) -> CommandCall | None:
    """The call that a press lets go on, as the presser's; None where it waited for too long, or for another group.
    However often it is pressed, it is one call. Raises StorageError."""
    id = press.options.get("text", "")
    text = await Proposals(store).find(space_id(press.conversation, press.space), id)
    try:
        call = from_json(text) if text else None
    except EntryError:
        return None
    if not isinstance(call, CommandCall) or call.sent_at + SECONDS < time.time():
        return None
    return replace(call, id=f"known-{id}", update=f"known-{id}", author=press.author, by_admin=False)
