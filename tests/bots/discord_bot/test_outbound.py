"""The showing side over the wire: sends, edits, files, interactions, limits, and what is found after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest

from bots.adapter import Button, Page, Slot, Target
from bots.discord_bot.interactions import DEFERRED_MESSAGE, Deferrals, ReplyToken
from bots.discord_bot.outbound import DiscordOutbound
from bots.discord_bot.rest import Rest
from core.errors import OutboundError, OutboundFault
from core.message import Attachment, AttachmentKind, ConversationKey, Platform
from core.parts import Media
from tests.bots.discord_bot.running import settings_for
from tests.platforms.discord_server import TOKEN, FakeDiscord, File
from tests.platforms.discord_wire import Limits
from tests.platforms.discord_world import Interaction, Posted


@dataclass(slots=True)
class Stage:
    """An outbound without any gateway, and a question to answer."""

    discord: FakeDiscord
    outbound: DiscordOutbound
    rest: Rest
    question: Posted

    @property
    def channel(self) -> str:
        return self.discord.world.general

    def target(self, **more: object) -> Target:
        given = {"question": self.question.id, "private": False, **more}
        key = ConversationKey(Platform.DISCORD, self.discord.world.bot, self.channel)
        return Target(conversation=key, **given)  # pyright: ignore[reportArgumentType]

    def slot(self, number: int = 0, turn: str = "turn-1") -> Slot:
        return Slot(turn, number, self.outbound.mark(self.target()))

    def by_bot(self) -> list[Posted]:
        return self.discord.by_bot(self.channel)

    def interaction(self, *, answered: bool = True, ephemeral: bool = False) -> tuple[Interaction, Target]:
        made = self.discord.slash("chat", {"text": "hi"}, self.channel)
        token = ReplyToken(True, self.discord.world.application_id, made.id, made.token)
        if answered:
            data = {"data": {"flags": 64}} if ephemeral else {}
            self.discord.rest.defer(made, data)
        return made, self.target(question="", reply_token=str(token), ephemeral=ephemeral)


@pytest.fixture
async def stage(discord: FakeDiscord) -> AsyncGenerator[Stage]:
    settings = settings_for(discord)
    rest = Rest(settings.api_base, TOKEN)
    world = discord.world
    question = world.post(world.general, world.alice, "why?")
    yield Stage(discord, DiscordOutbound(settings, rest, Deferrals(rest)), rest, question)
    await rest.close()


def page(text: str, *buttons: Button, final: bool = False, footer: str = "") -> Page:
    return Page(text, len(text), buttons=buttons, final=final, footer=footer)


def picture(name: str) -> Media:
    return Media(name, "image/png", name.encode())


async def failed(call: object) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        await call  # pyright: ignore[reportGeneralTypeIssues]
    return caught.value


# ---------------------------------------------------------------------- messages
async def test_an_answer_replies_to_its_question_and_pings_nobody(stage: Stage) -> None:
    world = stage.discord.world
    text = f"@everyone <@{world.alice}> <@&{world.bot_role(world.guild['id'])}>"
    await stage.outbound.send(stage.target(), page(text), stage.slot())
    (sent,) = stage.by_bot()
    assert sent.replies_to == stage.question.id
    assert sent.pinged == []


async def test_only_the_first_page_is_a_reply(stage: Stage) -> None:
    for number in (0, 1, 1000):
        await stage.outbound.send(stage.target(), page(str(number)), stage.slot(number))
    assert [bool(m.replies_to) for m in stage.by_bot()] == [True, False, True]


async def test_a_repeated_send_is_the_same_message(stage: Stage) -> None:
    stage.discord.fail("reset after", "POST")
    assert (await failed(stage.outbound.send(stage.target(), page("a"), stage.slot()))).fault is OutboundFault.TRANSIENT
    again = await stage.outbound.send(stage.target(), page("a"), stage.slot())
    assert [m.id for m in stage.by_bot()] == [again]
    other = await stage.outbound.send(stage.target(), page("a"), stage.slot(turn="turn-2"))
    assert other != again


async def test_nonces_are_short_whatever_the_turn_is_called(stage: Stage) -> None:
    await stage.outbound.send(stage.target(), page("a"), stage.slot(turn="x" * 500))
    assert len(stage.by_bot()[0].nonce) <= 25


async def test_edits_replace_text_and_buttons(stage: Stage) -> None:
    buttons = [Button(f"B{n}", f"do-{n}") for n in range(7)]
    sent = await stage.outbound.send(stage.target(), page("a", *buttons), stage.slot())
    rows = stage.by_bot()[0].data["components"]
    assert [len(row["components"]) for row in rows] == [5, 2]
    first = rows[0]["components"][0]
    assert (first["type"], first["style"], first["label"], first["custom_id"]) == (2, 2, "B0", "do-0")
    await stage.outbound.edit(stage.target(), sent, page("b"))
    (message,) = stage.by_bot()
    assert [text for _, text in message.history] == ["a", "b"]
    assert message.data["components"] == []


async def test_a_deleted_question_is_answered_without_a_reply(stage: Stage) -> None:
    stage.discord.delete(stage.question.id)
    await stage.outbound.send(stage.target(), page("a"), stage.slot())
    assert stage.by_bot()[0].replies_to == ""


async def test_without_the_right_to_read_history_the_answer_is_no_reply(stage: Stage) -> None:
    stage.discord.world.unreadable.add(stage.channel)
    await stage.outbound.send(stage.target(), page("a"), stage.slot())
    assert stage.by_bot()[0].replies_to == ""


async def test_files(stage: Stage) -> None:
    sent = await stage.outbound.send_file(
        stage.target(), "answer.md", "text/markdown", b"# Long", page("here"), stage.slot(3)
    )
    (message,) = stage.by_bot()
    assert (message.id, message.text) == (sent, "here")
    (kept,) = message.data["attachments"]
    assert (kept["filename"], kept["content_type"], kept["size"]) == ("answer.md", "text/markdown", 6)


async def test_a_file_that_is_too_large_is_refused(stage: Stage) -> None:
    data = b"x" * stage.outbound.capabilities.max_file
    await stage.outbound.send_file(stage.target(), "a.bin", "", data, page(""), stage.slot())
    data += b"x"
    call = stage.outbound.send_file(stage.target(), "a.bin", "", data, page(""), stage.slot())
    assert (await failed(call)).fault is OutboundFault.REFUSED


# ---------------------------------------------------------------------- finished messages
async def test_what_grew_as_content_is_finished_as_components(stage: Stage) -> None:
    sent = await stage.outbound.send(stage.target(), page("half https://x.org"), stage.slot())
    done = page("whole", Button("More", "continue"), final=True, footer="tiny · 2 sec")
    await stage.outbound.edit(stage.target(), sent, done)
    (message,) = stage.by_bot()
    assert (message.is_v2, message.text, message.footer) == (True, "whole", "tiny · 2 sec")
    assert message.data["content"] == ""
    assert message.data["components"][-1]["components"][0]["custom_id"] == "continue"
    # It stays so, whatever comes: a further page of the same text, without the row.
    await stage.outbound.edit(stage.target(), sent, page("again", final=True))
    assert [text for _, text in message.history][-1] == "again"
    assert [call.status for call in stage.discord.calls] == [200] * 3


async def test_an_answer_that_is_whole_at_once_is_created_of_components(stage: Stage) -> None:
    await stage.outbound.send(stage.target(), page("whole", final=True), stage.slot())
    (message,) = stage.by_bot()
    assert (message.is_v2, message.text, message.replies_to) == (True, "whole", stage.question.id)


async def test_finished_messages_ping_nobody(stage: Stage) -> None:
    world = stage.discord.world
    text = f"@everyone <@{world.alice}> <@&{world.bot_role(world.guild['id'])}>"
    sent = await stage.outbound.send(stage.target(), page(text, final=True), stage.slot())
    await stage.outbound.edit(stage.target(), sent, page(f"{text}!", final=True))
    assert stage.by_bot()[0].pinged == []


async def test_a_message_that_other_settings_finished_takes_components(stage: Stage) -> None:
    """Content for it is refused once, and not tried again."""
    sent = await stage.outbound.send(stage.target(), page("before", final=True), stage.slot())
    for text in ("again", "and again"):
        await stage.outbound.edit(stage.target(), sent, page(text))
        assert stage.by_bot()[0].text == text
    assert [call.status for call in stage.discord.wire.made("PATCH")] == [400, 200, 200]


async def test_other_refusals_of_an_edit_are_no_reason_to_try_again(stage: Stage) -> None:
    sent = await stage.outbound.send(stage.target(), page("a"), stage.slot())
    assert (await failed(stage.outbound.edit(stage.target(), sent, page("")))).fault is OutboundFault.REFUSED
    assert len(stage.discord.wire.made("PATCH")) == 1


async def test_pictures_come_in_one_gallery(stage: Stage) -> None:
    caption = page("three cats", final=True, footer="tiny")
    names = ["my cat.png", "my cat.png", "图.png"]
    (sent,) = await stage.outbound.send_album(stage.target(), [picture(n) for n in names], stage.slot(), caption)
    (message,) = stage.by_bot()
    assert (message.id, message.text, message.footer) == (sent, "three cats", "tiny")
    gallery = next(c for c in message.data["components"] if c["type"] == 12)
    urls = [item["media"]["url"] for item in gallery["items"]]
    assert [url.partition("?")[0].rpartition("/")[2] for url in urls] == ["my_cat_1.png", "my_cat_2.png", "file_3.png"]
    kept = [stage.discord.world.files[a["url"].partition("?")[0].removeprefix(stage.discord.cdn)][0]
            for a in message.data["attachments"]]  # fmt: skip
    assert kept == [name.encode() for name in names]


async def test_a_picture_is_a_gallery_of_one(stage: Stage) -> None:
    await stage.outbound.send_file(
        stage.target(), "cat.png", "image/png", b"x", page("a cat", final=True), stage.slot()
    )
    (message,) = stage.by_bot()
    assert (message.is_v2, message.text) == (True, "a cat")
    assert 12 in [component["type"] for component in message.data["components"]]


async def test_other_files_keep_their_players_and_previews(stage: Stage) -> None:
    caption = page("here", final=True, footer="tiny")
    await stage.outbound.send_file(stage.target(), "a.md", "text/markdown", b"x", caption, stage.slot())
    (message,) = stage.by_bot()
    assert (message.is_v2, message.text) == (False, "here")


@pytest.mark.parametrize("final", [True, False])
async def test_a_page_that_was_a_picture_is_none_any_more(stage: Stage, final: bool) -> None:
    caption = page("", final=True)
    name = "cat.png" if final else "cat.txt"
    mime = "image/png" if final else "text/plain"
    sent = await stage.outbound.send_file(stage.target(), name, mime, b"x", caption, stage.slot())
    await stage.outbound.edit(stage.target(), sent, page("words", final=final))
    (message,) = stage.by_bot()
    assert (message.text, message.data["attachments"], message.is_v2) == ("words", [], final)


async def test_without_components_everything_is_plain(stage: Stage) -> None:
    settings = settings_for(stage.discord, components=False)
    outbound = DiscordOutbound(settings, stage.rest, Deferrals(stage.rest))
    able = outbound.capabilities
    assert (able.final_form, able.footers) == (False, False)
    await outbound.send_file(stage.target(), "cat.png", "image/png", b"x", page("a cat"), stage.slot(0))
    await outbound.send_album(stage.target(), [picture("a.png"), picture("b.png")], stage.slot(1), page(""))
    assert [(m.is_v2, len(m.data["attachments"])) for m in stage.by_bot()] == [(False, 1), (False, 2)]


async def test_typing_and_deleting(stage: Stage) -> None:
    await stage.outbound.typing(stage.target())
    assert [c.status for c in stage.discord.wire.made("/typing")] == [204]
    sent = await stage.outbound.send(stage.target(), page("a"), stage.slot())
    for _ in range(2):
        await stage.outbound.delete(stage.target(), sent)
    assert stage.by_bot() == []


# ---------------------------------------------------------------------- errors
async def test_errors_are_told_apart(stage: Stage) -> None:
    outbound, target, slot = stage.outbound, stage.target(), stage.slot()
    sent = await outbound.send(target, page("a"), slot)
    assert (await failed(outbound.edit(target, sent, page("x" * 2001)))).fault is OutboundFault.REFUSED
    assert len(stage.discord.pardon()) == 1
    assert (await failed(outbound.edit(target, sent, page("")))).fault is OutboundFault.REFUSED
    stage.discord.delete(sent)
    assert (await failed(outbound.edit(target, sent, page("b")))).fault is OutboundFault.GONE
    stage.discord.world.forbidden.add(stage.channel)
    assert (await failed(outbound.send(target, page("a"), stage.slot(1)))).fault is OutboundFault.FORBIDDEN
    assert (await failed(outbound.typing(target))).fault is OutboundFault.FORBIDDEN


@pytest.mark.parametrize("fault", ["500", "502", "html", "reset before", "reset after", "403 cloudflare"])
async def test_failures_of_the_network_are_transient(stage: Stage, fault: str) -> None:
    stage.discord.fail(fault)
    assert (await failed(stage.outbound.send(stage.target(), page("a"), stage.slot()))).fault is OutboundFault.TRANSIENT
    # One call, one try: trying again is decided where the pacing is.
    assert len(stage.discord.calls) == 1
    await stage.outbound.send(stage.target(), page("a"), stage.slot())
    assert len(stage.by_bot()) == 1


async def test_an_unreachable_server_is_transient(stage: Stage) -> None:
    await stage.discord.close()
    assert (await failed(stage.outbound.typing(stage.target()))).fault is OutboundFault.TRANSIENT


@pytest.mark.parametrize(
    ("fault", "everywhere", "wait"),
    [("429", False, 0.05), ("429 shared", False, 0.05), ("429 global", True, 0.05), ("429 cloudflare", True, 7.0)],
)
async def test_limits_come_back_at_once(stage: Stage, fault: str, everywhere: bool, wait: float) -> None:
    stage.discord.fail(fault)
    error = await failed(stage.outbound.typing(stage.target()))
    assert error.fault is OutboundFault.RATE_LIMITED
    assert (error.everywhere, error.retry_after) == (everywhere, wait)


async def test_a_known_limit_costs_no_call(stage: Stage) -> None:
    stage.discord.wire.limits = Limits(creates=2, window_seconds=0.3)
    for number in range(2):
        await stage.outbound.send(stage.target(), page("a"), stage.slot(number))
    error = await failed(stage.outbound.send(stage.target(), page("a"), stage.slot(2)))
    assert error.fault is OutboundFault.RATE_LIMITED
    assert 0 < error.retry_after <= 0.3
    assert len(stage.discord.calls) == 2
    # Edits are counted by themselves.
    await stage.outbound.edit(stage.target(), stage.by_bot()[0].id, page("b"))
    await asyncio.sleep(error.retry_after + 0.01)
    await stage.outbound.send(stage.target(), page("a"), stage.slot(2))
    assert [call.status for call in stage.discord.calls] == [200] * 4


async def test_a_global_limit_holds_everything_back(stage: Stage) -> None:
    stage.discord.fail("429 global", seconds=0.2)
    await failed(stage.outbound.typing(stage.target()))
    error = await failed(stage.outbound.send(stage.target(), page("a"), stage.slot()))
    assert error.everywhere
    assert len(stage.discord.calls) == 1
    await asyncio.sleep(0.25)
    await stage.outbound.send(stage.target(), page("a"), stage.slot())


# ---------------------------------------------------------------------- after a crash
async def test_a_lost_first_page_is_found_by_its_reply(stage: Stage) -> None:
    stage.discord.say("why else?", stage.channel)
    slot = stage.slot()
    sent = await stage.outbound.send(stage.target(), page("half an ans"), slot)
    other = await stage.outbound.send(stage.target(question="1"), page("to somebody else"), stage.slot(turn="other"))
    assert await stage.outbound.find(stage.target(), page("…"), slot, ()) == sent
    assert await stage.outbound.find(stage.target(), page("…"), slot, (sent,)) is None
    assert await stage.outbound.find(stage.target(question="77"), page("…"), slot, (other,)) is None


async def test_a_lost_further_page_is_found_after_the_known_ones(stage: Stage) -> None:
    first = await stage.outbound.send(stage.target(), page("one"), stage.slot(0))
    assert await stage.outbound.find(stage.target(), page("…"), stage.slot(1), (first,)) is None
    second = await stage.outbound.send(stage.target(), page("two"), stage.slot(1))
    assert await stage.outbound.find(stage.target(), page("…"), stage.slot(1), (first,)) == second
    assert await stage.outbound.find(stage.target(), page("…"), stage.slot(2), (first, second)) is None


async def test_a_lost_page_is_found_by_its_text(stage: Stage) -> None:
    sent = await stage.outbound.send(stage.target(question=""), page("the answer"), stage.slot())
    target = stage.target(question="")
    assert await stage.outbound.find(target, page("the answer"), stage.slot(), ()) == sent
    assert await stage.outbound.find(target, page("another"), stage.slot(), ()) is None


async def test_a_lost_page_of_components_is_found_by_its_text(stage: Stage) -> None:
    target = stage.target(question="")
    done = page("the answer", final=True, footer="tiny · 2 sec")
    sent = await stage.outbound.send(target, done, stage.slot())
    assert await stage.outbound.find(target, page("the answer"), stage.slot(), ()) == sent
    assert await stage.outbound.find(target, page("tiny · 2 sec"), stage.slot(), ()) is None


async def test_a_lost_gallery_is_found_by_its_place(stage: Stage) -> None:
    first = await stage.outbound.send(stage.target(), page("one"), stage.slot(0))
    (album,) = await stage.outbound.send_album(
        stage.target(), [picture("a.png"), picture("b.png")], stage.slot(1), page("")
    )
    assert await stage.outbound.find(stage.target(), page(""), stage.slot(1), (first,)) == album


async def test_the_search_goes_over_several_lists(stage: Stage) -> None:
    world = stage.discord.world
    for number in range(150):
        world.post(stage.channel, world.alice, str(number))
    slot = Slot("turn-1", 0, "")
    sent = await stage.outbound.send(stage.target(), page("a"), slot)
    assert await stage.outbound.find(stage.target(), page("…"), slot, ()) == sent


# ---------------------------------------------------------------------- interactions
async def test_a_command_is_answered_in_its_deferred_message(stage: Stage) -> None:
    made, target = stage.interaction()
    sent = await stage.outbound.send(target, page("one"), stage.slot(0))
    again = await stage.outbound.send(target, page("one"), stage.slot(0))
    assert sent == again == made.original
    second = await stage.outbound.send(target, page("two"), stage.slot(1))
    assert made.followups == [second]
    await stage.outbound.edit(target, sent, page("one!"))
    await stage.outbound.edit(target, second, page("two!"))
    assert [m.text for m in stage.by_bot()] == ["one!", "two!"]
    await stage.outbound.typing(target)
    assert stage.discord.wire.made("/typing") == []
    assert await stage.outbound.find(target, page("…"), stage.slot(0), ()) is None


async def test_a_command_is_answered_at_once_in_components(stage: Stage) -> None:
    made, target = stage.interaction()
    await stage.outbound.send(target, page("one", final=True, footer="tiny"), stage.slot(0))
    second = await stage.outbound.send(target, page("two", final=True), stage.slot(1))
    world = stage.discord.world
    assert [(m.is_v2, m.text, m.footer) for m in (world.find(made.original), world.find(second))] == [
        (True, "one", "tiny"),
        (True, "two", ""),
    ]


async def test_a_private_answer_in_components_stays_private(stage: Stage) -> None:
    made, target = stage.interaction(ephemeral=True)
    await stage.outbound.send(target, page("one", final=True), stage.slot(0))
    second = await stage.outbound.send(target, page("two", final=True), stage.slot(1))
    world = stage.discord.world
    assert [(world.find(m).ephemeral, world.find(m).is_v2) for m in (made.original, second)] == [(True, True)] * 2


async def test_a_pressed_answers_other_pages_are_edited_in_the_channel(stage: Stage) -> None:
    """A press has a token for the message that it was made under, and for no other."""
    world = stage.discord.world
    again = Button("Again", "regenerate")
    pages = [
        await stage.outbound.send(stage.target(), page(text, again, final=True), stage.slot(number))
        for number, text in enumerate("ab")
    ]
    made = stage.discord.press(pages[1], "regenerate")
    stage.discord.wire.calls.clear()
    await stage.rest.call("POST", f"/interactions/{made.id}/{made.token}/callback", {"type": 6})
    token = ReplyToken(False, world.application_id, made.id, made.token)
    target = stage.target(question="", reply_token=str(token))
    for message_id, text in zip(pages, ("A", "B"), strict=True):
        await stage.outbound.edit(target, message_id, page(text, final=True))
    assert [m.text for m in stage.by_bot()] == ["A", "B"]


async def test_a_private_answer_stays_private(stage: Stage) -> None:
    made, target = stage.interaction(ephemeral=True)
    await stage.outbound.send(target, page("one"), stage.slot(0))
    second = await stage.outbound.send(target, page("two"), stage.slot(1))
    world = stage.discord.world
    assert [world.find(m).ephemeral for m in (made.original, second)] == [True, True]
    await stage.outbound.delete(target, second)
    assert world.find(second).deleted


async def test_an_answer_waits_for_the_deferral_of_another_process(stage: Stage) -> None:
    made, target = stage.interaction(answered=False)
    sending = asyncio.create_task(stage.outbound.send(target, page("quick"), stage.slot(0)))
    await asyncio.sleep(0.1)
    assert not sending.done()
    stage.discord.rest.defer(made, {})
    assert await sending == made.original


async def test_an_answer_waits_for_the_deferral_of_this_process(discord: FakeDiscord) -> None:
    settings = settings_for(discord)
    rest = Rest(settings.api_base, TOKEN)
    deferrals = Deferrals(rest)
    outbound = DiscordOutbound(settings, rest, deferrals)
    made = discord.slash("chat", {}, discord.world.general)
    discord.fail("slow", "callback", seconds=0.2)
    deferrals.start(made.id, made.token, DEFERRED_MESSAGE)
    key = ConversationKey(Platform.DISCORD, discord.world.bot, discord.world.general)
    token = ReplyToken(True, discord.world.application_id, made.id, made.token)
    await outbound.send(Target(key, False, "", str(token)), page("a"), Slot("t", 0))
    assert [call.path.rpartition("/")[2] for call in discord.calls] == ["callback", "@original"]
    await rest.close()


async def test_a_spent_token_leads_to_the_channel(stage: Stage) -> None:
    _, target = stage.interaction()
    sent = await stage.outbound.send(target, page("a"), stage.slot(0))
    stage.discord.rest.token_seconds = 0
    await stage.outbound.edit(target, sent, page("b"))
    await stage.outbound.send(target, page("c"), stage.slot(1))
    assert [m.text for m in stage.by_bot()] == ["b", "c"]


async def test_a_spent_token_never_makes_a_private_answer_public(stage: Stage) -> None:
    _, target = stage.interaction(ephemeral=True)
    stage.discord.rest.token_seconds = 0
    before = len(stage.by_bot())
    assert (await failed(stage.outbound.send(target, page("secret"), stage.slot(0)))).fault is OutboundFault.FORBIDDEN
    assert len(stage.by_bot()) == before


async def test_a_follow_up_whose_answer_was_lost_is_not_doubled(stage: Stage) -> None:
    made, target = stage.interaction()
    await stage.outbound.send(target, page("one"), stage.slot(0))
    stage.discord.fail("reset after", "POST")
    slot = stage.slot(1)
    await failed(stage.outbound.send(target, page("two"), slot))
    again = await stage.outbound.send(target, page("two"), slot)
    assert made.followups == [again]
    stage.discord.fail("reset before", "POST")
    slot = stage.slot(2)
    await failed(stage.outbound.send(target, page("three"), slot))
    assert made.followups == [again, await stage.outbound.send(target, page("three"), slot)]


async def test_pictures_whose_answer_was_lost_are_not_doubled(stage: Stage) -> None:
    made, target = stage.interaction()
    await stage.outbound.send(target, page("look"), stage.slot(0))
    for turn in ("a former one", "turn-1"):
        slot, pictures = stage.slot(1, turn), [picture(f"{turn}.png"), picture("b.png")]
        stage.discord.fail("reset after", "POST")
        await failed(stage.outbound.send_album(target, pictures, slot, page("")))
        assert made.followups[-1:] == await stage.outbound.send_album(target, pictures, slot, page(""))
    assert len(made.followups) == 2


async def test_a_file_in_answer_to_a_command(stage: Stage) -> None:
    made, target = stage.interaction()
    await stage.outbound.send_file(target, "a.md", "text/markdown", b"x", page("here"), stage.slot(0))
    assert [a["filename"] for a in stage.discord.world.find(made.original).data["attachments"]] == ["a.md"]


# ---------------------------------------------------------------------- fetching
async def test_files_are_fetched_only_from_the_media_servers(stage: Stage) -> None:
    discord = stage.discord
    said = discord.say("", stage.channel, files=[File("a.png", "image/png", b"x" * 1000)])
    good = said.data["attachments"][0]["url"]
    key = stage.target().conversation
    assert await stage.outbound.fetch(key, Attachment(AttachmentKind.IMAGE, good), 1000) == b"x" * 1000
    port = discord.root.rpartition(":")[2]
    for bad in (
        good.replace("127.0.0.1", "localhost"),
        good.replace(port, "1"),
        good.replace("http://", "http://user@"),
        "http://cdn.discordapp.com/attachments/1/2/a.png",
        "https://cdn.discordapp.com.example.org/a.png",
        "https://example.org/https://cdn.discordapp.com/a.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "http://[",
        "",
    ):
        error = await failed(stage.outbound.fetch(key, Attachment(AttachmentKind.IMAGE, bad), 1000))
        assert error.fault is OutboundFault.REFUSED, bad


async def test_fetching_follows_no_redirect_and_stops_at_the_limit(stage: Stage) -> None:
    said = stage.discord.say("", stage.channel, files=[File("a.png", "image/png", b"x" * 300_000)])
    url: str = said.data["attachments"][0]["url"]
    key = stage.target().conversation
    redirect = Attachment(AttachmentKind.IMAGE, url.replace("/attachments", "/redirect/attachments"))
    assert (await failed(stage.outbound.fetch(key, redirect, 10**6))).fault is OutboundFault.GONE
    for size in (0, 10, 300_000):
        lying = Attachment(AttachmentKind.IMAGE, url, size=size)
        assert (await failed(stage.outbound.fetch(key, lying, 299_999))).fault is OutboundFault.REFUSED
    missing = Attachment(AttachmentKind.IMAGE, f"{stage.discord.root}/attachments/1/2/none.png")
    assert (await failed(stage.outbound.fetch(key, missing, 10))).fault is OutboundFault.GONE
