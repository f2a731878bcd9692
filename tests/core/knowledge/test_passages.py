"""What was learned is found again, by its words and by its meaning, in its scope alone."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace

import pytest

from core.knowledge.contents import STAGED_SECONDS, Contents
from core.knowledge.documents import Learned, LibraryError, person_scope, space_scope
from core.knowledge.libraries import Libraries
from core.knowledge.passages import Passages
from core.knowledge.settings import KnowledgeSettings
from core.storage import keys
from core.storage.client import Store
from core.storage.key_table import known as known_key
from core.storage.rotating import rotate
from core.storage.sealing import Sealing, new_key, parse_keys
from core.storage.texts import Texts
from tests.core.knowledge.rooms import HOUSE, VECTORS, draft, passages
from tests.platforms.openai_faults import Fault
from tests.platforms.openai_server import OpenAIServer

LIBRARY = draft("rules.pdf", "The library opens at nine.", "Books may be kept for four weeks.", title="House rules")


async def test_words_are_found_with_their_page_in_the_scope_that_learned_them(store: Store) -> None:
    async with passages(store) as known:
        learned = await known.add(HOUSE, replace(LIBRARY, added_by="telegram:7"))
        assert (learned.document.number, learned.document.title, learned.document.passages) == (1, "House rules", 2)
        (found, *_) = await known.search(HOUSE, "How many weeks may I keep a book?")
        assert (found.passage.text, found.passage.page, found.document.id) == (
            "Books may be kept for four weeks.",
            2,
            learned.document.id,
        )
        assert 0 < found.score <= 1
        assert await known.search(HOUSE, "zebra") == ()
        assert await known.search(HOUSE, " ") == ()
        for other in (space_scope("telegram:1:101"), person_scope("telegram:7")):
            assert await known.search(other, "How many weeks may I keep a book?") == ()


async def test_chinese_is_found_without_blanks(store: Store) -> None:
    async with passages(store) as known:
        await known.add(HOUSE, draft("规则.txt", "图书馆九点开门。", "图书可以借四个星期。", "停车场在后面。"))
        (found, *_) = await known.search(HOUSE, "一本图书可以借多久？", least=0.1)
        assert found.passage.text == "图书可以借四个星期。"


async def test_meaning_is_found_where_no_word_is_the_same(store: Store) -> None:
    async with OpenAIServer() as server, passages(store, server) as known:
        server.vectors.same = {"automobile": "car", "query": "", "passage": ""}
        learned = await known.add(HOUSE, draft("a.txt", "the car is red", "lunch comes at noon"))
        assert learned.document.model == "vectors"
        (found, *_) = await known.search(HOUSE, "automobile")
        assert found.passage.text == "the car is red"
        first, second = server.vectors.asked
        assert first["input"][0].startswith("passage: ")
        assert second["input"] == ["query: automobile"]
        # What is known by now is asked of nobody again.
        await known.search(HOUSE, "automobile")
        assert len(server.vectors.asked) == 2


async def test_vectors_may_come_as_digits_and_shorter(store: Store) -> None:
    async with OpenAIServer() as server, passages(store, server, replace(VECTORS, dimensions=16)) as known:
        server.vectors.digits = True
        await known.add(HOUSE, LIBRARY)
        assert server.vectors.asked[0]["dimensions"] == 16
        assert (await known.search(HOUSE, "library"))[0].passage.number == 0


async def test_without_the_model_words_are_left_and_vectors_are_made_later(store: Store) -> None:
    async with OpenAIServer() as server, passages(store, server) as known:
        server.vectors.fail(Fault.SERVER_ERROR, times=2)
        learned = await known.add(HOUSE, LIBRARY)
        assert learned.unpaid
        assert learned.document.model == ""
        assert (await known.search(HOUSE, "four weeks"))[0].passage.number == 1
        assert known.stale(await known.list(HOUSE)) == 1
        assert await known.renew(HOUSE) == 1
        assert (known.stale(await known.list(HOUSE)), await known.renew(HOUSE)) == (0, 0)
        asked = len(server.vectors.asked)
        assert (await known.search(HOUSE, "four weeks"))[0].passage.number == 1
        assert len(server.vectors.asked) == asked + 1


async def test_another_model_is_not_compared_with(store: Store) -> None:
    async with OpenAIServer() as server:
        async with passages(store, server) as known:
            await known.add(HOUSE, LIBRARY)
        other = replace(VECTORS, name="other", id="other-vectors", dimensions=32)
        async with passages(store, server, other) as known:
            asked = len(server.vectors.asked)
            assert (await known.search(HOUSE, "four weeks"))[0].passage.number == 1
            assert len(server.vectors.asked) == asked
            assert known.stale(await known.list(HOUSE)) == 1
            # The same text again is not only known: it is made ready for the new model.
            assert (await known.add(HOUSE, LIBRARY)).document.model == "other"


async def test_a_newer_version_takes_the_place_of_the_older_one(store: Store) -> None:
    async with passages(store) as known:
        first = await known.add(HOUSE, LIBRARY)
        again = await known.add(HOUSE, LIBRARY)
        assert again.was_known
        assert not again.replaced
        await known.add(HOUSE, draft("other.txt", "Something else."))
        newer = await known.add(HOUSE, draft("rules.pdf", "The library opens at ten."))
        assert newer.replaced
        assert newer.document.number == first.document.number
        assert [one.title for one in await known.list(HOUSE)] == ["other.txt", "rules.pdf"]
        assert await known.search(HOUSE, "nine weeks") == ()
        assert known_key(keys.document(HOUSE, newer.document.id)).kind.kept, "a backup keeps it"
        left: int = await store.redis.ttl(keys.document(HOUSE, first.document.id))
        assert 0 < left <= 600


async def test_who_dies_on_the_way_leaves_nothing_for_good_and_goes_on_there(store: Store) -> None:
    long = draft("long.txt", *(f"Sentence number {number} is about bees." for number in range(150)))
    async with OpenAIServer() as server, passages(store, server) as known:
        async with aclosing(known.adding(HOUSE, long)) as steps:
            assert [await anext(steps) for _ in range(3)] == [0, 1 / 3, 2 / 3]
        key = keys.document(HOUSE, long.id(HOUSE))
        assert 0 < await store.redis.ttl(key) <= STAGED_SECONDS
        assert await known.search(HOUSE, "bees") == ()
        done = len(server.vectors.asked)
        async with aclosing(known.adding(HOUSE, long)) as steps:
            said = [step async for step in steps]
        assert isinstance(said[-1], Learned)
        assert said[-1].document.passages == 150
        assert len(server.vectors.asked) == done + 1
        assert await store.redis.ttl(key) == -1
        assert (await known.search(HOUSE, "bees number 149"))[0].passage.number == 149


async def test_the_same_twice_at_once_is_learned_once(store: Store) -> None:
    async with passages(store) as one, passages(store) as other:
        both = await asyncio.gather(one.add(HOUSE, LIBRARY), other.add(HOUSE, LIBRARY))
        assert [learned.document.number for learned in both] == [1, 1]
        assert len(await store.redis.keys("parley:documents:*")) == 1
        assert (await one.search(HOUSE, "library"))[0].passage.number == 0


async def test_there_is_room_for_so_much(store: Store) -> None:
    async with passages(store, space_documents=2, space_passages=3, person_documents=0) as known:
        await known.add(HOUSE, LIBRARY)
        with pytest.raises(LibraryError) as caught:
            await known.add(HOUSE, draft("more.txt", "a", "b"))
        assert (caught.value.key, caught.value.values) == ("library_long", {"found": 4, "most": 3})
        await known.add(HOUSE, draft("more.txt", "a"))
        with pytest.raises(LibraryError, match="library_full"):
            await known.add(HOUSE, draft("third.txt", "b"))
        # A newer version needs no more room than it takes.
        await known.add(HOUSE, draft("more.txt", "c"))
        with pytest.raises(LibraryError, match="library_full"):
            await known.add(person_scope("telegram:7"), LIBRARY)


async def test_what_is_removed_is_found_no_more_and_gone(store: Store) -> None:
    async with passages(store) as known, passages(store) as elsewhere:
        await known.add(HOUSE, LIBRARY)
        assert await elsewhere.search(HOUSE, "library")
        removed = await known.remove(HOUSE, 1)
        assert removed is not None
        assert removed.title == "House rules"
        assert await known.remove(HOUSE, 1) is None
        assert await known.search(HOUSE, "library") == ()
        assert await store.redis.keys("parley:documents:*") == []
        # Its number is given to no other.
        assert (await known.add(HOUSE, LIBRARY)).document.number == 2


async def test_a_document_that_is_damaged_keeps_no_other_from_being_found(store: Store) -> None:
    async with passages(store) as known:
        bad = await known.add(HOUSE, LIBRARY)
        await known.add(HOUSE, draft("b.txt", "The library is closed."))
        await store.redis.hset(keys.document(HOUSE, bad.document.id), "p0", json.dumps([["x"]]))
        assert [found.document.title for found in await known.search(HOUSE, "library")] == ["b.txt"]
        async with OpenAIServer() as server, passages(store, server) as later:
            assert await later.renew(HOUSE) == 1
            assert [found.document.title for found in await later.search(HOUSE, "library")] == ["b.txt"]


async def test_texts_vectors_titles_and_sources_are_sealed_and_may_get_another_key(valkey_url: str) -> None:
    old, new = new_key(), f"n{new_key()}"
    sealed = Store(valkey_url, Texts(Sealing(parse_keys(old)), seals=True))
    await sealed.redis.flushall()
    async with OpenAIServer() as server, passages(sealed, server) as known:
        await known.add(HOUSE, replace(LIBRARY, link="https://example.org/secret"))
    kept = [await sealed.redis.hgetall(key) for key in await sealed.redis.keys("parley:*document*") if "ch" not in key]
    assert "library" not in str(kept)
    assert "rules" not in str(kept)
    assert "secret" not in str(kept)
    await sealed.close()
    both = Store(valkey_url, Texts(Sealing(parse_keys(f"{new},{old}")), seals=True))
    assert (await rotate(both, Sealing(parse_keys(f"{new},{old}")))).lost == 0
    await both.close()
    fresh = Store(valkey_url, Texts(Sealing(parse_keys(new)), seals=True))
    known = Passages(fresh, KnowledgeSettings())
    found = (await known.search(HOUSE, "library"))[0]
    assert (found.passage.text, found.document.link) == ("The library opens at nine.", "https://example.org/secret")
    await fresh.close()


async def test_a_group_that_becomes_another_takes_its_documents_along(store: Store) -> None:
    async with OpenAIServer() as server, passages(store, server) as known:
        await known.add(HOUSE, LIBRARY)
        for _ in range(2):
            await known.move("telegram:1:100", "telegram:1:-200")
        new = space_scope("telegram:1:-200")
        found = (await known.search(new, "four weeks"))[0]
        assert (found.passage.number, found.document.model) == (1, "vectors")
        assert await known.list(HOUSE) == ()
        assert len(server.vectors.asked) == 2


async def test_memory_is_bounded(store: Store) -> None:
    texts = [" ".join(f"word{number}x{at}" for at in range(400)) for number in range(100)]
    async with passages(store, cache_bytes=1_000_000) as known:
        for number in range(6):
            await known.add(HOUSE, draft(f"{number}.txt", *texts))
        assert (await known.search(HOUSE, "word12x399"))[0].passage.number == 12
        assert 0 < known.cached_bytes <= 2_000_000


async def test_vectors_of_two_models_are_never_taken_for_one(store: Store) -> None:
    """Killed half-way by one model and gone on with by another, and by the first with another length."""
    long = draft("long.txt", *(f"Sentence number {number} is about bees." for number in range(150)))
    shorter = replace(VECTORS, id="short-vectors", dimensions=16)
    async with OpenAIServer() as server:
        async with passages(store, server) as known:
            learned = await known.add(HOUSE, long)
        other = replace(VECTORS, name="other", id="other-vectors", dimensions=32)
        async with passages(store, server, other) as known, aclosing(known.adding(HOUSE, long)) as steps:
            assert [await anext(steps) for _ in range(2)] == [0, 1 / 3]
        assert await store.redis.ttl(keys.document(HOUSE, learned.document.id)) == -1, "it is still named"
        async with passages(store, server) as known:
            assert (await known.search(HOUSE, "bees number 149"))[0].passage.number == 149
        async with passages(store, server, other) as known:
            assert (await known.add(HOUSE, long)).document.model == "other"
            assert (await known.search(HOUSE, "bees number 149"))[0].passage.number == 149
        async with passages(store, server, shorter) as known:
            await known.remove(HOUSE, 1)
            async with aclosing(known.adding(HOUSE, long)) as steps:
                assert [await anext(steps) for _ in range(2)] == [0, 1 / 3]
        async with passages(store, server) as known:
            await known.add(HOUSE, long)
            assert (await known.search(HOUSE, "bees number 149"))[0].passage.number == 149


async def test_who_dies_at_the_very_end_leaves_it_for_good_and_nothing_of_the_older_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = draft("rules.pdf", "The library opens at ten.")
    async with passages(store) as known:
        old = (await known.add(HOUSE, LIBRARY)).document

        async def dies(*_: object, **__: object) -> None:
            raise asyncio.CancelledError

        with monkeypatch.context() as patch:
            patch.setattr(Contents, "keep", dies)
            with pytest.raises(asyncio.CancelledError):
                await known.add(HOUSE, newer)
        document = keys.document(HOUSE, newer.id(HOUSE))
        assert 0 < await store.redis.ttl(document) <= STAGED_SECONDS
        assert (await known.add(HOUSE, newer)).was_known
        assert await store.redis.ttl(document) == -1
        assert 0 < await store.redis.ttl(keys.document(HOUSE, old.id)) <= 600
        with monkeypatch.context() as patch:
            patch.setattr(Contents, "remove", dies)
            with pytest.raises(asyncio.CancelledError):
                await known.remove(HOUSE, 1)
        # The command is run again, and finds none of that number.
        assert await known.remove(HOUSE, 1) is None
        assert 0 < await store.redis.ttl(document) <= 600
        assert (await Libraries(store).fresh(HOUSE)).value.gone == ()


async def test_a_document_whose_texts_are_lost_can_be_learned_again(store: Store) -> None:
    async with passages(store) as known:
        learned = await known.add(HOUSE, LIBRARY)
        await store.redis.unlink(keys.document(HOUSE, learned.document.id))
        again = await known.add(HOUSE, LIBRARY)
        assert (again.was_known, again.document.number) == (False, 1)
        assert (await known.search(HOUSE, "library"))[0].passage.number == 0


async def test_what_has_no_vectors_is_found_by_its_words_beside_what_has_some(store: Store) -> None:
    async with OpenAIServer() as server, passages(store, server) as known:
        await known.add(HOUSE, draft("a.txt", *(f"Room {number} has a window." for number in range(20))))
        server.vectors.fail(Fault.SERVER_ERROR, times=2)
        assert (await known.add(HOUSE, LIBRARY)).unpaid
        assert (await known.search(HOUSE, "May books be kept for weeks?", 3))[0].document.title == "House rules"
        nothing = await known.search(HOUSE, "zebra", 50)
        assert {found.document.title for found in nothing} == {"a.txt"}, "it has not one word of that"
