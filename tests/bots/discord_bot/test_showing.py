"""Whole answers on Discord: the real delivery over the wire, with what happens to the messages on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace

import pytest

from bots.delivery import Delivery
from bots.discord_bot.interactions import Deferrals
from bots.discord_bot.layout import COMPONENTS
from bots.discord_bot.outbound import DiscordOutbound
from bots.discord_bot.rest import Rest
from bots.pacing import Kind, Limits, Pacer
from bots.pacing_windows import Window
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, ConversationKey, Platform
from core.parts import Choice, Ending, Finished, Media, Menu, Part, TextDelta, Usage
from core.storage.client import Store
from core.texts import say
from core.worker import Delivered
from tests.bots.discord_bot.running import settings_for, until
from tests.builders import message
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.discord_wire import Limits as Buckets
from tests.platforms.discord_world import Posted

SCALE = 0.1
"""Discord's windows and our pauses, shortened alike."""
SECONDS = 5.0 * SCALE
EDITS, CREATES = frozenset((Kind.FINAL_EDIT, Kind.EDIT)), frozenset((Kind.CREATE,))
DONE = Finished(Ending.COMPLETE, Usage("big_model", 10, 20, 1234, 1))
Step = Part | Callable[[], bool] | float


@dataclass(slots=True)
class Stage:
    """Delivers answers to questions in one channel."""

    discord: FakeDiscord
    mailbox: Mailbox
    outbound: DiscordOutbound
    delivery: Delivery
    language: str = ""

    @property
    def channel(self) -> str:
        return self.discord.world.general

    @property
    def shown(self) -> list[Posted]:
        return self.discord.by_bot(self.channel)

    async def turn(self) -> Turn:
        """Each in a conversation of its own, all in the channel."""
        world = self.discord.world
        question = world.post(self.channel, world.alice, "why?")
        key = ConversationKey(Platform.DISCORD, world.bot, self.channel, question.id)
        author = Author(world.alice, "Alice", language=self.language)
        asked = message("why?", question.id, conversation=key, author=author, private=False)
        await self.mailbox.post([asked])
        turn = await self.mailbox.take(key)
        assert turn is not None
        return turn

    async def deliver(self, turn: Turn, *steps: Step) -> Delivered:
        """What is to be true is waited for; numbers are pauses in seconds."""

        async def answer() -> AsyncGenerator[Part]:
            for step in steps:
                if isinstance(step, float | int):
                    await asyncio.sleep(step)
                elif callable(step):
                    await until(step)
                else:
                    yield step

        return await self.delivery(turn, answer())

    def statuses(self, match: str) -> list[int]:
        return [call.status for call in self.discord.wire.made(match)]


@pytest.fixture
async def stage(discord: FakeDiscord, store: Store) -> AsyncGenerator[Stage]:
    discord.wire.limits = Buckets(window_seconds=SECONDS, everything=0)
    settings = settings_for(discord)
    rest = Rest(settings.api_base, TOKEN)
    outbound = DiscordOutbound(settings, rest, Deferrals(rest))
    interval = outbound.capabilities.edit_interval * SCALE
    outbound.capabilities = replace(outbound.capabilities, edit_interval=interval, group_edit_interval=interval)
    mailbox = Mailbox(store, "w", admission=Admission(5), keep_days=1)
    window = 5.2 * SCALE
    pacer = Pacer(Limits(chat=(Window(5, window, CREATES), Window(5, window, EDITS))))
    delivery = Delivery({Platform.DISCORD: outbound}, {Platform.DISCORD: pacer}, mailbox, max_pages=3)
    yield Stage(discord, mailbox, outbound, delivery)
    await rest.close()


def forms(stage: Stage) -> list[bool]:
    """Of every body that was sent with a text: whether it was one of components."""
    calls = [*stage.discord.wire.made("POST"), *stage.discord.wire.made("PATCH")]
    return [bool(call.body.get("flags", 0) & COMPONENTS) for call in calls if "components" in call.body]


async def test_an_answer_grows_as_content_and_ends_as_components(stage: Stage) -> None:
    half = lambda: any(m.text == "half" for m in stage.shown)  # noqa: E731
    await stage.deliver(await stage.turn(), TextDelta("half"), half, TextDelta(" and half"), DONE)
    (answer,) = stage.shown
    assert (answer.is_v2, answer.text) == (True, "half and half")
    assert answer.footer.startswith("big\\_model · ")
    assert answer.footer.endswith(" · $0.0012")
    # No call beyond what plain messages need: one to create, one to finish.
    assert (stage.statuses("POST"), stage.statuses("PATCH")) == ([200], [200])
    assert forms(stage) == [False, True]


async def test_the_footer_is_in_the_askers_language_and_under_answers_of_models_only(stage: Stage) -> None:
    stage.language = "zh-CN"
    await stage.deliver(await stage.turn(), TextDelta("好"), DONE)
    await stage.deliver(await stage.turn(), TextDelta("done"), Finished(Ending.COMPLETE))
    first, second = stage.shown
    assert first.footer.endswith("秒 · US$0.0012")
    assert (second.is_v2, second.footer) == (True, "")


async def test_a_page_takes_its_final_form_when_it_is_full(stage: Stage) -> None:
    """Its last edit has to be made anyway: no call is made for the form alone."""
    first, second = "first " * 320, "second " * 320
    long = lambda: len(stage.shown) == 2 and stage.shown[0].is_v2  # noqa: E731
    await stage.deliver(
        await stage.turn(), TextDelta("begin "), lambda: bool(stage.shown), TextDelta(first + second[:200]), long,
        TextDelta(second[200:]), DONE,
    )  # fmt: skip
    assert [m.is_v2 for m in stage.shown] == [True] * len(stage.shown)
    assert [bool(m.footer) for m in stage.shown] == [False] * (len(stage.shown) - 1) + [True]
    page_one = stage.discord.wire.made(f"PATCH /channels/{stage.channel}/messages/{stage.shown[0].id}")
    assert len([call for call in page_one if call.body.get("flags", 0) & COMPONENTS]) == 1


async def test_an_answer_that_is_made_anew_keeps_to_components(stage: Stage) -> None:
    """The former answer's messages take no content any more, and never meet any."""
    former = await stage.turn()
    await stage.deliver(former, TextDelta("word " * 700), DONE)
    count = len(stage.shown)
    again = await stage.turn()
    again.pages = dict(former.pages)
    half = lambda: stage.shown[0].text == "new"  # noqa: E731
    await stage.deliver(again, TextDelta("new"), half, TextDelta(" words"), DONE)
    assert count == 2
    assert [m.text for m in stage.shown] == ["new words"]
    assert 400 not in stage.statuses("")


@pytest.mark.parametrize("is_noted", [True, False])
async def test_a_taken_over_answer_never_meets_the_wrong_form(stage: Stage, is_noted: bool) -> None:
    """The worker died after its final edit, or after it created a whole answer whose id it could not note."""
    turn = await stage.turn()
    await stage.deliver(turn, TextDelta("the dead one's"), DONE)
    if not is_noted:
        turn.pages.clear()
        turn.slot = (0, "")
    half = lambda: stage.shown[0].text == "half"  # noqa: E731
    await stage.deliver(turn, TextDelta("half"), half, TextDelta(" done"), DONE)
    assert [m.text for m in stage.shown] == ["half done"]
    assert 400 not in stage.statuses("")


async def test_a_last_page_that_somebody_deletes_is_sent_again(stage: Stage) -> None:
    def deleted() -> bool:
        if stage.shown and not stage.discord.wire.made("DELETE"):
            stage.discord.delete(stage.shown[0].id)
        return not stage.shown

    await stage.deliver(await stage.turn(), TextDelta("half"), deleted, TextDelta(" and half"), DONE)
    (answer,) = stage.shown
    assert (answer.is_v2, answer.text) == (True, "half and half")


async def test_code_blocks_are_whole_on_every_page(stage: Stage) -> None:
    code = "\n".join(f"line_{number} = {number}" for number in range(180))
    await stage.deliver(await stage.turn(), TextDelta(f"Look:\n\n```python\n{code}\n```\nDone."), DONE)
    texts = [m.text for m in stage.shown]
    assert len(texts) > 1
    assert all(text.count("```") == 2 and "```python\n" in text for text in texts)
    lines = [line for text in texts for line in text.split("\n") if line.startswith("line_")]
    assert lines == code.split("\n")


def pictures(count: int, size: int = 1) -> list[Media]:
    return [Media(f"{n}.png", "image/png", b"x" * size, f"number {n}") for n in range(count)]


def kinds(shown: Posted) -> list[int]:
    return [component["type"] for component in shown.data["components"]]


async def test_words_pictures_footer_and_buttons_are_one_message(stage: Stage) -> None:
    turn = await stage.turn()
    ending = replace(DONE, ending=Ending.LENGTH)
    await stage.deliver(turn, TextDelta("look"), *pictures(3), Media("a.txt", "text/plain", b"y"), ending)
    answer, file = stage.shown
    assert [len(m.data["attachments"]) for m in (answer, file)] == [3, 1]
    assert kinds(answer) == [10, 12, 10, 1]
    items = next(c for c in answer.data["components"] if c["type"] == 12)["items"]
    assert [item["description"] for item in items] == ["number 0", "number 1", "number 2"]
    assert list(turn.pages.values()) == [answer.id, file.id]
    assert [bool(m.footer) for m in (answer, file)] == [True, False]
    assert (stage.statuses("POST"), stage.statuses("PATCH")) == ([200, 200], [])


async def test_pictures_come_into_the_message_of_words_that_grew(stage: Stage) -> None:
    turn = await stage.turn()
    half = lambda: any(m.text == "half" for m in stage.shown)  # noqa: E731
    for _ in range(2):
        # The second time is another worker's, where the first one died after its last edit.
        await stage.deliver(turn, TextDelta("half"), half, TextDelta(" and half"), *pictures(2), DONE)
        (answer,) = stage.shown
        assert (answer.text, len(answer.data["attachments"]), kinds(answer)) == ("half and half", 2, [10, 12, 10])
    assert 400 not in stage.statuses("")


async def test_pictures_without_words_have_footer_and_buttons(stage: Stage) -> None:
    menu = Menu(((Choice("More", "imagine"),),))
    await stage.deliver(await stage.turn(), menu, *pictures(2), DONE)
    (gallery,) = stage.shown
    assert gallery.footer.startswith("big\\_model")
    assert kinds(gallery) == [12, 10, 1]


async def test_pictures_that_one_message_has_no_room_for_are_another(stage: Stage) -> None:
    turn = await stage.turn()
    await stage.deliver(turn, TextDelta("look"), *pictures(12), DONE)
    assert [(m.text, len(m.data["attachments"])) for m in stage.shown] == [("look", 10), ("", 2)]
    assert list(turn.pages.values()) == [m.id for m in stage.shown]


async def test_a_message_with_pictures_that_was_not_noted_is_found_and_not_doubled(stage: Stage) -> None:
    """Whether or not words are in it."""
    for count, words in enumerate(([TextDelta("look")], []), 1):
        turn = await stage.turn()
        await stage.deliver(turn, *words, *pictures(2), DONE)
        made = turn.pages.copy()
        turn.pages, turn.slot = {}, (0, "")
        await stage.deliver(turn, *words, *pictures(2), DONE)
        assert turn.pages == made
        assert [len(m.data["attachments"]) for m in stage.shown] == [2] * count


async def test_a_gallery_that_was_not_noted_is_found_and_not_doubled(stage: Stage) -> None:
    turn = await stage.turn()
    await stage.deliver(turn, TextDelta("look"), *pictures(12), DONE)
    turn.slot, number = (1, ""), max(turn.pages)
    gallery = turn.pages.pop(number)
    await stage.deliver(turn, TextDelta("look"), DONE)
    assert turn.pages == {0: stage.shown[0].id}
    assert stage.discord.world.find(gallery).deleted


async def test_an_answer_made_anew_loses_its_pictures(stage: Stage) -> None:
    former = await stage.turn()
    await stage.deliver(former, TextDelta("look"), *pictures(2), DONE)
    again = await stage.turn()
    again.pages = dict(former.pages)
    await stage.deliver(again, TextDelta("no picture"), DONE)
    (answer,) = stage.shown
    assert (answer.text, answer.data["attachments"], kinds(answer)) == ("no picture", [], [10, 10])


@pytest.mark.parametrize("grows", [True, False])
async def test_where_no_file_may_be_sent_that_is_said(stage: Stage, grows: bool) -> None:
    world = stage.discord.world
    world.permissions.overwrite(stage.channel, world.guild["id"], deny=May.ATTACH_FILES)
    step: list[Step] = [lambda: bool(stage.shown)] if grows else []
    picture = Media("cat.png", "image/png", b"x")
    await stage.deliver(await stage.turn(), TextDelta("look"), *step, picture, DONE)
    assert [m.text for m in stage.shown] == ["look", say("no_files", name="cat.png", count=1)]
    await stage.deliver(await stage.turn(), picture, DONE)
    assert stage.shown[-1].text == say("no_files", name="cat.png", count=1)
    # Neither again for the same answer, nor soon for another.
    assert stage.statuses("").count(403) == 1 + grows


async def test_without_components_pictures_hang_on_the_words(stage: Stage) -> None:
    able = stage.outbound.capabilities
    stage.outbound.capabilities = replace(able, final_form=False, footers=False)
    await stage.deliver(await stage.turn(), TextDelta("look"), *pictures(2), DONE)
    (answer,) = stage.shown
    assert (answer.is_v2, answer.text) == (False, "look")
    assert [file["description"] for file in answer.data["attachments"]] == ["number 0", "number 1"]


async def test_the_last_edit_always_finds_room(stage: Stage) -> None:
    """Five edits in five seconds are all that a channel takes: several answers share them, and none is refused."""
    pieces: list[Step] = [step for n in range(40) for step in (TextDelta(f"word{n} "), 2 * SECONDS / 40)]
    turns = [await stage.turn() for _ in range(4)]
    await asyncio.gather(*(stage.deliver(turn, *pieces[10 * n :], DONE) for n, turn in enumerate(turns)))
    assert [(m.is_v2, m.text.endswith("word39")) for m in stage.shown] == [(True, True)] * 4
    assert 429 not in stage.statuses("")
    assert len(stage.statuses("PATCH")) > len(turns), "some on the way"
