"""/why: rule, quota, right, error, in one answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from core.access import Right
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall, Message, Quote
from core.parts import Ending, Finished, Notice, Part, TextDelta
from core.people.access import Asker, Standing
from core.people.gate import Reason
from core.people.house import Houses
from core.people.identity import People
from core.people.spaces import Grant, Spaces
from core.people.why import note, noting, reason_of
from core.storage import keys
from core.storage.client import Store
from core.storage.notes import MOST, Notes
from core.texts import Label, say
from tests.builders import call, conversation, message
from tests.core.engines import engine

SPACE = "telegram:1:100"
MODERATOR, BOB = "2", "5"


async def parts(store: Store, asked: Message | CommandCall) -> list[Part]:
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)

    async def may(asker: Asker, right: Right) -> bool:
        return asker.author.id == MODERATOR and right is Right.WARN

    async def standing(asker: Asker, fresh: bool) -> Standing:
        return Standing(False, frozenset({Right.WARN} if asker.author.id == MODERATOR else ()))

    async with engine(store, mailbox, owners=("telegram:99",), may=may, standing=standing) as answering:
        found = [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))]
    assert isinstance(found[-1], Finished)
    return found[:-1]


async def ask(store: Store, text: str = "", by: str = BOB, **values: Any) -> str:
    """What /why says: a text, or the key of a sentence."""
    values = {"author": Author(by, "Somebody"), "private": False, "space": "100", **values}
    (part,) = await parts(store, call("why", options={"text": text} if text else {}, **values))
    if isinstance(part, TextDelta):
        return part.text
    assert isinstance(part, Notice)
    return part.key


async def choose(store: Store, **fields: Any) -> None:
    await Spaces(store).change(SPACE, lambda settings: settings.model_copy(update=fields))


def turn_of(asked: Message) -> Turn:
    return Turn(asked.conversation, "1", "1", asked)


async def test_where_nothing_stands_in_the_way_it_says_what_is_heard(store: Store) -> None:
    assert await ask(store) == f"{say('why_nothing')}\n{say('why_hears')}"
    await choose(store, answers="always")
    assert say("why_hears_all") in await ask(store, reply_to="4711")
    assert say("why_unknown") in await ask(store, reply_to="4711")


async def test_a_rule(store: Store) -> None:
    await choose(store, not_channels=("100",))
    assert await ask(store) == f"{say('silent_channel')}\n{say('why_hears')}"


async def test_what_was_refused_is_told_to_who_asked_and_to_moderators(store: Store) -> None:
    denied = Grant(right="draw", who="everyone", allowed=False)
    await choose(store, grants=(denied,))
    draw = call("imagine", author=Author(BOB, "Bob"), private=False, space="100", options={"text": "a cat"})
    assert await parts(store, draw) == [Notice("lacking.draw")]
    told = await ask(store)
    assert "since the right to it was lacking" in told
    assert f"> {say('lacking.draw')}" in told
    about: dict[str, Any] = {"reply_to": draw.id, "quote": Quote(draw.id, "Bob", "", author_id=BOB)}
    assert await ask(store, by="8", **about) == "why_others"
    assert await ask(store, by=MODERATOR, **about) == told
    assert await ask(store, by="99", **about) == told


@pytest.mark.parametrize(
    ("text", "by", "found"),
    [
        ("draw", BOB, "Not allowed – have pictures made: by a rule for everyone."),
        ("Draw", MODERATOR, "Allowed – have pictures made: by a rule for moderator.\n" + say("why_no_model")),
        ("upload", BOB, "Not allowed in this channel – have files read: by a rule for this person."),
        ("ban", BOB, "Not allowed – ban people: the platform gives no such right here, and no rule does."),
        ("ban 99", MODERATOR, "Allowed – ban people: whoever runs this bot, or owns this place, may do everything."),
        ("draw 5", MODERATOR, "Not allowed – have pictures made: by a rule for everyone."),
        ("draw 6", MODERATOR, "Not allowed – have pictures made: as shut out here."),
        ("draw 6", BOB, "why_others"),
        ("ban 99", "99", "Allowed – ban people: whoever runs this bot, or owns this place, may do everything."),
        ("right=fly", BOB, "why_how"),
    ],
)
async def test_a_right_is_told_with_what_gives_or_takes_it(store: Store, text: str, by: str, found: str) -> None:
    rules = (
        Grant(right="draw", who="everyone", allowed=False),
        Grant(right="draw", who="role:moderator", allowed=True),
        Grant(right="upload", who="person:telegram:5", allowed=False, channel="100"),
    )
    await choose(store, grants=rules, roles={"telegram:6": "blocked"})
    assert await ask(store, text, by) == found


async def test_who_is_shut_out_is_told_so_and_maintenance_does_not_silence_it(store: Store) -> None:
    await People(store).change("telegram:5", lambda person: person.model_copy(update={"blocked": "spam"}))
    await Houses(store).begin("new pipes", 0.0)
    told = await ask(store, private=True, space="")
    assert say("blocked_everywhere") in told
    assert "new pipes" in told
    assert "spam" not in told, "why is the owner's"
    there = await ask(store)
    assert there.count("shut") == 1
    told = await ask(store, "draw 5", MODERATOR)
    assert told == "Not allowed – have pictures made: whoever runs this bot has shut this account out everywhere."


async def test_an_error_shows_its_causes_to_the_owner_alone(store: Store) -> None:
    asked = message("hello", author=Author(BOB, "Bob"), id="77", private=False, space="100")
    notes = Notes(store)

    async def failing() -> AsyncGenerator[Part]:
        yield Notice("failed")
        yield Finished(Ending.FAILED, causes=("server: 503 `x`",))

    assert [part async for part in noting(notes, turn_of(asked), failing())]
    told = await ask(store, reply_to="77")
    assert "something went wrong" in told
    assert "503" not in told
    assert "503" in await ask(store, by="99", reply_to="77")


async def test_a_quota_is_told_with_its_values(store: Store) -> None:
    asked = message("hello", author=Author(BOB, "Bob"), id="77")
    spent = Notice("maintenance_text", {"text": "x", "kind": Label("kind", "sticker")})
    await note(Notes(store), turn_of(asked), Reason.MAINTENANCE, spent)
    assert f"> {say('maintenance_text', text='x')}" in await ask(store, reply_to="77", private=True, space="")


async def test_an_answer_that_was_one_is_not_noted(store: Store) -> None:
    asked = message("hello")

    async def answer() -> AsyncGenerator[Part]:
        yield TextDelta("hi")
        yield Notice("budget_near", {})
        yield Finished(Ending.COMPLETE)

    assert len([part async for part in noting(Notes(store), turn_of(asked), answer())]) == 3
    assert await Notes(store).of(asked.conversation) == []
    assert reason_of(Ending.COMPLETE, None) is None
    assert reason_of(Ending.COMPLETE, Notice("budget_held")) is Reason.BUDGET


async def test_notes_are_few_and_do_not_last(store: Store) -> None:
    asked, notes = message("hello"), Notes(store)
    for number in range(MOST + 5):
        await note(notes, turn_of(asked), Reason.ERROR, Notice("failed", {"number": number}))
    await store.redis.lpush(keys.notes(str(asked.conversation)), "damaged")
    found = await notes.of(asked.conversation)
    assert len(found) == MOST - 1, "what cannot be read is left out"
    assert 0 < await store.redis.ttl(keys.notes(str(conversation()))) <= 86_400
