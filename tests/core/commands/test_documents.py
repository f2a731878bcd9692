"""/learn, /documents and /search, as the engine answers them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from core.access import Right
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.knowledge.documents import person_scope
from core.message import Attachment, AttachmentKind, Author, CommandCall, Quote
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Notice, Part, TextDelta
from core.settings import Settings
from core.storage.client import Store
from tests.builders import ADA, call
from tests.core.engines import engine
from tests.core.files import pdf
from tests.platforms.openai_server import OpenAIServer

BOB = Author("8", "Bob")
HOUSE: dict[str, Any] = {"private": False, "space": "100"}
RULES = b"# House rules\n## Dogs\nDogs are welcome on a leash.\n## Bikes\nBikes stand in the yard.\n"
VECTORS = Model("vectors", "p", "vectors", kind="embedding")


class House:
    """A space in which Ada may teach, and Bob may not."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.settings = Settings()
        self.file = RULES
        self.catalog: Catalog | None = None
        self.turns = itertools.count(1)

    async def __call__(self, name: str, typed: str = "", **values: Any) -> list[Part]:
        options = values.pop("options", {"text": typed} if typed else {})
        return await self.answer(call(name, options=options, **values))

    async def answer(self, asked: CommandCall) -> list[Part]:
        async def may(asker: Any, right: Right) -> bool:
            return asker.author.id == ADA.id

        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        async with engine(
            self.store, mailbox, models=self.catalog, may=may, settings=self.settings, fetched=self.file
        ) as answering:
            return [
                part async for part in answering.respond(Turn(asked.conversation, str(next(self.turns)), "1", asked))
            ]


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


def attached(name: str = "rules.md", size: int = 100) -> tuple[Attachment, ...]:
    return (Attachment(AttachmentKind.DOCUMENT, "ref", name, "", size),)


def keys(parts: list[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


def text(parts: list[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


async def test_a_file_is_learned_listed_shown_found_and_removed(house: House) -> None:
    learned = await house("learn", attachments=attached(), **HOUSE)
    assert Notice("learned", {"name": "House rules", "number": 1, "count": 2}) in learned
    listed = text(await house("documents", **HOUSE))
    assert "1. **House rules** (2 passages, 20" in listed
    assert "> Dogs are welcome on a leash." in text(await house("documents show", "1", **HOUSE))
    found = text(await house("search", "may my dog come along?", **HOUSE))
    assert found.startswith("**House rules**, House rules › Dogs\n> Dogs are welcome on a leash.")
    assert keys(await house("search", "quarks", **HOUSE)) == ["search_nothing"]
    assert keys(await house("documents show", "9\u200b9", **HOUSE)) == ["documents_unknown"]
    assert keys(await house("documents remove", "-1", **HOUSE)) == ["documents_unknown"]
    assert keys(await house("documents remove", "1", **HOUSE)) == ["documents_removed"]
    assert keys(await house("documents", **HOUSE)) == ["documents_none"]


async def test_pages_are_told_and_a_title_may_be_chosen(house: House) -> None:
    house.file = pdf(["Opening hours: nine to five.", "Closed on Mondays."])
    learned = await house("learn", "Our *hours*", attachments=attached("x.pdf"))
    assert Notice("learned", {"name": "Our \\*hours\\*", "number": 1, "count": 2}) in learned
    assert "2 pages" in text(await house("documents"))
    assert "page 1" in text(await house("search", "opening hours"))


async def test_who_may_not_teach_may_look_things_up(house: House) -> None:
    await house("learn", attachments=attached(), **HOUSE)
    for name, typed in (("learn", "https://example.org/"), ("documents remove", "1"), ("documents renew", "")):
        house.catalog = Catalog([Provider("p", "http://127.0.0.1:9/v1")], [VECTORS])
        assert keys(await house(name, typed, author=BOB, **HOUSE)) == ["lacking.teach"]
    house.catalog = None
    assert "leash" in text(await house("search", "dogs", author=BOB, **HOUSE))


async def test_what_somebody_learns_for_themselves_is_theirs_alone(house: House) -> None:
    quote = Quote("55", "Carl", "The code of the shed is told to nobody else at all.")
    learned = await house("learn", "me", author=BOB, quote=quote, **HOUSE)
    assert "learned" in keys(learned)
    # In the group, where others read along, nothing of it is shown.
    assert keys(await house("search", "code of the shed", author=BOB, **HOUSE)) == ["documents_none"]
    assert "told to nobody" in text(await house("search", "code of the shed", author=BOB))
    assert keys(await house("search", "code of the shed")) == ["documents_none"]
    records = await house.store.redis.keys("parley:{documents}:record:*")
    assert records == [f"parley:{{documents}}:record:{person_scope('telegram:8')}"]


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({}, "learn_how"),
        ({"options": {"link": "ftp://example.org/x"}}, "learn_how"),
        ({"quote": Quote("5", "Carl", "ok")}, "learn_how"),
        ({"options": {"link": "http://127.0.0.1/secret"}}, "fetch_closed"),
        ({"options": {"link": "http://[::1]:6379/"}}, "fetch_closed"),
        ({"options": {"link": "https://user:word@example.org/"}}, "fetch_no_link"),
        ({"attachments": attached("virus.exe")}, "file_unsupported"),
        ({"attachments": attached(size=10**12)}, "file_too_large"),
        ({"attachments": attached("broken.pdf")}, "document_broken"),
        ({"attachments": attached("broken.epub")}, "document_broken"),
    ],
)
async def test_what_cannot_be_learned_is_told_and_leaves_nothing(
    house: House, values: dict[str, Any], key: str
) -> None:
    assert keys(await house("learn", **values)) == [key]
    assert await house.store.redis.keys("parley:*document*") == []


async def test_over_its_room_a_space_learns_no_more(house: House) -> None:
    house.settings = Settings.model_validate({"knowledge": {"space_documents": 1}})
    await house("learn", attachments=attached("a.md"), **HOUSE)
    house.file = b"Something else."
    assert keys(await house("learn", attachments=attached("b.txt"), **HOUSE)) == ["library_full"]
    # The same file again is a newer version, and has its place.
    assert keys(await house("learn", attachments=attached("a.md"), **HOUSE)) == ["learned_again"]


async def test_vectors_are_made_later_where_there_was_no_model(house: House) -> None:
    await house("learn", attachments=attached(), **HOUSE)
    async with OpenAIServer() as server:
        house.catalog = Catalog([Provider("p", server.url)], [VECTORS])
        assert keys(await house("documents", **HOUSE)) == ["documents_stale"]
        assert keys(await house("documents renew", **HOUSE)) == ["renewed"]
        assert keys(await house("documents", **HOUSE)) == []
        assert len(server.vectors.asked) == 1


async def test_titles_do_nobody_harm(house: House) -> None:
    house.file = "# [x](https://evil.example) @everyone \u202e**bold**\nSome text is here to be read.".encode()
    await house("learn", attachments=attached(), **HOUSE)
    listed = text(await house("documents", **HOUSE))
    assert "\\[x\\](https://evil.example) @everyone \\*\\*bold\\*\\*" in listed
    assert "\u202e" not in listed
