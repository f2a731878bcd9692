"""Presses by way of the real gateway client: each has one first answer, in time, whatever the storage does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest

from bots.adapter import Button
from bots.buttons import AGAIN_WITH, FORGET, MODELS, ROW
from bots.discord_bot import layout
from bots.discord_bot.rows import rows
from core.message import CommandCall, Deletion
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.storage.client import Store
from core.tasks import end
from core.texts import say
from tests.bots.answers import Answers
from tests.bots.discord_bot.running import ListInbox, Running, connected, until
from tests.platforms.discord_components import shown_files, walk
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import FakeDiscord
from tests.platforms.discord_world import EPHEMERAL, Interaction, Posted

SENTENCE, DEFERRED, CHANGED = 4, 6, 7
PROVIDER = Provider("p", "http://127.0.0.1:9/v1")
NAMES = [f"m{number}" for number in range(8)]
CATALOG = Catalog([PROVIDER], [Model(name, "p", name) for name in NAMES])


@dataclass
class Table:
    """An answer in a guild's channel, and people around it."""

    bot: Running
    store: Store
    answers: Answers
    asker: str
    stranger: str
    channel: str

    async def shown(self, *commands: str, **fields: Any) -> Posted:
        """A kept answer with these buttons."""
        world = self.bot.discord.world
        made = rows([Button(command, command) for command in commands])
        components = [*fields.pop("components", ()), *made]
        content = fields.pop("content", "" if fields.get("flags") else "an answer")
        posted = world.post(self.channel, world.bot, content, components=components, **fields)
        await self.answers.keep(posted.id, model="m1", asker=self.asker)
        return posted

    async def press(self, posted: Posted, data: str, user: str = "") -> Interaction:
        """Presses as the asker, or as somebody else, and waits for the answer."""
        return await self.answered(self.bot.discord.press(posted.id, data, user=user or self.asker))

    async def answered(self, made: Interaction) -> Interaction:
        await until(lambda: bool(made.answered))
        return made

    def now(self, posted: Posted) -> list[str]:
        """What can be pressed under it, lists by their values."""
        there = list(walk(self.bot.discord.world.find(posted.id).data["components"]))
        lists = [option["value"] for part in there for option in part.get("options") or ()]
        return lists + [part["custom_id"] for part in there if "custom_id" in part and "options" not in part]


@pytest.fixture
async def table(discord: FakeDiscord, store: Store) -> AsyncGenerator[Table]:
    async with connected(discord, store, catalog=CATALOG) as bot:
        yield seated(bot, store)


def seated(bot: Running, store: Store) -> Table:
    world = bot.discord.world
    channel = world.general
    asker, stranger = world.add_user("ann"), world.add_user("bob")
    return Table(bot, store, Answers(store, bot.key(channel)), asker, stranger, channel)


def sentence(made: Interaction) -> str:
    """What its presser alone is told at once."""
    assert made.callback["type"] == SENTENCE
    assert made.callback["data"]["flags"] & EPHEMERAL
    assert made.callback["data"]["allowed_mentions"]["parse"] == []
    return made.callback["data"]["content"]


async def followed(table: Table, made: Interaction) -> str:
    """What its presser alone is told after the first answer."""
    await until(lambda: bool(made.followups))
    posted = table.bot.discord.world.find(made.followups[0])
    assert posted.ephemeral
    return posted.text


# ---- what is shown


async def test_the_row_turns_its_pages_in_one_call(table: Table) -> None:
    posted = await table.shown("regenerate", MODELS, FORGET)
    before = len(table.bot.discord.calls)
    made = await table.press(posted, MODELS)
    assert made.callback["type"] == CHANGED
    assert table.now(posted) == [*(AGAIN_WITH + name for name in NAMES), ROW]
    assert posted.text == "an answer"
    made = await table.press(posted, ROW)
    assert table.now(posted) == ["regenerate", MODELS, "feedback up", "feedback down", FORGET]
    assert len(table.bot.discord.calls) == before + 2


async def test_in_a_message_of_components_all_else_is_kept(table: Table) -> None:
    world = table.bot.discord.world
    file = world.store_file(table.channel, "cat.png", "image/png", b"cat", table.bot.discord.cdn)
    seen = {"url": file["url"], "proxy_url": file["url"], "attachment_id": file["id"]}
    whole = [
        {"type": 10, "id": 1, "content": "an answer"},
        {"type": 12, "id": 2, "items": [{"media": seen}]},
        {"type": 10, "id": layout.FOOTER, "content": "-# m1"},
    ]
    posted = await table.shown("regenerate", FORGET, components=whole, flags=layout.COMPONENTS, attachments=[file])
    made = await table.press(posted, FORGET)
    assert made.callback["type"] == CHANGED
    assert table.now(posted) == ["forget", ROW]
    given = made.callback["data"]["components"]
    assert [part["content"] for part in given if part["type"] == 10] == ["an answer", "-# m1"]
    assert shown_files(given) == {"cat.png"}
    assert [one["id"] for one in posted.data["attachments"]] == [file["id"]]


async def test_a_list_names_what_a_button_would(table: Table) -> None:
    posted = await table.shown("regenerate", MODELS)
    await table.press(posted, MODELS)
    chosen = table.bot.discord.choose(posted.id, AGAIN_WITH + "m6", user=table.asker)
    assert (await table.answered(chosen)).callback == {"type": DEFERRED}
    (call,) = await table.bot.accepted(1)
    assert isinstance(call, CommandCall)
    assert (call.name, call.options, call.reply_to) == ("regenerate", {"model": "m6"}, posted.id)


async def test_a_page_of_settings_changes_in_place_and_closes(table: Table) -> None:
    posted = await table.shown(".set language", ".close")
    admin = table.bot.discord.world.alice
    made = await table.press(posted, ".set language", admin)
    assert made.callback["type"] == CHANGED
    assert ".set language=zh_Hans" in table.now(posted)
    await table.press(posted, ".set language=zh_Hans", admin)
    assert say("settings_head", "zh_Hans") in posted.text
    made = await table.press(posted, ".close", admin)
    assert made.callback == {"type": DEFERRED}
    await until(lambda: bool(posted.deleted))


async def test_settings_in_a_message_of_components(table: Table) -> None:
    text = [{"type": 10, "content": "Settings"}]
    posted = await table.shown(".set", components=text, flags=layout.COMPONENTS)
    made = await table.press(posted, ".set", table.bot.discord.world.alice)
    assert made.callback["type"] == CHANGED
    assert posted.text.startswith(say("settings_head"))
    assert ".close" in table.now(posted)


async def test_buttons_under_what_only_one_sees(table: Table) -> None:
    posted = await table.shown("regenerate", FORGET)
    posted.ephemeral = True
    await table.press(posted, FORGET)
    assert table.now(posted) == ["forget", ROW]
    await table.press(posted, ROW)
    await table.press(posted, "regenerate")
    (call,) = await table.bot.accepted(1)
    assert isinstance(call, CommandCall)
    assert call.alone
    assert call.reply_token.startswith("after/")


# ---- what is posted


async def test_what_makes_an_answer_is_accepted_and_then_acknowledged(table: Table) -> None:
    posted = await table.shown("regenerate")
    made = await table.press(posted, "regenerate")
    assert made.callback == {"type": DEFERRED}
    (call,) = await table.bot.accepted(1)
    assert isinstance(call, CommandCall)
    assert (call.name, call.reply_to, call.reply_token, call.author.id) == ("regenerate", posted.id, "", table.asker)
    assert not made.followups


async def test_two_presses_are_one(table: Table) -> None:
    posted = await table.shown("regenerate")
    first, second = (table.bot.discord.press(posted.id, "regenerate", user=table.asker) for _ in range(2))
    assert (await table.answered(first)).callback == {"type": DEFERRED}
    assert sentence(await table.answered(second)) == say("toast.under_way")
    assert len(table.bot.inbox.accepted) == 1


async def test_two_people_vote_at_the_same_moment(table: Table) -> None:
    posted = await table.shown("feedback up", "feedback down")
    bot = table.bot.discord
    both = [bot.press(posted.id, "feedback up", user=user) for user in (table.asker, table.stranger)]
    assert [sentence(await table.answered(made)) for made in both] == [say("feedback_thanks")] * 2
    assert {value.voter for value in table.bot.inbox.votes} == {table.asker, table.stranger}


async def test_forgetting_takes_the_row_away_and_says_so(table: Table) -> None:
    posted = await table.shown("forget")
    made = await table.press(posted, "forget")
    (deletion,) = await table.bot.accepted(1)
    assert isinstance(deletion, Deletion)
    assert deletion.ids == (posted.id,)
    assert made.callback["type"] == CHANGED
    assert table.now(posted) == []
    assert await followed(table, made) == say("forgotten")


async def test_an_answer_for_the_presser_alone_goes_by_the_press(table: Table) -> None:
    posted = await table.shown("help")
    await table.press(posted, "help")
    (call,) = await table.bot.accepted(1)
    assert isinstance(call, CommandCall)
    assert call.reply_token.startswith("after/")


# ---- refusals


@pytest.mark.parametrize("data", ["regenerate", MODELS, FORGET, "forget", "stop"])
async def test_strangers_are_told_and_nobody_else(table: Table, data: str) -> None:
    posted = await table.shown(data)
    assert sentence(await table.press(posted, data, table.stranger)) == say("not_theirs")
    assert table.now(posted) == [data]
    assert not table.bot.inbox.accepted


async def test_who_manages_the_server_may_press_and_choose(table: Table) -> None:
    world = table.bot.discord.world
    posted = await table.shown(FORGET, ".set")
    assert sentence(await table.press(posted, ".set", table.stranger)) == say("admins_only")
    world.permissions.give(world.guild["id"], table.stranger, May.MANAGE_GUILD)
    assert (await table.press(posted, FORGET, table.stranger)).callback["type"] == CHANGED
    other = await table.shown(".set")
    assert (await table.press(other, ".set", table.stranger)).callback["type"] == CHANGED


async def test_under_an_answer_of_long_ago_the_row_goes(table: Table) -> None:
    world = table.bot.discord.world
    posted = world.post(table.channel, world.bot, "of long ago", components=rows([Button("Again", "regenerate")]))
    made = await table.press(posted, "regenerate")
    assert made.callback["type"] == CHANGED
    assert table.now(posted) == []
    assert posted.text == "of long ago"
    assert await followed(table, made) == say("toast.unknown")


@pytest.mark.parametrize("data", ["dance", ".dance now", "x" * 100])
async def test_odd_buttons_get_a_sentence(table: Table, data: str) -> None:
    posted = await table.shown(data)
    assert sentence(await table.press(posted, data)) == say("toast.old")


async def test_sentences_are_in_the_pressers_language(table: Table) -> None:
    posted = await table.shown("regenerate")
    made = table.bot.discord.press(posted.id, "regenerate", user=table.stranger, locale="zh-CN")
    assert sentence(await table.answered(made)) == say("not_theirs", "zh_Hans")


# ---- trouble


async def paused(store: Store, seconds: float) -> None:
    """The storage answers nobody for a while."""
    await store.attempt(lambda: store.redis.execute_command("CLIENT", "PAUSE", int(seconds * 1000), "ALL"))


async def test_while_the_storage_is_slow_the_press_is_acknowledged_first(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.discord_bot.pressing.ACKNOWLEDGE_SECONDS", 0.05)
    posted = await table.shown("regenerate", FORGET)
    await paused(table.store, 0.4)
    made = await table.press(posted, FORGET)
    assert made.callback == {"type": DEFERRED}
    assert table.now(posted) == ["regenerate", FORGET]
    await until(lambda: table.now(posted) == ["forget", ROW])
    await paused(table.store, 0.4)
    made = await table.press(posted, ROW, table.stranger)
    assert await followed(table, made) == say("not_theirs")


async def test_who_presses_while_the_storage_is_away_is_told(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bots.discord_bot.pressing.ACKNOWLEDGE_SECONDS", 0.05)
    monkeypatch.setattr("bots.discord_bot.pressing.GIVE_UP_SECONDS", 0.2)
    posted = await table.shown("regenerate")
    await paused(table.store, 1.0)
    made = await table.press(posted, "regenerate")
    assert made.callback == {"type": DEFERRED}
    assert await followed(table, made) == say("press_later")
    assert not table.bot.inbox.accepted


async def test_what_its_presser_was_told_is_not_done_is_not_done_later(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.discord_bot.pressing.ACKNOWLEDGE_SECONDS", 0.05)
    inbox = ListInbox()
    async with connected(discord, store, catalog=CATALOG, inbox=inbox) as bot:
        table = seated(bot, store)
        posted, other = await table.shown("regenerate"), await table.shown("regenerate")
        inbox.failures = 10_000
        with monkeypatch.context() as hasty:
            hasty.setattr("bots.discord_bot.pressing.GIVE_UP_SECONDS", 0.2)
            assert await followed(table, await table.press(posted, "regenerate")) == say("press_later")
        inbox.failures = 0
        await table.press(other, "regenerate")
        await bot.accepted(1)
        assert [value.reply_to for value in inbox.accepted if isinstance(value, CommandCall)] == [other.id]


async def test_who_presses_as_the_process_stops_is_told(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.discord_bot.pressing.ACKNOWLEDGE_SECONDS", 0.02)
    monkeypatch.setattr("bots.discord_bot.pressing.CALLBACK_SECONDS", 0.1)
    monkeypatch.setattr("bots.discord_bot.adapter.LAST_WORDS", 0.2)
    inbox = ListInbox(failures=10_000)
    async with connected(discord, store, catalog=CATALOG, inbox=inbox) as bot:
        table = seated(bot, store)
        posted = await table.shown("regenerate")
        made = await table.press(posted, "regenerate")
        await end([bot.task])
        assert await followed(table, made) == say("press_later")


async def test_what_cannot_be_shown_is_told(table: Table) -> None:
    """A message that nobody expected."""
    odd = [{"type": 10, "content": "an answer"}]
    posted = await table.shown(MODELS, components=odd, flags=layout.COMPONENTS)
    del posted.data["components"][0]["type"]
    assert sentence(await table.press(posted, MODELS)) == say("press_later")


async def test_what_the_inbox_takes_late_is_acknowledged_in_time(
    discord: FakeDiscord, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.discord_bot.pressing.ACKNOWLEDGE_SECONDS", 0.05)
    inbox = ListInbox()
    async with connected(discord, store, catalog=CATALOG, inbox=inbox) as bot:
        table = seated(bot, store)
        posted = await table.shown("regenerate")
        inbox.failures = 2
        made = await table.press(posted, "regenerate")
        assert made.callback == {"type": DEFERRED}
        assert not inbox.accepted
        await bot.accepted(1)


@pytest.mark.parametrize("fault", ["500", "reset before", "reset after"])
async def test_a_lost_answer_is_given_again(table: Table, fault: str) -> None:
    posted = await table.shown("regenerate", FORGET)
    table.bot.discord.fail(fault, "callback")
    assert (await table.press(posted, FORGET)).callback["type"] == CHANGED
    assert table.now(posted) == ["forget", ROW]
    table.bot.discord.fail(fault, "callback")
    assert sentence(await table.press(posted, "forget", table.stranger)) == say("not_theirs")
