"""What is said in spaces whose rules look at everything."""

from __future__ import annotations

import time
from dataclasses import replace

from core.message import Attachment, AttachmentKind, Author, ConversationKey, Platform, Sighting
from core.storage import keys
from core.storage.client import Store
from core.storage.sealing import Sealing, parse_keys
from core.storage.texts import Texts
from core.storage.watched import Watched

HERE = ConversationKey(Platform.TELEGRAM, "1", "-100")
SPACE = "telegram:1:-100"
ANN, BOB = Author("7", "Ann"), Author("8", "Bob")


def said(id: int, text: str, author: Author = ANN, **more: object) -> Sighting:
    values = {"sent_at": time.time() - 60 + id, "space": "-100", **more}
    return Sighting(HERE, str(id), f"u{id}", author, text, **values)  # pyright: ignore[reportArgumentType]


async def test_what_was_kept_is_as_it_was(store: Store) -> None:
    watched = Watched(store)
    file = Attachment(AttachmentKind.DOCUMENT, "", "setup.exe", size=12)
    links = ("https://a.example", "https://b.example")
    whole = said(1, "look", links=links, attachments=(file,), mentions=3, roles=("5",))
    assert await watched.keep([(SPACE, whole), (SPACE, said(2, "hi", BOB)), (SPACE, said(3, "again"))]) == [0, 0, 1]
    assert await anext(watched.since(SPACE, 0)) == whole
    assert [one.id async for one in watched.newest(SPACE, 2)] == ["3", "2"]


async def test_a_members_messages_and_a_messages_edits_are_found(store: Store) -> None:
    watched = Watched(store)
    one = said(1, "first")
    edit = replace(one, text="second", edited=True)
    await watched.keep([(SPACE, one), (SPACE, said(2, "other", BOB)), (SPACE, edit)])
    await watched.keep([(SPACE, said(3, "newer"))])
    assert await watched.by(SPACE, HERE, "7", 10, 0) == ["3", "1"]
    assert await watched.by(SPACE, HERE, "", 2, 0) == ["3", "1"]
    found = await watched.of(SPACE, HERE, ["1", "99"])
    assert [edit.text for edit in found["1"]] == ["first", "second"]
    # An edit is no further message.
    assert await watched.keep([(SPACE, said(4, "and"))]) == [2]


async def test_only_so_many_are_kept_and_only_for_so_long(store: Store) -> None:
    watched = Watched(store, keep_days=7, most=200)
    await watched.keep([(SPACE, said(id, "x")) for id in range(700)])
    assert len([one async for one in watched.since(SPACE, 0)]) < 400
    assert 0 < await store.redis.ttl(keys.watched(SPACE)) <= 7 * 86400
    assert await Watched(store, keep_days=0).keep([("telegram:1:-2", said(1, "x"))]) == [0]
    assert not await store.redis.exists(keys.watched("telegram:1:-2"))


async def test_somebody_who_asks_for_it_is_forgotten(store: Store) -> None:
    watched = Watched(store)
    await watched.keep([(SPACE, said(1, "mine")), (SPACE, said(2, "theirs", BOB)), (SPACE, said(3, "mine too"))])
    assert await watched.forget(SPACE, ["7"]) == 2
    assert [one.author.id async for one in watched.since(SPACE, 0)] == ["8"]
    assert await watched.keep([(SPACE, said(4, "new"))]) == [0]


async def test_what_people_say_is_sealed_where_that_was_chosen(store: Store) -> None:
    key = Sealing(parse_keys("k1:" + "A" * 43 + "="))
    sealed = Watched(Store(store.address, Texts(key, seals=True)))
    one = said(1, "a secret word", links=("https://hidden.example/path",))
    await sealed.keep([(SPACE, one)])
    ((_, fields),) = await store.redis.xrange(keys.watched(SPACE))
    assert "secret" not in fields["m"]
    assert "hidden.example" not in fields["m"]
    assert [read async for read in sealed.since(SPACE, 0)] == [one]
    assert await sealed.forget(SPACE, ["7"]) == 1
    await sealed.store.close()
