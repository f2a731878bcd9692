"""Administrators who write as the group itself say who they are before anything is done for them."""

from __future__ import annotations

from typing import Any

from core.access import ACTS, Right
from core.commands import anonymous
from core.commands.table import BY_NAME
from core.message import Author, CommandCall
from core.parts import Menu
from core.storage.client import Store
from core.texts import say
from tests.bots.test_pressing_people import Place
from tests.builders import call, conversation

CLUB = Author("-100500", "Club")


def asked(name: str, **values: Any) -> CommandCall:
    given: dict[str, Any] = {
        "author": CLUB,
        "conversation": conversation(CLUB.id),
        "private": False,
        "space": CLUB.id,
        **values,
    }
    return call(name, **given)


async def test_undoing_waits_for_who_they_are_and_for_one_of_the_staff(store: Store) -> None:
    undo = asked("undo")
    assert anonymous.is_unknown(BY_NAME["undo"], undo)
    assert not anonymous.is_unknown(BY_NAME["undo"], asked("undo", author=Author("2", "Mo")))
    assert not anonymous.is_unknown(BY_NAME["help"], asked("help"))
    [*_, menu, _] = [part async for part in anonymous.ask(store, undo, "en")]
    assert isinstance(menu, Menu)
    name, _, id = menu.rows[0][0].command.partition(" ")
    pressed = asked(name, author=Author("2", "Mo"), options={"text": id})
    place = Place(store)
    place.taken = set(Right)

    async def nobody(asker: CommandCall) -> bool:
        return False

    refused = await place.presses.decide(pressed, nobody)
    assert (refused.post, refused.word) == (None, say("lacking.ban"))
    place.taken = {*ACTS} - {Right.PURGE}
    posted = (await place.presses.decide(pressed, nobody)).post
    assert isinstance(posted, CommandCall)
    assert (posted.name, posted.author.id) == ("undo", "2")
