"""Personas speak under their own names by a webhook, which is ours and nobody else's, and nothing is doubled by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from bots.adapter import Button, Speaker, Target
from bots.discord_bot.interactions import Deferrals
from bots.discord_bot.outbound import DiscordOutbound
from bots.discord_bot.rest import Rest
from bots.discord_bot.rights import Rights
from bots.discord_bot.standing import Standing
from bots.discord_bot.telling import Telling
from bots.discord_bot.webhooks import RATE, Webhook
from bots.pacing import Limits, Pacer
from core.errors import OutboundError, OutboundFault
from core.storage.client import Store
from core.storage.shared import Once
from core.texts import say
from tests.bots.discord_bot.running import settings_for, until
from tests.bots.discord_bot.test_outbound import Stage, failed, page, picture
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_webhooks import make

JACK = Speaker("Captain Jack", "https://example.org/jack.png")


class Told(list[str]):
    """Channels of which it was told that the bot may manage no webhooks there."""


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def stage(discord: FakeDiscord, told: Told) -> AsyncGenerator[Stage]:
    world, settings = discord.world, settings_for(discord)
    world.permissions.give(world.guild["id"], world.bot, May.MANAGE_WEBHOOKS)
    rest = Rest(settings.api_base, TOKEN)
    question = world.post(world.general, world.alice, "why?")
    yield Stage(discord, DiscordOutbound(settings, rest, Deferrals(rest), no_webhooks=told.append), rest, question)
    await rest.close()


def target(stage: Stage, **more: object) -> Target:
    return stage.target(speaker=JACK, **more)


def other_process(stage: Stage) -> Stage:
    """Another outbound of the same bot, which remembers nothing."""
    return Stage(
        stage.discord,
        DiscordOutbound(settings_for(stage.discord), stage.rest, Deferrals(stage.rest)),
        stage.rest,
        stage.question,
    )


def names(stage: Stage) -> list[str]:
    return [message.data["author"]["username"] for message in stage.by_bot()]


def calls(stage: Stage, what: str) -> int:
    return sum(what in f"{call.method} {call.path}" for call in stage.discord.calls)


async def test_an_answer_has_the_personas_name_and_pings_nobody(stage: Stage) -> None:
    world = stage.discord.world
    sent = await stage.outbound.send(target(stage), page(f"@everyone <@{world.alice}>"), stage.slot())
    await stage.outbound.edit(target(stage), sent, page("whole", Button("B", "do"), final=True, footer="stub"))
    (message,) = stage.by_bot()
    assert (message.id, message.text, message.footer, message.is_v2) == (sent, "whole", "stub", True)
    assert names(stage) == ["Captain Jack"]
    assert message.pinged == []
    await stage.outbound.delete(target(stage), sent)
    assert stage.by_bot() == []


async def test_one_webhook_serves_all_answers_and_is_found_again(stage: Stage) -> None:
    stranger = make(stage.discord.rest, stage.channel, "Other", application="12345")
    for number in range(2):
        await stage.outbound.send(target(stage), page(str(number)), stage.slot(number))
    await other_process(stage).outbound.send(target(stage), page("2"), stage.slot(2))
    assert names(stage) == ["Captain Jack"] * 3
    assert len(stage.discord.world.webhooks) == 2
    assert not [call for call in stage.discord.calls if stranger["id"] in call.path]


async def test_a_thread_is_written_to_by_its_channels_webhook(stage: Stage) -> None:
    thread = stage.discord.world.add_thread(stage.channel, "talk", stage.discord.world.alice)["id"]
    there = target(stage, question="")
    key = type(there.conversation)(there.conversation.platform, there.conversation.bot, thread)
    there = Target(key, private=False, question="", speaker=JACK)
    sent = await stage.outbound.send(there, page("a"), stage.slot())
    await stage.outbound.edit(there, sent, page("b"))
    assert [message.text for message in stage.discord.by_bot(thread)] == ["b"]
    assert [one["channel_id"] for one in stage.discord.world.webhooks.values()] == [stage.channel]


async def test_without_the_right_the_bot_speaks_itself_and_says_so_once(stage: Stage, told: Told) -> None:
    world = stage.discord.world
    world.permissions.overwrite(stage.channel, world.bot, deny=May.MANAGE_WEBHOOKS, member=True)
    for number in range(2):
        await stage.outbound.send(target(stage), page(str(number)), stage.slot(number))
    assert names(stage) == ["parley", "parley"]
    assert told == [stage.channel]
    assert calls(stage, "/webhooks") == 1


async def test_a_webhook_that_somebody_deleted_is_made_anew(stage: Stage) -> None:
    await stage.outbound.send(target(stage), page("a"), stage.slot())
    stage.discord.world.webhooks.clear()
    await stage.outbound.send(target(stage), page("b"), stage.slot(1))
    assert names(stage) == ["Captain Jack"] * 2


async def test_nothing_is_left_where_somebody_moved_the_webhook_to(stage: Stage) -> None:
    world = stage.discord.world
    await stage.outbound.send(target(stage), page("a"), stage.slot())
    (webhook,) = world.webhooks.values()
    webhook["channel_id"] = elsewhere = world.add_channel(world.guild["id"], "elsewhere")
    await stage.outbound.send(target(stage), page("b"), stage.slot(1))
    assert [message.text for message in stage.by_bot()] == ["a", "b"]
    assert names(stage) == ["Captain Jack"] * 2
    assert stage.discord.by_bot(elsewhere) == []


async def test_a_channel_that_is_full_of_webhooks_is_answered_by_the_bot(stage: Stage, told: Told) -> None:
    for _ in range(15):
        make(stage.discord.rest, stage.channel, "Other", application="12345")
    await stage.outbound.send(target(stage), page("a"), stage.slot())
    assert names(stage) == ["parley"]
    assert told == []


async def test_a_send_whose_answer_was_lost_is_not_made_twice(stage: Stage) -> None:
    stage.discord.fail("reset after", "POST /webhooks")
    slot = stage.slot()
    assert (await failed(stage.outbound.send(target(stage), page("a"), slot))).fault is OutboundFault.TRANSIENT
    again = await stage.outbound.send(target(stage), page("a"), slot)
    assert [message.id for message in stage.by_bot()] == [again]


async def test_a_message_that_was_never_noted_is_found_by_another_process(stage: Stage) -> None:
    slot = stage.slot()
    sent = await stage.outbound.send(target(stage), page("the first words"), slot)
    successor = other_process(stage).outbound
    # What stands there by now is not what the whole answer says.
    assert await successor.find(target(stage), page("all of it"), slot, ["1"]) == sent
    assert await successor.find(target(stage), page("all of it"), slot, [sent]) is None
    second = stage.slot(1)
    assert await successor.find(target(stage), page(""), second, [sent]) is None
    further = await stage.outbound.send(target(stage), page("page two"), second)
    assert await successor.find(target(stage), page(""), second, [sent]) == further
    await successor.edit(target(stage), sent, page("all of it"))
    await successor.edit(target(stage), further, page("and more", final=True))
    assert [message.text for message in stage.by_bot()] == ["all of it", "and more"]
    assert [call.status for call in stage.discord.calls if call.status >= 400] == [], "what is refused is counted"


async def test_another_process_deletes_what_either_sent(stage: Stage) -> None:
    """By what sent it: else a right to manage messages is asked for, and no message of the bot's is deleted then."""
    by_persona = [await stage.outbound.send(target(stage), page(str(n)), stage.slot(n)) for n in range(2)]
    by_bot = await stage.outbound.send(stage.target(), page("bot"), stage.slot(2))
    for spoken in (True, False):
        successor = other_process(stage).outbound
        there = target(stage) if spoken else stage.target()
        await successor.delete(there, by_persona.pop())
        if spoken:
            await successor.delete(there, by_bot)
            assert [call.status for call in stage.discord.calls if call.status >= 400] == [404]
    assert stage.by_bot() == []


async def test_what_the_bot_sent_itself_is_changed_by_the_bot(stage: Stage) -> None:
    sent = await stage.outbound.send(stage.target(), page("a"), stage.slot())
    await stage.outbound.send(target(stage), page("b"), stage.slot(1))
    successor = other_process(stage).outbound
    for text in ("c", "d"):
        await successor.edit(target(stage), sent, page(text))
    assert [message.text for message in stage.by_bot()] == ["d", "b"]
    assert [call.status for call in stage.discord.calls if call.status >= 400] == [404]


async def test_somebody_elses_webhook_is_not_taken_for_an_answer(stage: Stage) -> None:
    world, slot = stage.discord.world, stage.slot()
    fields = {"webhook_id": "77", "application_id": "12345"}
    world.post(stage.channel, world.alice, "the answer", **fields)
    assert await stage.outbound.find(target(stage), page("the answer"), slot, []) is None


async def test_pictures_come_under_the_name_too(stage: Stage) -> None:
    await stage.outbound.send_album(target(stage), [picture("a.png"), picture("b.png")], stage.slot(), page("two"))
    (message,) = stage.by_bot()
    assert (names(stage), len(message.data["attachments"])) == (["Captain Jack"], 2)


async def test_a_private_chat_knows_no_webhooks(stage: Stage) -> None:
    world = stage.discord.world
    chat = target(stage).conversation
    direct = type(chat)(chat.platform, chat.bot, world.direct(world.alice))
    await stage.outbound.send(Target(direct, private=True, question="", speaker=JACK), page("a"), stage.slot())
    assert calls(stage, "/webhooks") == 0


def test_more_calls_than_a_webhook_takes_wait() -> None:
    webhook = Webhook("1", "secret")
    for _ in range(RATE):
        webhook.take()
    with pytest.raises(OutboundError) as caught:
        webhook.take()
    assert caught.value.fault is OutboundFault.RATE_LIMITED
    assert 0 < caught.value.retry_after <= 2
    assert "secret" not in repr(webhook)


async def test_the_owner_is_told_once_of_the_missing_right(stage: Stage, store: Store) -> None:
    world = stage.discord.world
    world.permissions.overwrite(stage.channel, world.bot, deny=May.MANAGE_WEBHOOKS, member=True)

    async def bot() -> str:
        return world.bot

    standing = Standing(Rights(stage.rest), Telling(stage.rest, Pacer(Limits())), Once(store), bot)
    outbound = DiscordOutbound(
        settings_for(stage.discord), stage.rest, Deferrals(stage.rest), no_webhooks=standing.no_webhooks
    )
    await outbound.send(target(stage), page("a"), stage.slot())
    owner = world.direct(world.alice)
    await until(lambda: bool(stage.discord.by_bot(owner)))
    (told,) = stage.discord.by_bot(owner)
    assert told.text == say(
        "no_webhooks_here", channel=f"<#{stage.channel}>", permission=say("permission.manage_webhooks")
    )
    await standing.close()


async def test_what_a_deleted_webhook_sent_is_to_be_sent_anew(stage: Stage) -> None:
    sent = await stage.outbound.send(target(stage), page("a"), stage.slot())
    stage.discord.world.webhooks.clear()
    for outbound in (stage.outbound, other_process(stage).outbound):
        assert (await failed(outbound.edit(target(stage), sent, page("b")))).fault is OutboundFault.GONE


async def test_a_name_that_discord_does_not_take_costs_no_answer(stage: Stage) -> None:
    speaker = Speaker("discord friend")
    await stage.outbound.send(stage.target(speaker=speaker), page("a"), stage.slot())
    assert names(stage) == ["parley"]


async def test_two_processes_that_make_one_at_once_keep_one(stage: Stage) -> None:
    processes = stage, other_process(stage)
    stage.discord.set_latency(0.02)
    await asyncio.gather(
        *(one.outbound.send(target(stage), page(str(n)), stage.slot(n)) for n, one in enumerate(processes))
    )
    assert len(stage.discord.world.webhooks) == 1
    assert calls(stage, f"POST /channels/{stage.channel}/webhooks") == 2
    assert names(stage) == ["Captain Jack"] * 2
