"""The sending side against the fake server, through the real python-telegram-bot."""

from __future__ import annotations

import pytest

from bots.adapter import Button, Page, Slot, Target
from bots.telegram_bot import outbound as outbound_module
from bots.telegram_bot.api import Api
from bots.telegram_bot.outbound import TelegramOutbound
from bots.telegram_bot.places import GENERAL
from bots.telegram_bot.seen import Seen
from core.errors import OutboundError, OutboundFault, SettingsError
from core.message import Attachment, AttachmentKind, ConversationKey, Platform
from core.parts import Activity
from core.settings import TelegramSettings
from tests.platforms.telegram_server import Fault, TelegramServer
from tests.platforms.telegram_world import PNG

SLOT = Slot("turn-1", 0)


def target(chat: int, question: int | str = "", thread: int | str = "") -> Target:
    key = ConversationKey(Platform.TELEGRAM, "4242", str(chat), str(thread))
    return Target(key, private=chat > 0, question=str(question))


@pytest.fixture
def private(server: TelegramServer) -> Target:
    return target(7, server.world.text(7, "hello"))


@pytest.fixture
def group(server: TelegramServer) -> Target:
    server.world.group(-100500)
    return target(-100500, server.world.text(-100500, "@parley_bot hello"))


async def faulty(outbound: TelegramOutbound, at: Target, page: Page) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        await outbound.send(at, page, SLOT)
    return caught.value


async def test_send_and_edit(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    page = outbound.format("**Hi** `x`")
    number = await outbound.send(private, page, SLOT)
    (post,) = server.world.shown(7)
    assert (str(post.id), post.text, post.reply_to) == (number, "Hi x", 0)
    assert post.entities == list(page.entities)
    assert server.calls[-1].fields["link_preview_options"] == {"is_disabled": True}
    await outbound.edit(private, number, outbound.format("**Hi** there"))
    assert server.world.texts(7) == ["Hi there"]
    assert [text for _, text in post.history] == ["Hi x", "Hi there"]


async def test_an_unchanged_edit_is_no_error(
    server: TelegramServer, outbound: TelegramOutbound, private: Target
) -> None:
    page = outbound.format("same")
    number = await outbound.send(private, page, SLOT)
    await outbound.edit(private, number, page)
    assert server.calls[-1].status == 400


async def test_groups_see_which_question_is_answered(
    server: TelegramServer, outbound: TelegramOutbound, group: Target
) -> None:
    await outbound.send(group, outbound.format("answer"), SLOT)
    (post,) = server.world.shown(-100500)
    assert str(post.reply_to) == group.question
    server.world.chat(-100500).posts[int(group.question)].deleted = True
    await outbound.send(group, outbound.format("late answer"), SLOT)
    assert server.world.shown(-100500)[-1].reply_to == 0


async def test_a_pressed_button_is_not_replied_to(
    server: TelegramServer, outbound: TelegramOutbound, group: Target
) -> None:
    at = Target(group.conversation, private=False, question="press-400000000000000001")
    await outbound.send(at, outbound.format("answer"), SLOT)
    assert "reply_parameters" not in server.calls[-1].fields


async def test_topics(server: TelegramServer, outbound: TelegramOutbound) -> None:
    server.world.group(-100600, forum=True)
    thread = server.world.topic(-100600, "Openings")
    at = target(-100600, thread=thread)
    await outbound.send(at, outbound.format("answer"), SLOT)
    await outbound.typing(at)
    assert server.world.shown(-100600)[0].thread == thread
    assert server.calls[-1].fields["message_thread_id"] == thread
    assert (await faulty(outbound, target(-100600, thread=99), outbound.format("x"))).fault is OutboundFault.CLOSED


async def test_the_general_topic_has_no_number(server: TelegramServer, outbound: TelegramOutbound) -> None:
    server.world.group(-100600, forum=True)
    at = target(-100600, server.world.text(-100600, "@parley_bot hi"), thread=GENERAL)
    await outbound.send(at, outbound.format("answer"), SLOT)
    await outbound.typing(at)
    assert server.world.shown(-100600)[0].thread == 0


async def test_drafts(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    for text in ("", "**Once", "**Once** upon"):
        await outbound.draft(private, SLOT, outbound.format(text))
    drafts = server.world.chat(7).drafts
    assert [draft.text for draft in drafts] == ["", "Once", "Once upon"]
    assert drafts[1].entities[0]["type"] == "bold"
    assert len({draft.id for draft in drafts}) == 1
    assert all(draft.can_stop for draft in drafts)
    await outbound.draft(private, Slot("turn-1", 1), outbound.format("next page"))
    assert drafts[-1].id != drafts[0].id


async def test_a_draft_in_a_private_topic(server: TelegramServer, outbound: TelegramOutbound) -> None:
    for markdown in ("plain", "# Head"):
        await outbound.draft(target(7, server.world.text(7, "hello"), thread=42), SLOT, outbound.format(markdown))
    assert [(draft.thread, bool(draft.rich)) for draft in server.world.chat(7).drafts] == [(42, False), (42, True)]


async def test_drafts_where_there_are_none(server: TelegramServer, outbound: TelegramOutbound, group: Target) -> None:
    with pytest.raises(OutboundError) as caught:
        await outbound.draft(group, SLOT, outbound.format("x"))
    assert caught.value.fault is OutboundFault.REFUSED
    assert outbound.capabilities.drafts
    # An old Bot API server does not know the method.
    server.absent.add("sendMessageDraft")
    with pytest.raises(OutboundError) as caught:
        await outbound.draft(target(7), SLOT, outbound.format("x"))
    assert caught.value.fault is OutboundFault.REFUSED
    assert not outbound.capabilities.drafts, "answers that begin from now on do not try"


async def test_typing(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    for activity in Activity:
        await outbound.typing(private, activity)
    actions = ["typing", "upload_photo", "upload_video", "record_voice", "upload_document"]
    assert [action for _, action in server.world.chat(7).actions] == actions


async def test_buttons_come_and_go(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    buttons = (Button("Continue", "continue"), Button("Too long", "x" * 65))
    number = await outbound.send(private, Page("answer", 6, buttons=buttons), SLOT)
    (post,) = server.world.shown(7)
    assert post.markup == {"inline_keyboard": [[{"text": "Continue", "callback_data": "continue"}]]}
    await outbound.edit(private, number, Page("answer", 6))
    assert post.markup is None


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.SERVER_ERROR, OutboundFault.TRANSIENT),
        (Fault.BAD_GATEWAY, OutboundFault.TRANSIENT),
        (Fault.HTML, OutboundFault.TRANSIENT),
        (Fault.RESET_BEFORE, OutboundFault.TRANSIENT),
        (Fault.RESET_AFTER, OutboundFault.TRANSIENT),
    ],
)
async def test_faults(
    server: TelegramServer,
    outbound: TelegramOutbound,
    private: Target,
    fault: Fault,
    expected: OutboundFault,
) -> None:
    server.fail("sendMessage", fault)
    error = await faulty(outbound, private, outbound.format("x"))
    assert error.fault is expected
    assert server.token not in str(error)


async def test_no_server_at_all(private: Target, server: TelegramServer, outbound: TelegramOutbound) -> None:
    await server.stop()
    error = await faulty(outbound, private, outbound.format("x"))
    assert error.fault is OutboundFault.TRANSIENT
    assert server.token not in repr(error) + str(error.__cause__) + str(error.__context__)


async def test_a_server_that_says_nothing(
    server: TelegramServer, outbound: TelegramOutbound, private: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = "bots.telegram_bot.outbound.TelegramOutbound._call.__kwdefaults__"
    monkeypatch.setattr(waiting, {"formatted": False, "seconds": 0.2})
    server.fail("sendMessage", Fault.STALL)
    assert (await faulty(outbound, private, outbound.format("x"))).fault is OutboundFault.TRANSIENT


async def test_a_preview_that_gets_no_answer_is_given_up_soon(
    server: TelegramServer, outbound: TelegramOutbound, private: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_module, "PREVIEW_SECONDS", 0.2)
    for method, markdown in (("sendMessageDraft", "x"), ("sendRichMessageDraft", "# x")):
        server.fail(method, Fault.STALL)
        with pytest.raises(OutboundError) as caught:
            await outbound.draft(private, SLOT, outbound.format(markdown))
        assert caught.value.fault is OutboundFault.TRANSIENT


async def test_flood(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    server.fail("sendMessage", Fault.FLOOD, retry_after=17)
    error = await faulty(outbound, private, outbound.format("x"))
    assert (error.fault, error.retry_after, error.everywhere) == (OutboundFault.RATE_LIMITED, 17.0, False)


async def test_real_flood_limits(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    server.methods.flood.on = True
    for number in range(3):
        await outbound.send(private, outbound.format(f"x{number}"), SLOT)
    assert (await faulty(outbound, private, outbound.format("x"))).retry_after == 1.0
    await outbound.draft(private, SLOT, outbound.format("drafts do not count"))


async def test_blocked(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    server.world.chat(7).blocked = True
    assert (await faulty(outbound, private, outbound.format("x"))).fault is OutboundFault.CLOSED


async def test_rights_missing(server: TelegramServer, outbound: TelegramOutbound, group: Target) -> None:
    why = "not enough rights to send text messages to the chat"
    server.fail("sendMessage", Fault.REFUSE, description=why)
    assert (await faulty(outbound, group, outbound.format("x"))).fault is OutboundFault.FORBIDDEN


async def test_edit_of_what_is_gone(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    number = await outbound.send(private, outbound.format("x"), SLOT)
    server.world.chat(7).posts[int(number)].deleted = True
    for message_id in (number, private.question, "999"):
        with pytest.raises(OutboundError) as caught:
            await outbound.edit(private, message_id, outbound.format("y"))
        assert caught.value.fault is OutboundFault.GONE


async def test_refused_formatting_is_sent_plain(
    server: TelegramServer, outbound: TelegramOutbound, private: Target
) -> None:
    wrong = Page("Hi 😀", 5, ({"type": "bold", "offset": 0, "length": 4},))
    number = await outbound.send(private, wrong, SLOT)
    (post,) = server.world.shown(7)
    assert (post.text, post.entities) == ("Hi 😀", [])
    await outbound.edit(private, number, Page("Ho 😀", 5, ({"type": "bold", "offset": 0, "length": 4},)))
    assert server.world.texts(7) == ["Ho 😀"]
    assert len(server.pardon()) == 2


async def test_too_long_is_refused(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    page = outbound.format("x" * 4097, simple=True)
    assert page.length > outbound.capabilities.max_text
    assert (await faulty(outbound, private, page)).fault is OutboundFault.REFUSED
    assert len(server.pardon()) == 1
    await outbound.send(private, outbound.format("😀" * 2048), SLOT)


async def test_a_group_that_became_a_supergroup(server: TelegramServer, api: Api) -> None:
    """Where it goes on is noted before anything else."""
    moves: list[tuple[str, str]] = []

    async def moved(old: str, new: str) -> None:
        moves.append((old, new))

    server.world.group(-55)
    at = target(-55, server.world.text(-55, "/chat hi"))
    server.world.chat(-55).moved_to = -100777
    outbound = TelegramOutbound(api, Seen(), moved=moved)
    assert (await faulty(outbound, at, outbound.format("answer"))).fault is OutboundFault.MOVED
    assert moves == [("-55", "-100777")]


async def test_delete(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    number = await outbound.send(private, outbound.format("x"), SLOT)
    await outbound.delete(private, number)
    await outbound.delete(private, number)
    assert server.world.texts(7) == []


async def test_files(server: TelegramServer, outbound: TelegramOutbound, group: Target) -> None:
    caption = outbound.format("**Long** answer")
    number = await outbound.send_file(group, "answer.md", "text/markdown", b"# x", caption, SLOT)
    (post,) = server.world.shown(-100500)
    file = post.media["document"]
    assert (str(post.id), post.text, file["file_name"]) == (number, "Long answer", "answer.md")
    assert post.entities[0]["type"] == "bold"
    assert server.world.files[file["file_id"]][1] == b"# x"
    assert str(post.reply_to) == group.question


async def test_pictures_go_as_photos_or_else_as_files(
    server: TelegramServer, outbound: TelegramOutbound, private: Target
) -> None:
    await outbound.send_file(private, "a.png", "image/png", PNG, outbound.format(""), SLOT)
    await outbound.send_file(private, "b.png", "image/png", b"broken", outbound.format("x" * 2000), SLOT)
    first, second = server.world.shown(7)
    assert list(first.media) == ["photo"]
    assert list(second.media) == ["document"]
    assert len(second.text) == 1024


async def test_large_uploads(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    await outbound.send_file(private, "a.bin", "application/zip", bytes(3_000_000), outbound.format(""), SLOT)
    with pytest.raises(OutboundError) as caught:
        await outbound.send_file(private, "a.bin", "x/y", bytes(50_000_001), outbound.format(""), SLOT)
    assert caught.value.fault is OutboundFault.REFUSED


async def test_fetch(server: TelegramServer, outbound: TelegramOutbound, private: Target) -> None:
    file = server.world.file("photo", b"x" * 1000)

    async def fetch(ref: str, size: int = 0, limit: int = 1000) -> bytes:
        attachment = Attachment(AttachmentKind.IMAGE, ref, size=size)
        return await outbound.fetch(private.conversation, attachment, limit)

    async def fault(ref: str, size: int = 0, limit: int = 1000) -> OutboundFault:
        with pytest.raises(OutboundError) as caught:
            await fetch(ref, size, limit)
        return caught.value.fault

    assert await fetch(file["file_id"]) == b"x" * 1000
    calls = len(server.calls)
    assert await fault(file["file_id"], size=1001) is OutboundFault.REFUSED
    assert len(server.calls) == calls, "refused before asking"
    assert await fault(file["file_id"], limit=999) is OutboundFault.REFUSED
    assert await fault("unknown") is OutboundFault.GONE
    server.world.files["big"] = ("big", bytes(20_000_001))
    assert await fault("big", limit=30_000_000) is OutboundFault.REFUSED


async def test_a_file_larger_than_it_was_said_to_be(api: Api, server: TelegramServer) -> None:
    from bots.telegram_bot.transport import TooLarge

    server.world.files["x"] = ("x", bytes(1000))
    with pytest.raises(TooLarge):
        await api.download("x", 999)


@pytest.mark.parametrize("token", ["", "nonsense", "12:ab cd", "12:../x"])
def test_a_token_of_the_wrong_form(token: str) -> None:
    with pytest.raises(SettingsError, match="TELEGRAM_TOKEN is wrong") as caught:
        Api(TelegramSettings.model_validate({"token": token}))
    assert not token or token not in str(caught.value)
