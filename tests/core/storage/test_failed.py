"""Dead letters on a real server: kept once, bounded, forgotten with their message, asked again once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from core.conversation.mailbox import Admission, Bot, Mailbox
from core.errors import OutboundError, OutboundFault
from core.message import CommandCall, Deletion, Message, Platform, Quote
from core.message_json import VERSION, to_json
from core.storage import failed as failed_module
from core.storage import keys
from core.storage.client import Store, conversation_keys, partition_keys
from core.storage.failed import DeadLetters, Failure, Kind, Retried, arguments, cause_of
from tests.builders import call, conversation, message


def always(call: CommandCall) -> bool:
    return True


async def keep(store: Store, incoming: Message | CommandCall | str, number: int = 1, *causes: str) -> str:
    """What the end of a turn does in the same breath."""
    place = conversation() if isinstance(incoming, str) else incoming.conversation
    entry = incoming if isinstance(incoming, str) else to_json(incoming)
    kind, texts, seconds, version = arguments(Failure(Kind.TURN, causes or ("it broke",)), 30)
    values = (f"{place}/{number}", str(place), entry, kind, texts, seconds, version)
    return str(await store.run("failed_keep", partition_keys(keys.partition_of(str(place))), values))


def mailbox(store: Store) -> Mailbox:
    return Mailbox(store, "w", admission=Admission(5), keep_days=30)


async def test_a_letter_tells_what_failed_where_and_why(store: Store) -> None:
    letters = DeadLetters(store, keep_days=30)
    asked = message("why   is the sky " + "so " * 50 + "blue?", place="#general in Chess Club", private=False)
    id = await keep(store, asked, 1, "the first try", "the last try")
    (letter,) = (await letters.newest(10))[1]
    assert letter == await letters.get(id)
    assert (letter.id, letter.kind, letter.conversation) == (id, "turn", str(conversation()))
    assert letter.where == "telegram, #general in Chess Club"
    assert letter.what.startswith("why is the sky so so")
    assert len(letter.what) == failed_module.WORDS + 1
    assert letter.why == "turn: the last try"
    assert letter.causes == ("the first try", "the last try")
    assert (await letters.get(await keep(store, call("chat", options={"text": "hello"}), 2))).what == "/chat hello"  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize("entry", ["", "{", "[]", '{"author": 1}', "!{}", "[" * 100_000])
async def test_a_damaged_entry_is_listed_and_kept(store: Store, entry: str) -> None:
    letters = DeadLetters(store, keep_days=30)
    id = await keep(store, entry)
    (letter,) = (await letters.newest(10))[1]
    assert letter.where == "telegram"
    assert await letters.retry(id, always) is Retried.UNREADABLE
    assert await letters.get(id) is not None
    assert await letters.drop(id)


async def test_the_same_turn_twice_is_one_letter(store: Store) -> None:
    asked = message("a")
    assert await keep(store, asked) == await keep(store, asked)
    assert await keep(store, asked, 2) != await keep(store, asked, 1)
    assert (await DeadLetters(store, keep_days=30).newest(10))[0] == 2


async def test_letters_are_bounded_in_number_and_time(store: Store) -> None:
    letters = DeadLetters(store, keep_days=30)
    ids = [await keep(store, message(str(number)), number) for number in range(205)]
    assert len(set(ids)) == 205
    assert await letters.ids() == ids[5:]
    total, newest = await letters.newest(3)
    assert (total, [letter.what for letter in newest]) == (200, ["204", "203", "202"])
    found = [key async for key in store.redis.scan_iter("*failed*")]
    assert len(found) == 202
    for key in found:
        assert await store.redis.ttl(key) > 0, key
    # One whose time is over is gone from the list, too.
    await store.redis.delete(keys.letter(int(ids[-1][0], 16), ids[-1]))
    assert (await letters.newest(1))[0] == 199
    assert ids[-1] not in await letters.ids()


async def test_a_letter_does_not_outlive_its_conversation(store: Store) -> None:
    assert arguments(None, 3)[2] == 3 * 86400
    assert arguments(None, 300)[2] == 30 * 86400


async def test_asked_again_it_waits_as_a_new_delivery(store: Store) -> None:
    letters, box = DeadLetters(store, keep_days=30), mailbox(store)
    asked = message("a", space="5", private=False)
    await box.post([asked])
    turn = await box.take(asked.conversation)
    assert turn is not None
    id = await keep(store, asked)
    both = await asyncio.gather(letters.retry(id, always), letters.retry(id, always))
    assert Retried.RETRIED in both
    again = await store.redis.lrange(keys.ConversationKeys.of(asked.conversation).box, 0, -1)
    assert len(again) == 1
    assert json.loads(again[0])["update"] != asked.update
    assert await letters.newest(10) == (0, [])
    load = keys.load(keys.partition_of(str(asked.conversation)))
    assert await store.redis.hgetall(load) == {"": "1", "5": "1"}
    following = await box.take(asked.conversation)
    assert following is not None
    assert following.number == turn.number
    assert await letters.retry(id, always) is Retried.GONE


async def test_a_retry_whose_reply_got_lost_posts_once(store: Store) -> None:
    letters = DeadLetters(store, keep_days=30)
    asked = message("a")
    id = await keep(store, asked)
    place = keys.ConversationKeys.of(asked.conversation)
    assert await letters.retry(id, always) is Retried.RETRIED
    # The store runs a script again when it does not hear of the first time.
    values = (id, place.name, to_json(asked), "", 10)
    assert (
        await store.run("failed_retry", conversation_keys(place, seen=place.seen(f"retry-{id}")), values) == "retried"
    )
    assert await store.redis.llen(place.box) == 1


async def test_a_conversation_without_work_is_found_after_a_retry(store: Store) -> None:
    letters, box = DeadLetters(store, keep_days=30), mailbox(store)
    asked = message("a")
    id = await keep(store, asked)
    await letters.retry(id, always)
    assert [work.conversation for work in await box.waiting([Bot(Platform.TELEGRAM, "1")], own=True)] == [
        asked.conversation
    ]
    turn = await box.take(asked.conversation)
    assert turn is not None
    assert turn.incoming == replace(asked, update=f"retry-{id}")


async def test_a_call_loses_its_spent_token_and_may_be_for_its_asker_alone(store: Store) -> None:
    letters, box = DeadLetters(store, keep_days=30), mailbox(store)
    asked = call("chat", options={"text": "a"}, reply_token="spent")
    id = await keep(store, asked)
    assert await letters.retry(id, lambda call: call.name != "chat") is Retried.UNREPEATABLE
    assert await letters.retry(id, always) is Retried.RETRIED
    turn = await box.take(asked.conversation)
    assert turn is not None
    assert isinstance(turn.incoming, CommandCall)
    assert turn.incoming.reply_token == ""


async def test_what_is_forgotten_leaves_no_letter(store: Store) -> None:
    letters, box = DeadLetters(store, keep_days=30), mailbox(store)
    await keep(store, message("secret", id="41"), 1)
    quoting = await keep(store, message("and this?", id="42", quote=Quote("41", "Ada", "secret")), 2)
    other = await keep(store, message("elsewhere", id="41", chat="200"), 1)
    damaged = await keep(store, '{"id": "43', 3)
    assert await box.forget(Deletion(conversation(), ("41",), "d")) >= 1
    left = {letter.id: letter for letter in (await letters.newest(10))[1]}
    assert set(left) == {quoting, other}
    assert damaged not in left
    assert "secret" not in left[quoting].entry
    assert await letters.retry(quoting, always) is Retried.RETRIED


async def test_a_job_is_put_back_by_a_process_that_runs_jobs(store: Store) -> None:
    enqueued: list[tuple[str, str, str]] = []

    async def enqueue(name: str, id: str, argument: str) -> None:
        if name != "summary":
            raise KeyError(name)
        enqueued.append((name, id, argument))

    here, elsewhere = DeadLetters(store, keep_days=30, enqueue=enqueue), DeadLetters(store, keep_days=30)
    with capture_logs() as logs:
        await here.keep_job("summary", "one", "a|b", ["it failed"])
        await here.keep_job("summary", "one", "a|b", ["it failed"])
    assert [(line["kind"], line["subject"], line["causes"]) for line in logs][:1] == [("job", "job/one", ["it failed"])]
    (letter,) = (await here.newest(10))[1]
    assert letter.what == "summary a|b"
    assert await elsewhere.retry(letter.id, always) is Retried.ELSEWHERE
    assert await here.retry(letter.id, always) is Retried.RETRIED
    assert enqueued == [("summary", f"retry/{letter.id}", "a|b")]
    assert await here.get(letter.id) is None
    await here.keep_job("of an older program", "two", "", ["it failed"])
    (letter,) = (await here.newest(10))[1]
    assert await here.retry(letter.id, always) is Retried.UNREADABLE


@pytest.mark.parametrize("id", ["", "all", "a", "ff1", "a1 ", "a1\n", "*", "a99999999999999"])
async def test_an_id_that_is_none_means_nothing(store: Store, id: str) -> None:
    letters = DeadLetters(store, keep_days=30)
    await keep(store, message("a"))
    assert await letters.get(id) is None
    assert not await letters.drop(id)
    assert await letters.retry(id, always) is Retried.GONE
    assert (await letters.newest(10))[0] == 1


def test_a_cause_holds_no_secret() -> None:
    assert cause_of(OutboundError(OutboundFault.GONE, "the chat")) == "gone: the chat"
    assert cause_of(RuntimeError("https://api.telegram.org/bot1:secret/sendMessage")) == "RuntimeError"
    kind, texts, *_ = arguments(Failure(Kind.MODEL, tuple("x" * 1000 for _ in range(50))), 30)
    assert (kind, len(json.loads(texts)), len(texts) < 2000) == ("model", 8, True)


async def test_the_turn_is_closed_and_its_letter_kept_in_one_breath(store: Store) -> None:
    letters, box = DeadLetters(store, keep_days=30), mailbox(store)
    asked = message("a")
    await box.post([asked, message("b")])
    turn = await box.take(asked.conversation)
    assert turn is not None
    failure = Failure(Kind.MODEL, ("timeout: no first token in time",))
    with capture_logs() as logs:
        following = await box.finish(turn, "{}", 1, failure)
        # Its reply got lost: it is done again.
        again = await box.finish(turn, "{}", 1, failure)
    assert following is not None
    assert again is not None
    assert following.number == again.number
    (letter,) = (await letters.newest(10))[1]
    assert (letter.kind, letter.entry) == ("model", to_json(asked))
    assert await store.redis.hget(keys.letter(int(letter.id[0], 16), letter.id), "v") == str(VERSION)
    assert logs[0]["event"] == "dead letter"
    assert logs[0]["subject"] == turn.id


@pytest.mark.parametrize("change", ["deleted", "edited"])
async def test_who_took_the_question_back_leaves_no_letter(store: Store, change: str) -> None:
    letters, box = DeadLetters(store, keep_days=30), mailbox(store)
    asked = message("a", id="1")
    await box.post([asked])
    turn = await box.take(asked.conversation)
    assert turn is not None
    if change == "deleted":
        await box.forget(Deletion(asked.conversation, ("1",), "d"))
    else:
        await box.post([message("A!", id="1", edited=True)])
    await box.finish(turn, "{}", 1, Failure(Kind.MODEL, ("timeout",)))
    assert await letters.newest(10) == (0, [])


async def test_an_entry_that_cannot_be_read_does_not_stop_its_conversation(store: Store) -> None:
    box = mailbox(store)
    place = keys.ConversationKeys.of(conversation())
    await box.post([message("a", id="1", private=False, space="5")])
    await store.redis.lpush(place.box, '{"v": 99, "type": "message", "id": "0", "space": null}', "{")
    turn = await box.take(conversation())
    # What looks through the entries that wait is not stopped by it either.
    await box.post([message("A", id="1", edited=True)])
    await box.forget(Deletion(conversation(), ("77",), "d"))
    reasons: list[str] = []
    while turn is not None:
        reasons.append(turn.unreadable)
        failure = Failure(Kind.ENTRY, (turn.unreadable,)) if turn.unreadable else None
        turn = await box.finish(turn, "{}", 1, failure)
    assert [bool(reason) for reason in reasons] == [True, True, False]
    found = (await DeadLetters(store, keep_days=30).newest(10))[1]
    assert [letter.kind for letter in found] == ["entry", "entry"]
