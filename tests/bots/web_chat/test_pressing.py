"""What is pressed in a message: buttons, and the options of a quiz; and what is replied to."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from urllib.parse import unquote

import pytest

from bots.adapter import Button, Page, Slot, Target
from bots.web_chat import ids, translate
from bots.web_chat.store import File, Role, State, StoredMessage
from core.message import CommandCall, Message
from core.parts import Media, Poll
from core.texts import say
from tests.bots.web_chat.world import Visitor, World, found, message_ids

POLL = Poll("Is <b>it</b>?", ("yes & no", "no", "maybe"), 1, "Because {option}.")
PICTURE = Media("picture.png", "image/png", b"\x89PNG\r\n\x1a\n1", "a fox")
BUTTONS = (
    Button("🔁 Again", "imagine seed=new"),
    Button("🔍 Larger", "upscale"),
    Button("▭ Wide", "imagine size=wide", row=1),
)
NOBODY = f"{'0' * 20}c.0000"


async def target_in(world: World, owner: Visitor) -> tuple[str, Target]:
    """A conversation with one question, and where an answer to a command in it goes."""
    conversation = await owner.ask("hello")
    key = world.inbox.came[-1].conversation
    return conversation, Target(key, True, "", asked=ids.new_message_id(ids.COMMAND))


async def drawn(world: World, target: Target, *pictures: Media) -> str:
    page = Page("🎨 a fox", 7, buttons=BUTTONS, pictures=pictures or (PICTURE,), ending="complete")
    return await world.inbox.outbound.send(target, page, Slot("turn", 0))


async def pressed(owner: Visitor, conversation: str, message: str, button: str) -> tuple[int, str]:
    """Status and the word that is said."""
    path = f"/c/{conversation}/messages/{message}/press"
    async with owner.http.post(path, data={"button": button}, headers=owner.signed) as answer:
        return answer.status, unquote(answer.headers.get("X-Parley-Word", ""))


async def test_a_button_under_a_picture_is_its_command_about_that_message(world: World, owner: Visitor) -> None:
    conversation, target = await target_in(world, owner)
    message = await drawn(world, target)
    _, html = await owner.get(f"/c/{conversation}")
    assert re.search(r'<img src="/blobs/\w+\?v=\w+" alt="a fox"', html)
    assert "🎨" not in html
    assert [word in html for word in ("<span>Again</span>", "<span>Larger</span>", "<span>Wide</span>")] == [True] * 3
    assert await pressed(owner, conversation, message, "imagine size=wide") == (204, "")
    call = world.inbox.came[-1]
    assert isinstance(call, CommandCall)
    assert (call.name, dict(call.options), call.reply_to, call.private) == ("imagine", {"size": "wide"}, message, True)
    # It is answered below all that was said, as a notice.
    assert call.id > message
    assert ids.is_notice(call.id)


@pytest.mark.parametrize("button", ["upscale ", "privacy erase 123", "admin set x", "", "imagine size=wide\n"])
async def test_what_does_not_stand_there_cannot_be_pressed(world: World, owner: Visitor, button: str) -> None:
    conversation, target = await target_in(world, owner)
    message, before = await drawn(world, target), len(world.inbox.came)
    assert await pressed(owner, conversation, message, button) == (204, say("toast.old"))
    assert await pressed(owner, conversation, NOBODY, "upscale") == (204, say("toast.old"))
    assert len(world.inbox.came) == before


async def test_nobody_elses_buttons_and_questions(world: World, owner: Visitor) -> None:
    conversation, target = await target_in(world, owner)
    message, before = await drawn(world, target), len(world.inbox.came)
    quiz = await world.inbox.outbound.send_poll(target, POLL, Slot("turn", 1))
    _, invitation = await owner.post("/invitations")
    async with world.browser() as guest:
        await guest.enter(found(r'value="([^"]+/enter\?code=[^"]+)"', invitation))
        assert (await pressed(guest, conversation, message, "upscale"))[0] == 404
        assert (await guest.post(f"/c/{conversation}/messages/{quiz}/vote", {"option": "1"}))[0] == 404
        mine = await guest.ask("hi")
        assert await pressed(guest, mine, message, "upscale") == (204, say("toast.old"))
        # Nor can the message be named in a reply.
        await guest.ask("and this?", mine, reply=message)
        asked = world.inbox.came[-1]
        assert isinstance(asked, Message)
        assert (asked.reply_to, asked.quote, asked.attachments) == ("", None, ())
    assert len(world.inbox.came) == before + 2
    assert 'class="told" role="status">\n  </div>' in (await owner.get(f"/c/{conversation}"))[1]


async def test_a_menu_of_settings_turns_in_place_and_goes(world: World, owner: Visitor) -> None:
    conversation, target = await target_in(world, owner)
    page = Page("Settings", 8, buttons=(Button("Language ›", ".set language"), Button("Close", ".close")))
    message = await world.inbox.outbound.send(target, page, Slot("turn", 0))
    assert await pressed(owner, conversation, message, ".set language") == (204, "")
    _, html = await owner.get(f"/c/{conversation}")
    assert "中文" in html
    back = found(r'hx-vals=\'{"button": "(\.set)"}\'', html)
    assert await pressed(owner, conversation, message, back) == (204, "")
    assert await pressed(owner, conversation, message, ".close") == (204, "")
    assert message not in message_ids((await owner.get(f"/c/{conversation}"))[1])


async def test_a_preview_gives_its_place_to_the_picture(world: World, owner: Visitor) -> None:
    conversation, target = await target_in(world, owner)
    outbound = world.inbox.outbound
    message = await drawn(world, target, replace(PICTURE, data=b"\x89PNG\r\n\x1a\npreview"))
    first = found(r'<img src="([^"]+)"', (await owner.get(f"/c/{conversation}"))[1])
    await outbound.edit(target, message, Page("", 0, pictures=(PICTURE, PICTURE), ending="complete"))
    shown = re.findall(r'<img src="([^"]+)"', (await owner.get(f"/c/{conversation}"))[1])
    # Browsers keep what lies at an address, and only so many files are kept for a person.
    assert first not in shown
    assert shown[0].partition("?")[0] == first.partition("?")[0]
    async with owner.http.get(shown[0]) as answer:
        assert await answer.read() == PICTURE.data
    assert await outbound.send_album(target, [PICTURE, PICTURE], Slot("turn", 1), Page("", 0)) == [
        ids.answer_id(target.asked, 1)
    ]
    assert len(re.findall("<img src", (await owner.get(f"/c/{conversation}"))[1])) == 4


async def test_a_quiz_tells_what_is_right_once_it_was_answered(world: World, owner: Visitor) -> None:
    conversation, target = await target_in(world, owner)
    message = await world.inbox.outbound.send_poll(target, POLL, Slot("turn", 1))
    path = f"/c/{conversation}/messages/{message}/vote"
    _, html = await owner.get(f"/c/{conversation}")
    assert "Is &lt;b&gt;it&lt;/b&gt;?" in html
    assert "yes &amp; no" in html
    assert "Because" not in html
    # Nothing in the page tells it before.
    assert "right" not in found(r'(?s)<div class="quiz"(.+?)</div>', html)
    for option in ("3", "-1", "x", "", "²", "1" * 9):
        assert (await owner.post(path, {"option": option}))[0] in (204, 400)
    assert "Because" not in (await owner.get(f"/c/{conversation}"))[1]
    assert (await owner.post(path, {"option": "0"}))[0] == 204
    # The first answer counts, also where it was given in another tab at the same time.
    await asyncio.gather(*(owner.post(path, {"option": "1"}) for _ in range(3)))
    _, html = await owner.get(f"/c/{conversation}")
    assert say("web.quiz_wrong").format(option="no") in html
    assert "Because {option}." in html
    assert html.count('class="option wrong" aria-disabled="true" aria-pressed="true"') == 1
    assert html.count('class="option right" aria-disabled="true"') == 1
    assert f'hx-post="{path}"' not in html


async def test_of_two_answers_at_once_one_counts(world: World, owner: Visitor) -> None:
    _, target = await target_in(world, owner)
    message = await world.inbox.outbound.send_poll(target, POLL, Slot("turn", 1))
    user, conversation = ids.parts_of(target.conversation)

    def answered(option: int, kept: StoredMessage) -> StoredMessage | None:
        assert kept.quiz is not None
        return None if kept.quiz.chosen >= 0 else replace(kept, quiz=replace(kept.quiz, chosen=option))

    async def answer(option: int) -> bool:
        return await world.store.change(user, conversation, message, lambda kept: answered(option, kept))

    done = await asyncio.gather(*map(answer, range(3)))
    assert sum(done) == 1
    kept = await world.store.message(user, conversation, message)
    assert kept is not None
    assert kept.quiz is not None
    assert kept.quiz.chosen == done.index(True)
    assert kept.quiz.options == POLL.options


async def test_a_reply_tells_what_it_is_about_with_its_files(world: World, owner: Visitor) -> None:
    conversation, target = await target_in(world, owner)
    picture = await drawn(world, target)
    await owner.ask("/vary", conversation, reply=picture)
    call = world.inbox.came[-1]
    assert isinstance(call, CommandCall)
    assert (call.name, call.reply_to) == ("vary", picture)
    assert call.quote is not None
    assert (call.quote.message_id, call.quote.author, call.quote.text) == (picture, "Parley", "🎨 a fox")
    (file,) = call.attachments
    assert (file.mime, file.quoted) == ("image/png", True)
    assert await world.inbox.outbound.fetch(call.conversation, file, 1000) == PICTURE.data
    _, html = await owner.get(f"/c/{conversation}")
    assert f'<a href="#m-{picture}">a fox</a>' in html
    question = message_ids(html)[-2]
    await owner.ask("why?", conversation, reply=question)
    asked = world.inbox.came[-1]
    assert isinstance(asked, Message)
    assert asked.quote is not None
    assert (asked.reply_to, asked.quote.author_id) == (question, asked.author.id)
    # It stays a reply when it is put in other words.
    assert (await owner.post(f"/c/{conversation}/messages/{asked.id}", {"text": "why not?"}))[0] == 200
    await world.inbox.settled()
    edited = world.inbox.came[-1]
    assert isinstance(edited, Message)
    assert (edited.edited, edited.reply_to) == (True, question)


async def test_what_is_gone_or_never_was_is_not_replied_to(world: World, owner: Visitor) -> None:
    conversation, _ = await target_in(world, owner)
    assert (await owner.send("x", conversation, reply="../../x"))[0] == 400
    await owner.ask("/vary", conversation, reply=NOBODY)
    call = world.inbox.came[-1]
    assert isinstance(call, CommandCall)
    assert (call.reply_to, call.quote) == ("", None)


def test_how_a_message_begins() -> None:
    message = StoredMessage("m", Role.NOTICE, "🎨 “**fox**”,\n`AI`", State.DONE)
    assert translate.words_of(message) == "“fox”, AI"
    assert len(translate.words_of(replace(message, text="word " * 999))) == translate.WORDS_CHARS
    assert translate.words_of(replace(message, text="", files=(File("b", "a.mp3", "audio/mpeg", 1),))) == "a.mp3"


def test_older_messages_are_read() -> None:
    old = '{"id":"m","role":"answer","text":"x","state":"done","files":[],"buttons":[{"label":"C","command":"c"}]}'
    assert StoredMessage.from_json(old).quiz is None
    assert StoredMessage.from_json(old).buttons[0].row == 0
