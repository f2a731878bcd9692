"""What becomes of a space's settings when it moves, when the bot leaves it, and when it comes back."""

from __future__ import annotations

import asyncio

import pytest

from core.conversation import moving
from core.knowledge.documents import space_scope
from core.knowledge.faq import with_rule
from core.knowledge.passages import Passages
from core.knowledge.settings import KnowledgeSettings
from core.message import ConversationKey, Platform
from core.people.changing import Actor, change_space, history, undo
from core.people.community import Community
from core.people.persona import Persona
from core.people.spaces import Grant, SpaceSettings, space_id
from core.settings import Settings
from core.storage import keys
from core.storage.client import Store
from core.tasks import end
from tests.builders import conversation, mover
from tests.core.knowledge.rooms import draft

OLD, NEW = conversation("-4001"), conversation("-100777")
ADA = Actor("telegram:7", "Ada")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "LOOK_SECONDS", 0.02)


@pytest.fixture
def community(store: Store) -> Community:
    return Community.of(Settings(), store)


async def settings_of(community: Community, place: ConversationKey) -> SpaceSettings:
    return (await community.spaces.records.fresh(space_id(place, place.chat))).value


async def keep(community: Community, place: ConversationKey, days: int) -> None:
    await change_space(
        community, space_id(place, place.chat), ADA, lambda value: value.model_copy(update={"keep_days": days})
    )


async def move(store: Store) -> None:
    one = mover(store)
    await one.begin(OLD, NEW)
    running = asyncio.create_task(one.run())
    async with asyncio.timeout(10):
        while await store.redis.hlen(keys.moves()):
            await asyncio.sleep(0.01)
    await end([running])


async def test_a_supergroup_has_the_settings_and_the_log_of_its_group(community: Community) -> None:
    await keep(community, OLD, 7)
    await keep(community, OLD, 9)
    await move(community.store)
    assert (await settings_of(community, NEW)).keep_days == 9
    assert await settings_of(community, OLD) == SpaceSettings()
    id = space_id(NEW, NEW.chat)
    assert [entry.differences[0].after for entry in await history(community, id)] == [9, 7]
    await undo(community, id, ADA)
    assert (await settings_of(community, NEW)).keep_days == 7
    # Told again, nothing changes.
    await community.spaces.move(space_id(OLD, OLD.chat), id)
    assert (await settings_of(community, NEW)).keep_days == 7


async def test_what_was_chosen_for_the_group_as_a_channel_is_about_the_supergroup(community: Community) -> None:
    """Of a group without topics, all of it is one channel."""
    chosen = {
        "not_channels": (OLD.chat, "5"),
        "only_channels": (OLD.chat,),
        "announcements": OLD.chat,
        "grants": tuple(Grant(right="draw", allowed=False, who="everyone", channel=one) for one in (OLD.chat, "5")),
    }
    await change_space(community, space_id(OLD, OLD.chat), ADA, lambda value: value.model_copy(update=chosen))
    await move(community.store)
    now = await settings_of(community, NEW)
    assert (now.not_channels, now.only_channels, now.announcements) == ((NEW.chat, "5"), (NEW.chat,), NEW.chat)
    assert [rule.channel for rule in now.grants] == [NEW.chat, "5"]


async def test_what_was_chosen_in_the_supergroup_already_holds(community: Community) -> None:
    await keep(community, OLD, 7)
    await keep(community, NEW, 30)
    await move(community.store)
    assert (await settings_of(community, NEW)).keep_days == 30
    assert await settings_of(community, OLD) == SpaceSettings()


async def test_a_space_that_was_left_keeps_its_settings_for_thirty_days(community: Community) -> None:
    await keep(community, OLD, 7)
    name, redis = keys.record("spaces", space_id(OLD, OLD.chat)), community.store.redis
    await community.seen.left(Platform.TELEGRAM, OLD.bot, OLD.chat)
    assert 29 * 86400 < await redis.ttl(name) <= 30 * 86400
    community.seen.saw(Platform.TELEGRAM, OLD.bot, OLD.chat, "Back again")
    await community.seen.flush()
    assert await redis.ttl(name) == -1
    assert (await settings_of(community, OLD)).keep_days == 7


async def test_a_space_that_was_left_keeps_its_personas_for_thirty_days(community: Community) -> None:
    id, redis = space_id(OLD, OLD.chat), community.store.redis
    await community.personas.put([id], Persona(name="Jack", instructions="You are a pirate."), is_new=True)
    name = keys.record("personas", id)
    community.seen.saw(Platform.TELEGRAM, OLD.bot, OLD.chat, "Pirates")
    await community.seen.flush()
    await community.seen.left(Platform.TELEGRAM, OLD.bot, OLD.chat)
    assert 29 * 86400 < await redis.ttl(name) <= 30 * 86400
    assert await community.seen.is_left(id)
    community.seen.saw(Platform.TELEGRAM, OLD.bot, OLD.chat, "Back again")
    await community.seen.flush()
    assert await redis.ttl(name) == -1
    assert not await community.seen.is_left(id)
    # Of who blocks the bot in private nothing is kept by that.
    await community.seen.left(Platform.TELEGRAM, OLD.bot, "77")
    assert await redis.keys("*:left:*") == []


async def test_a_space_that_was_left_keeps_what_it_taught_for_thirty_days(community: Community) -> None:
    id, redis = space_id(OLD, OLD.chat), community.store.redis
    known = Passages(community.store, KnowledgeSettings())
    learned = await known.add(space_scope(id), draft("rules.txt", "Dogs are welcome."))
    begun = keys.document(space_scope(id), "begun")
    await redis.hset(begun, "p0", "[]")
    await redis.expire(begun, 86_400)
    await community.faqs.records.change(id, lambda faq: with_rule(faq, ["opening hours"], "Nine to five."))
    record, texts = keys.record("documents", space_scope(id)), keys.document(space_scope(id), learned.document.id)
    rules = keys.record("faq", id)
    await community.seen.left(Platform.TELEGRAM, OLD.bot, OLD.chat)
    waits = [await redis.ttl(name) for name in (record, rules, texts)]
    assert all(29 * 86400 < wait <= 32 * 86400 for wait in waits)
    community.seen.saw(Platform.TELEGRAM, OLD.bot, OLD.chat, "Back again")
    await community.seen.flush()
    assert [await redis.ttl(name) for name in (record, rules, texts)] == [-1, -1, -1]
    assert 0 < await redis.ttl(begun) <= 86_400
