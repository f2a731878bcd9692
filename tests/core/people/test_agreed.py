"""What may be learned from: conversations of people who agreed, where nobody else's words are."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from bots import agreed as command
from core.errors import SettingsError
from core.people.agreed import Chat, agreed, chats
from core.people.identity import Person
from core.people.linking import join
from core.settings import Settings
from core.storage.client import Store
from tests.builders import message
from tests.core.people.everything import ADA, BOB, GROUP, Human, World


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


async def agree(world: World, *who: Human, agrees: bool = True) -> None:
    for one in who:
        await world.community.people.change(one.id, lambda person: person.model_copy(update={"may_teach": agrees}))


async def found(world: World) -> list[Chat]:
    who = await agreed(world.store, world.community.people)
    return [chat async for chat in chats(world.store, world.history, who)]


async def ask(world: World, who: Human, text: str, answer: str, place: object = None) -> None:
    conversation = GROUP if place is GROUP else who.chat
    asked = message(text, conversation=conversation, author=who.telegram, private=place is None)
    await world.ask(asked, answer)


async def test_only_who_agreed_is_learned_from(world: World) -> None:
    await ask(world, ADA, "What opens the door?", "The blue key.")
    await ask(world, ADA, "And the gate?", "The red one.")
    await ask(world, BOB, "My secret?", "It is safe.")
    assert await found(world) == []
    await agree(world, ADA)
    texts = ("What opens the door?", "The blue key.", "And the gate?", "The red one.")
    assert await found(world) == [Chat(texts)]
    await agree(world, ADA, agrees=False)
    assert await found(world) == []


async def test_a_group_is_learned_from_only_where_all_agreed(world: World) -> None:
    await ask(world, ADA, "When is the party?", "On Friday.", GROUP)
    await ask(world, BOB, "Where?", "At Bob's house.", GROUP)
    await agree(world, ADA)
    assert await found(world) == []
    await agree(world, BOB)
    assert [chat.texts[-1] for chat in await found(world)] == ["At Bob's house."]


async def test_what_they_like_is_marked_and_others_votes_do_not_count(world: World) -> None:
    await agree(world, ADA)
    await ask(world, ADA, "A poem?", "Roses.")
    await world.vote(ADA.chat, replace(ADA.telegram, id="999"))
    assert [chat.is_liked for chat in await found(world)] == [False]
    await world.vote(ADA.chat, ADA.telegram)
    assert [chat.is_liked for chat in await found(world)] == [True]


async def test_who_is_blocked_is_left_out(world: World) -> None:
    await agree(world, ADA)
    await ask(world, ADA, "Hello?", "Hello.")
    await world.community.people.change(ADA.id, lambda person: person.model_copy(update={"blocked": "spam"}))
    assert await found(world) == []


def test_linked_accounts_agree_only_together() -> None:
    yes, no = Person(id="telegram:1", may_teach=True), Person(id="discord:2")
    assert not join(yes, no).may_teach
    assert not join(no, yes).may_teach
    assert join(yes, Person(id="web:3", may_teach=True)).may_teach


async def test_the_file_is_for_its_owner_alone_and_nothing_is_written_over(
    world: World, valkey_url: str, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"storage": {"redis_url": valkey_url}, "data": tmp_path})
    out, told = tmp_path / "chat.jsonl", list[str]()
    assert await command.save(settings, out, told.append) == 0
    assert not out.exists()
    await agree(world, ADA)
    await ask(world, ADA, "什么？", "一\n二")
    assert await command.save(settings, out, told.append, is_liked_only=True) == 0
    assert await command.save(settings, out, told.append) == 1
    assert [json.loads(line) for line in out.read_text("utf-8").splitlines()] == [
        {"messages": [{"role": "user", "content": "什么？"}, {"role": "assistant", "content": "一\n二"}]}
    ]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with pytest.raises(SettingsError, match="there already"):
        await command.save(settings, out, told.append)
