"""The rules of a space by commands: chosen, written, switched, tried."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.access import Right
from core.commands.table import meant
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Attachment, AttachmentKind, Author, ConversationKey, Platform, Sighting
from core.parts import Media, Notice, Part, TextDelta
from core.people.access import Asker
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.marks import Hit
from core.texts import say
from tests.builders import ADA, call, conversation
from tests.core.engines import engine

SPACE = "telegram:1:-100"
HERE = ConversationKey(Platform.TELEGRAM, "1", "-100")
FILE = (Attachment(AttachmentKind.DOCUMENT, "ref", "rules.toml", size=100),)
OWN = b'[[rule]]\nname = "no *pears*"\nwords = ["pears"]\ndelete = true\nshadow = true\n'


class Place:
    """A group whose administrator tries its rules."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.community = Community.of(Settings(), store)

    async def rules(self, text: str, fetched: bytes = b"", may: bool = True, **values: object) -> list[Part]:
        name, rest = meant("rules", text)
        options = {"text": rest} if rest else {}
        asked = call(name, conversation=conversation("-100"), space="-100", private=False, author=ADA, options=options)
        asked = replace(asked, attachments=FILE if fetched else ())

        async def may_configure(asked: Asker, right: Right) -> bool:
            return may

        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        async with engine(self.store, mailbox, may=may_configure, fetched=fetched) as answering:
            return [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))][:-1]

    async def heard(self, *texts: str) -> None:
        said = [
            (SPACE, Sighting(HERE, str(n), f"u{n}", Author(str(n % 2), f"Bob{n % 2}"), text, time.time(), "-100"))
            for n, text in enumerate(texts)
        ]
        await self.community.policy.watched.keep(said)


def words(parts: Sequence[Part]) -> str:
    shown = (part.text if isinstance(part, TextDelta) else "" for part in parts)
    notices = (say(part.key, **part.values) for part in parts if isinstance(part, Notice))
    return "\n".join((*filter(None, shown), *notices))


@pytest.fixture
def place(store: Store) -> Place:
    return Place(store)


async def test_ready_made_rules_hold_from_then_on(place: Place) -> None:
    assert "no rules here yet" in words(await place.rules(""))
    told = words(await place.rules("preset strict"))
    assert "hold from now on" in told
    assert (await place.community.spaces.records.fresh(SPACE)).value.moderated
    assert (await place.community.policy.books.records.fresh(SPACE)).value.text.startswith("#")
    assert "hits: 0" in words(await place.rules("list"))
    assert "no ready-made rules called harsh" in words(await place.rules("preset harsh"))


async def test_rules_of_ones_own_are_written_shown_and_given_back(place: Place) -> None:
    told = words(await place.rules("write", OWN))
    assert "1 rule holds" in told
    assert r"**no \*pears\***" in told
    (file,) = await place.rules("file")
    assert isinstance(file, Media)
    assert file.data == OWN


async def test_wrong_rules_change_nothing_and_all_that_is_wrong_is_said(place: Place) -> None:
    await place.rules("write", OWN)
    told = words(await place.rules("write", b'[[rule]]\nname = "x"\nwrods = ["a"]\n[[rule]]\nname="y"\nmentions=-1'))
    assert "words" in told
    assert "mentions" in told
    assert (await place.community.policy.books.records.fresh(SPACE)).value.text.encode() == OWN
    for fetched in (b"\xff\xfe", b""):
        assert "text file" in words(await place.rules("write", fetched))


async def test_a_rule_is_switched_by_its_name(place: Place) -> None:
    await place.rules("write", OWN)
    assert "acts from now on" in words(await place.rules("switch on no *pears*"))
    rules = await Place(place.store).community.policy.books.rules(SPACE)
    assert rules is not None
    assert not rules["no *pears*"].shadow
    await place.rules("switch off NO *PEARS*")
    rules = await Place(place.store).community.policy.books.rules(SPACE)
    assert rules is not None
    assert not rules["no *pears*"].enabled
    assert "no rule called" in words(await place.rules("switch on apples"))
    assert "can be" in words(await place.rules("switch maybe no *pears*"))


async def test_what_was_switched_stays_so_when_the_file_is_written_again(place: Place) -> None:
    live = OWN.replace(b"shadow = true", b"enabled = false")
    books = place.community.policy.books

    async def states() -> list[tuple[bool, bool]]:
        rules = await Place(place.store).community.policy.books.rules(SPACE)
        assert rules is not None
        return [(rule.enabled, rule.shadow) for rule in rules.rules]

    await place.rules("write", live)
    assert await states() == [(False, False)]
    await place.rules("switch shadow no *pears*")
    assert await states() == [(True, True)], "it only counts, as was said"
    await place.rules("write", live.replace(b"enabled = false", b"warn = true"))
    assert await states() == [(True, True)]
    await place.rules("switch on no *pears*")
    await place.rules("write", OWN)
    assert await states() == [(True, True)], "what the file has in the shadow is not live"
    await place.rules("preset calm")
    assert (await books.records.fresh(SPACE)).value.shadow == ()


async def test_words_are_tried_without_anything_being_done(place: Place) -> None:
    await place.rules("write", OWN)
    assert "1 rule would hit" in words(await place.rules("try I like p.e.a.r.s"))
    assert "No rule would hit" in words(await place.rules("try I like plums"))
    assert await place.community.policy.marks.counts(SPACE, 1) == {}


async def test_changed_rules_are_run_over_what_was_said_before(place: Place) -> None:
    await place.rules("write", OWN)
    assert "Nothing is kept" in words(await place.rules("replay"))
    await place.heard("plums", "pears", "apples", "more PEARS")
    told = words(await place.rules("replay 3"))
    assert "Of 4 messages of the last 3 days, something would have followed from 2 of them" in told
    assert "`no *pears*`: 2 hits: `Bob1` (2)" in told
    assert "`more PEARS`" in told
    assert "file" in words(await place.rules("replay", b"\xff\xfe\xff"))
    other = words(await place.rules("replay", OWN.replace(b"pears", b"plums")))
    assert "1 hit: `Bob0` (1)" in other
    assert (await place.community.policy.books.records.fresh(SPACE)).value.text.encode() == OWN


async def test_the_list_tells_what_rules_hit(place: Place) -> None:
    await place.rules("write", OWN)
    await place.community.policy.marks.count(SPACE, [("no *pears*", Hit.SHADOW), ("no *pears*", Hit.WRONG)])
    assert "(hits: 1, right: 0, wrong: 1)" in words(await place.rules("list"))


@pytest.mark.parametrize("text", ["list", "preset calm", "switch off x", "try x", "replay", "file"])
async def test_only_who_may_configure(place: Place, text: str) -> None:
    (part,) = await place.rules(text, may=False)
    assert part == Notice("lacking.configure")
