"""Albums on a real server: pieces come one by one, by several receivers, twice or late, and are one message."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.conversation import mailbox as mailbox_module
from core.conversation.history import History, Mode, Path, Question
from core.conversation.mailbox import Admission, Bot, Mailbox, Posted
from core.conversation.turn import Turn, Work
from core.message import Attachment, AttachmentKind, Deletion, Message, Platform, Quote
from core.parts import Ending
from core.storage.client import Store
from core.storage.keys import ConversationKeys, load
from core.storage.schema import recount
from tests.builders import conversation, message

BOT = Bot(Platform.TELEGRAM, "1")


def box(store: Store, worker: str = "w1", max_waiting: int = 5) -> Mailbox:
    return Mailbox(store, worker, admission=Admission(max_waiting, 100), keep_days=30)


def piece(id: int, text: str = "", **values: Any) -> Message:
    file = Attachment(AttachmentKind.IMAGE, f"file{id}", "photo.jpg", "image/jpeg", 100 + id)
    values = {"album": "g", "attachments": (file,), **values}
    return message(text, str(id), **values)


async def ripe(store: Store, mailbox: Mailbox) -> Turn:
    """The album's turn, once it waits no longer."""
    waits: list[float] = []
    assert await mailbox.take(conversation(), waits.append) is None
    assert 0 < waits[0] <= 0.7
    await wait_over(store)
    turn = await mailbox.take(conversation())
    assert turn is not None
    return turn


async def wait_over(store: Store) -> None:
    await store.redis.hset(ConversationKeys.of(conversation()).album("g"), "ripe", 0)


def asked(turn: Turn) -> Message:
    assert isinstance(turn.incoming, Message)
    return turn.incoming


def files(turn: Turn) -> list[str]:
    return [attachment.ref for attachment in asked(turn).attachments]


async def ask(store: Store, turn: Turn) -> Path | None:
    said = asked(turn)
    path = await History(store, keep_days=1, max_messages=100).path(
        turn, Mode.ASK, Question.of(said), id=said.id, reply_to=said.reply_to, window=10_000, also=said.also
    )
    turn.question = path.question if path else ""
    return path


async def test_pieces_from_several_receivers_are_one_turn(store: Store) -> None:
    one, two = box(store, "r1"), box(store, "r2")
    assert await two.post([piece(12)]) == [Posted.ACCEPTED]
    assert await one.post([piece(11, "compare\nthese", quote=Quote("9", "Ann", "x"))]) == [Posted.ACCEPTED]
    assert await two.post([piece(13, "and this")]) == [Posted.ACCEPTED]
    await one.post([message("next", "14")])
    turn = await ripe(store, box(store))
    assert files(turn) == ["file11", "file12", "file13"]
    assert asked(turn).text == "compare\nthese\n\nand this"
    assert (asked(turn).id, asked(turn).also) == ("12", ("11", "13"))
    assert asked(turn).quote == Quote("9", "Ann", "x")
    assert asked(turn).attachments[0].size == 111
    assert not asked(turn).edited
    following = await box(store).finish(turn, "{}", 1)
    assert following is not None
    assert asked(following).text == "next"
    assert await box(store).finish(following, "{}", 1) is None


async def test_what_every_piece_says_is_said_once(store: Store) -> None:
    mailbox, origin = box(store), "[Forwarded from Bo, 14 November 2023]"
    await mailbox.post(
        [piece(1, origin), piece(2, f"{origin}\nlook"), piece(3, origin), piece(4, "lo"), piece(5, "lo")]
    )
    assert asked(await ripe(store, mailbox)).text == f"{origin}\nlook\n\nlo"


async def test_a_piece_delivered_twice_is_there_once(store: Store) -> None:
    mailbox = box(store)
    pieces = [piece(1, "a"), piece(2)]
    assert await mailbox.post(pieces) == [Posted.ACCEPTED] * 2
    assert await box(store, "r2").post(pieces) == [Posted.SEEN] * 2
    turn = await ripe(store, mailbox)
    assert files(turn) == ["file1", "file2"]
    assert await mailbox.post(pieces) == [Posted.SEEN] * 2
    assert await mailbox.finish(turn, "{}", 1) is None


async def test_each_piece_lets_it_wait_a_little_longer(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([piece(1)])
    await wait_over(store)
    await mailbox.post([piece(2)])
    waits: list[float] = []
    assert await mailbox.take(conversation(), waits.append) is None
    assert waits[0] > 0.4


async def test_an_album_that_nobody_wakes_for_is_found_by_sweeps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await box(store).post([piece(1, space="s"), piece(2, space="s")])
    # The worker that was told died before the rest of it came.
    assert await box(store, "dead").take(conversation()) is None
    assert await box(store).waiting([BOT]) == []
    await asyncio.sleep(0.71)
    monkeypatch.setattr(mailbox_module, "HEARD_SECONDS", 0.0)
    assert await box(store).waiting([BOT]) == [Work(conversation(), "s")]
    turn = await box(store).take(conversation())
    assert turn is not None
    assert files(turn) == ["file1", "file2"]


async def test_a_dead_workers_album_is_taken_over_whole(store: Store) -> None:
    await box(store, "w1").post([piece(1), piece(2, "what is this?")])
    before = await ripe(store, box(store, "w1"))
    turn = await box(store, "w1").take(conversation())
    assert turn is not None
    assert turn.takeovers == 1
    assert turn.incoming == before.incoming


async def test_a_group_album_is_whole_by_one_caption_that_turns_to_the_bot(store: Store) -> None:
    mailbox = box(store)
    assert await mailbox.post([piece(1, addressed=False)]) == [Posted.HELD]
    assert await mailbox.take(conversation()) is None
    assert await box(store, "r2").post([piece(2, "which one?")]) == [Posted.ACCEPTED]
    assert await mailbox.post([piece(3, addressed=False)]) == [Posted.ACCEPTED]
    assert files(await ripe(store, mailbox)) == ["file1", "file2", "file3"]


async def test_albums_for_others_leave_soon(store: Store) -> None:
    await box(store).post([piece(1, addressed=False), piece(2, addressed=False)])
    keys = ConversationKeys.of(conversation())
    assert 0 < await store.redis.ttl(keys.album("g")) <= 30
    assert await store.redis.llen(keys.box) == 0
    assert await box(store).waiting([BOT], own=True) == []


async def test_it_counts_as_one(store: Store) -> None:
    mailbox = box(store, max_waiting=2)
    waiting = load(ConversationKeys.of(conversation()).partition)
    assert await mailbox.post([piece(n) for n in range(1, 11)]) == [Posted.ACCEPTED] * 10
    assert await mailbox.post([message("b", "20"), message("c", "21")]) == [Posted.ACCEPTED, Posted.FULL]
    assert await store.redis.hgetall(waiting) == {"": "3"}
    await recount(store)
    assert await store.redis.hgetall(waiting) == {"": "3"}
    # One album more than may wait is one message more.
    assert await mailbox.post([piece(n, album="h") for n in range(30, 35)]) == [Posted.FULL] * 5
    turn: Turn | None = await ripe(store, mailbox)
    overflow = 0
    while turn is not None:
        overflow += turn.overflow
        turn = await mailbox.finish(turn, "{}", 1)
    assert overflow == 2
    assert await store.redis.exists(waiting) == 0


async def test_a_piece_that_comes_while_it_is_answered_is_answered_with_it(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([piece(1, "compare")])
    turn = await ripe(store, mailbox)
    await ask(store, turn)
    await mailbox.created(turn, 0, "50")
    await mailbox.post([message("next", "9")])
    assert await mailbox.post([piece(2, addressed=False)]) == [Posted.ACCEPTED]
    await mailbox.renew([turn])
    assert turn.reason == Ending.SUPERSEDED
    assert await mailbox.finish(turn, "{}", 1) is None, "it waits for more of the album"
    turn = await ripe(store, mailbox)
    assert files(turn) == ["file1", "file2"]
    assert (asked(turn).id, asked(turn).edited) == ("1", True)
    path = await ask(store, turn)
    assert path is not None
    assert path.question == "1"
    following = await mailbox.finish(turn, "{}", 1)
    assert following is not None
    assert asked(following).id == "9"


async def test_a_piece_that_comes_after_the_answer_has_it_made_anew(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([piece(1, "compare")])
    turn = await ripe(store, mailbox)
    await ask(store, turn)
    await mailbox.created(turn, 0, "50")
    assert await mailbox.finish(turn, '{"text":"one","pages":["50"]}', 1) is None
    await mailbox.post([piece(2)])
    turn = await ripe(store, mailbox)
    assert (files(turn), asked(turn).edited) == (["file1", "file2"], True)
    path = await ask(store, turn)
    assert path is not None
    assert path.previous is not None
    assert path.previous.pages == ("50",)


async def test_who_stopped_the_answer_gets_none_for_a_late_piece(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([piece(1, "compare")])
    turn = await ripe(store, mailbox)
    stop = message("stop", "5")
    await mailbox.post([stop], urgent=[stop.id])
    await mailbox.post([piece(2)])
    following = await mailbox.finish(turn, "{}", 1)
    assert following is not None
    assert asked(following).id == "5"
    assert await mailbox.finish(following, "{}", 1) is None


async def test_an_edited_caption_asks_about_all_pictures(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([piece(1, "before"), piece(2)])
    await mailbox.post([piece(1, "while it waits", edited=True)])
    turn = await ripe(store, mailbox)
    assert (asked(turn).text, files(turn)) == ("while it waits", ["file1", "file2"])
    await ask(store, turn)
    assert await mailbox.finish(turn, "{}", 1) is None
    await mailbox.post([piece(2, "after it", edited=True, addressed=False)])
    turn = await ripe(store, mailbox)
    assert (asked(turn).text, files(turn)) == ("while it waits\n\nafter it", ["file1", "file2"])
    assert asked(turn).edited


async def test_a_reply_to_any_piece_branches_there(store: Store) -> None:
    mailbox = box(store)
    await mailbox.post([piece(1, "compare"), piece(2)])
    turn = await ripe(store, mailbox)
    await ask(store, turn)
    await mailbox.created(turn, 0, "50")
    await mailbox.finish(turn, '{"text":"both","pages":["50"]}', 1)
    await mailbox.post([message("other", "60"), message("this one", "61", reply_to="2")])
    turn = await mailbox.take(conversation())
    assert turn is not None
    await ask(store, turn)
    turn = await mailbox.finish(turn, "{}", 1)
    assert turn is not None
    path = await ask(store, turn)
    assert path is not None
    assert [node.said.text for node in path.nodes] == ["compare", "this one"]


async def test_forgetting_a_piece_forgets_the_album(store: Store) -> None:
    mailbox = box(store)
    album = ConversationKeys.of(conversation()).album("g")
    await mailbox.post([piece(1, "secret"), piece(2)])
    assert await mailbox.forget(Deletion(conversation(), ("2",), "d1")) == 1
    assert await mailbox.take(conversation()) is None
    assert await store.redis.exists(album) == 0
    await mailbox.post([piece(3, "secret"), piece(4)])
    turn = await ripe(store, mailbox)
    assert await mailbox.forget(Deletion(conversation(), ("4",), "d2")) == 1
    assert await store.redis.exists(album) == 0
    await mailbox.finish(turn, "{}", 1)
    await mailbox.post([piece(5, "secret"), piece(6)])
    turn = await ripe(store, mailbox)
    await ask(store, turn)
    await mailbox.finish(turn, "{}", 1)
    assert await store.redis.exists(album) == 1
    assert await mailbox.forget(Deletion(conversation(), ("6",), "d3")) == 1
    assert await store.redis.exists(album) == 0
