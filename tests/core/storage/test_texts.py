"""What people say lies sealed: nothing of it is in Redis, scripts still find what they need, and keys can change."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from core.conversation.attached import Attached, Kind
from core.conversation.history import Answer, History, Mode, Question
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.moving import Mover
from core.conversation.overheard import Overheard
from core.conversation.readings import Readings
from core.conversation.turn import Turn
from core.message import Attachment, AttachmentKind, Author, Deletion, Message, Quote
from core.people import own_keys
from core.people.identity import People
from core.storage import key_check
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.failed import DeadLetters, Failure, Retried
from core.storage.failed import Kind as Letter
from core.storage.forms import Forms
from core.storage.inline import InlineQuestion, InlineQuestions
from core.storage.leases import Leases
from core.storage.orders import Orders
from core.storage.rotating import rotate
from core.storage.sealing import Sealing, new_key, parse_keys
from core.storage.texts import UNREADABLE, Texts
from tests.builders import call, conversation, message
from tests.core.storage.dump import everything

OLD, NEW = new_key(), new_key()
SECRET = "aardvark"
"""In everything that anybody says here, and nowhere else."""


def sealing(*keys: str) -> Sealing:
    return Sealing(parse_keys(",".join(keys)))


@pytest.fixture
async def opened(valkey_url: str, store: Store) -> AsyncIterator[Callable[[Texts], Store]]:
    """Further clients of the emptied store."""
    stores: list[Store] = []

    def open(texts: Texts) -> Store:
        stores.append(Store(valkey_url, texts))
        return stores[-1]

    yield open
    for one in stores:
        await one.close()


@pytest.fixture
def sealed(opened: Callable[[Texts], Store]) -> Store:
    return opened(Texts(sealing(OLD), seals=True))


def mailbox(store: Store) -> Mailbox:
    return Mailbox(store, "w", admission=Admission(), keep_days=1)


def history(store: Store) -> History:
    return History(store, keep_days=1, max_messages=100)


FILE = Attachment(AttachmentKind.DOCUMENT, f"https://cdn/{SECRET}.pdf", f"{SECRET}.pdf", "application/pdf", 5)
ASKED = message(
    f"the {SECRET} asks",
    id="1",
    author=Author("7", f"Ada {SECRET}"),
    quote=Quote("0", f"Bob {SECRET}", f"said {SECRET}"),
    attachments=(FILE,),
    place=f"#{SECRET}",
)


async def answered(store: Store, asked: Message, text: str) -> Turn:
    box = mailbox(store)
    await box.post([asked])
    turn = await box.take(asked.conversation)
    assert turn is not None
    files = (Attached(Kind.DOCUMENT, f"{SECRET}.pdf", f"page of {SECRET}"),)
    path = await history(store).path(
        turn, Mode.ASK, Question.of(asked, files=files), id=asked.id, reply_to="", window=1000
    )
    assert path is not None
    turn.question = path.question
    await box.created(turn, 0, f"a{asked.id}")
    await box.finish(turn, Answer(text, (f"a{asked.id}",), "complete").to_payload(), 5)
    return turn


async def test_all_that_is_said_is_sealed_and_comes_back(sealed: Store) -> None:
    box, past = mailbox(sealed), history(sealed)
    calls = [call("chat", chat="101", options={"text": f"about {SECRET}"}, quote=ASKED.quote)]
    await box.post([ASKED, *calls])
    turn = await box.take(ASKED.conversation)
    assert turn is not None
    assert turn.incoming == ASKED
    await box.about_to_create(turn, 0, "m", f"whole {SECRET}", None)
    question = Question.of(ASKED, files=(Attached(Kind.DOCUMENT, f"{SECRET}.pdf", f"page of {SECRET}"),))
    path = await past.path(turn, Mode.ASK, question, id="1", reply_to="", window=1000)
    assert path is not None
    assert path.nodes[-1].said == question
    await past.put_image(ASKED.conversation, "d", SECRET)
    assert await past.get_images(ASKED.conversation, ["d", "e"]) == [SECRET, None]
    reading = Attached(Kind.RECORDING, f"{SECRET}.ogg", f"heard {SECRET}")
    await Readings(sealed).put(ASKED.conversation, "r", reading)
    assert await Readings(sealed).get(ASKED.conversation, "r") == reading
    turn.question = path.question
    turn.pages = {0: "a1"}
    await box.finish(turn, Answer(f"says {SECRET}", ("a1",), "complete").to_payload(), 5)
    known = await past.known(ASKED.conversation, "a1", "regenerate")
    assert known.answer is not None
    assert (known.answer.text, known.askers) == (f"says {SECRET}", ("7",))
    older = await past.older(ASKED.conversation, "a1", 100)
    assert await past.put_summary(ASKED.conversation, "a1", older, f"sum of {SECRET}")
    await Forms(sealed).keep(calls[0])
    assert await Forms(sealed).find("1", "7", calls[0].id) == calls[0]
    typed = InlineQuestion("7", f"inline {SECRET}")
    await InlineQuestions(sealed).keep("1", [typed])
    assert await InlineQuestions(sealed).get("1", typed.digest) == typed
    kept = await everything(sealed)
    assert len(kept) > 10
    assert [line for line in kept if SECRET in line] == []
    assert await box.forget(Deletion(ASKED.conversation, ("1",), "u")) == 1


async def test_what_is_open_stays_readable_and_the_other_way_round(
    opened: Callable[[Texts], Store], sealed: Store, store: Store
) -> None:
    await answered(store, message(f"open {SECRET}", id="1"), "an open answer")
    await answered(sealed, message("a sealed one", id="2", reply_to="a1"), "a sealed answer")
    off_again = opened(Texts(sealing(NEW, OLD)))
    turn = await answered(off_again, message("an open one", id="3", reply_to="a2"), "open again")
    texts = [node.said.text async for node in history(sealed).all(turn.conversation)]
    assert sorted(texts) == sorted(
        [f"open {SECRET}", "an open answer", "a sealed one", "a sealed answer", "an open one", "open again"]
    )


async def test_a_lost_key_is_told_and_nothing_crashes(opened: Callable[[Texts], Store], sealed: Store) -> None:
    await answered(sealed, ASKED, f"says {SECRET}")
    await mailbox(sealed).post([message("next", id="2")])
    lost = opened(Texts(sealing(NEW), seals=True))
    turn = await mailbox(lost).take(ASKED.conversation)
    assert turn is not None
    assert "does not have the key" in turn.unreadable
    assert turn.incoming.author.id == "7"
    texts = [node.said.text async for node in history(lost).all(ASKED.conversation)]
    assert texts == [UNREADABLE, UNREADABLE]
    assert await Readings(lost).get(ASKED.conversation, "r") is None


async def test_a_text_opens_in_its_own_conversation_alone(sealed: Store) -> None:
    texts = sealed.texts
    entry = texts.seal_json(json.dumps({"type": "message", "text": SECRET}), "telegram:1:100:")
    assert texts.open_json(entry, "telegram:1:100:") != entry
    assert json.loads(texts.read_json(entry, "telegram:1:101:"))["text"] == UNREADABLE


async def test_an_edit_that_says_the_same_is_still_known_as_that(sealed: Store) -> None:
    await answered(sealed, ASKED, "once")
    again = replace(ASKED, edited=True, update="u-again")
    box = mailbox(sealed)
    await box.post([again])
    turn = await box.take(again.conversation)
    assert turn is not None
    files = (Attached(Kind.DOCUMENT, f"{SECRET}.pdf", f"page of {SECRET}"),)
    asked = Question.of(again, files=files)
    assert await history(sealed).path(turn, Mode.ASK, asked, id="1", reply_to="", window=1000, edited=True) is None
    assert turn.reason == "unchanged"


async def test_pieces_of_an_album_are_joined_and_each_thing_is_said_once(sealed: Store) -> None:
    box = mailbox(sealed)
    texts = ("from a channel", "from a channel\nwith a word", "", "by itself")
    pieces = [
        message(text, id=str(number), album="x", attachments=(replace(FILE, ref=str(number)),))
        for number, text in enumerate(texts, 1)
    ]
    await box.post(pieces)
    waits: list[float] = []
    assert await box.take(conversation(), waits.append) is None
    (key,) = [key async for key in sealed.redis.scan_iter(match="parley:*:album:*")]
    await sealed.redis.hset(key, "ripe", 0)
    turn = await box.take(conversation())
    assert turn is not None
    assert isinstance(turn.incoming, Message)
    assert turn.incoming.text == "from a channel\nwith a word\n\nby itself"
    assert [file.ref for file in turn.incoming.attachments] == ["1", "2", "3", "4"]


async def test_a_dead_letter_is_sealed_listed_and_asked_again(opened: Callable[[Texts], Store], sealed: Store) -> None:
    box, letters = mailbox(sealed), DeadLetters(sealed, keep_days=1)
    await box.post([ASKED])
    turn = await box.take(ASKED.conversation)
    assert turn is not None
    await box.finish(turn, "", 0, Failure(Letter.MODEL, ("all down",)))
    assert [line for line in await everything(sealed) if SECRET in line] == []
    _, (letter,) = await letters.newest(10)
    assert SECRET in letter.what
    lost = DeadLetters(opened(Texts(sealing(NEW))), keep_days=1)
    assert await lost.retry(letter.id, lambda _: True) is Retried.UNREADABLE
    assert await letters.retry(letter.id, lambda _: True) is Retried.RETRIED
    again = await box.take(ASKED.conversation)
    assert again is not None
    assert isinstance(again.incoming, Message)
    assert (again.incoming.text, again.incoming.attachments) == (ASKED.text, ASKED.attachments)


async def test_a_conversation_that_moves_stays_readable(sealed: Store) -> None:
    old, new = conversation("-100"), conversation("-200")
    await answered(sealed, replace(ASKED, conversation=old), f"says {SECRET}")
    await history(sealed).put_image(old, "d", SECRET)
    await mailbox(sealed).post([message(f"waits {SECRET}", id="2", chat="-100")])
    await Orders(sealed).shown(old, ["9"], "telegram:7", f"draws {SECRET}", 1000)
    import asyncio

    mover = Mover(sealed, Leases(sealed, "one"), Cases(sealed, keep_days=1), keep_days=1)
    await mover.begin(old, new)
    running = asyncio.create_task(mover.run())
    try:
        async with asyncio.timeout(10):
            while await sealed.redis.exists("parley:moves"):
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
    texts = {node.said.text async for node in history(sealed).all(new)}
    assert texts == {ASKED.text, f"says {SECRET}"}
    turn = await mailbox(sealed).take(new)
    assert turn is not None
    assert isinstance(turn.incoming, Message)
    assert turn.incoming.text == f"waits {SECRET}"
    assert await Orders(sealed).shown_by(new, "-100/9") == f"draws {SECRET}"
    assert [line for line in await everything(sealed) if SECRET in line] == []


async def test_keys_are_rotated_and_the_old_one_may_go(opened: Callable[[Texts], Store], sealed: Store) -> None:
    await answered(sealed, ASKED, f"says {SECRET}")
    await history(sealed).put_image(ASKED.conversation, "d", SECRET)
    await mailbox(sealed).post([message(f"waits {SECRET}", id="2")])
    await Overheard(sealed).keep([message(f"beside {SECRET}", id="3")])
    people = People(sealed)
    await own_keys.keep(people, "telegram:7", "p", "sk-theirs", sealing(OLD))
    old_id, both = OLD.split(":")[0], sealing(NEW, OLD)
    done = await rotate(sealed, both)
    assert (done.lost, await own_keys.reseal_all(people, both)) == (0, (1, 0))
    assert done.values >= 4
    assert [line for line in await everything(sealed) if f"sealed:1:{old_id}:" in line] == []
    # Begun once more it finds nothing to do.
    assert (await rotate(sealed, both)).values == 0
    assert await own_keys.reseal_all(people, both) == (0, 0)
    only_new = opened(Texts(sealing(NEW), seals=True))
    assert {node.said.text async for node in history(only_new).all(ASKED.conversation)} == {
        ASKED.text,
        f"says {SECRET}",
        f"beside {SECRET}",
    }
    assert await history(only_new).get_images(ASKED.conversation, ["d"]) == [SECRET]
    turn = await mailbox(only_new).take(ASKED.conversation)
    assert turn is not None
    assert turn.incoming.author.name == "Ada"
    assert not turn.unreadable
    person = await People(only_new).of("telegram:7")
    assert own_keys.opened(person, sealing(NEW)) == {"p": "sk-theirs"}
    assert (await rotate(sealed, sealing(new_key()))).lost > 0


async def test_a_missing_key_is_told_until_everything_is_sealed_anew(store: Store) -> None:
    assert await key_check.check(store, sealing()) == ""
    assert await key_check.check(store, sealing(OLD)) == ""
    assert await key_check.check(store, sealing(NEW, OLD)) == ""
    told = await key_check.check(store, sealing(NEW))
    assert OLD.split(":")[0] in told
    assert OLD.split(":")[1] not in told
    assert NEW.split(":")[0] in await key_check.check(store, Sealing())
    imposter = f"{OLD.split(':')[0]}:{new_key().split(':')[1]}"
    assert OLD.split(":")[0] in await key_check.check(store, sealing(NEW, imposter))
    await key_check.forget_others(store, sealing(NEW, OLD))
    assert await key_check.check(store, sealing(NEW)) == ""


def test_without_sealing_nothing_is_touched() -> None:
    plain = Texts()
    raw = '{"text": "as it is"}'
    assert plain.seal_json(raw, "c") is raw
    assert plain.open_json(raw, "c") is raw
    assert plain.seal("text", "c") == plain.open("text", "c") == "text"
    on = Texts(sealing(NEW), seals=True)
    for damaged in ("", "no json", "[1]", "!{", '{"text": 5, "files": [5], "options": 3, "author": null}'):
        assert json_of(on.seal_json(damaged, "c")) == json_of(damaged)


def json_of(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
