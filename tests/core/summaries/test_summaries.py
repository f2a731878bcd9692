"""Summaries of any length: cut, summarized side by side, summarized again; what breaks off says so."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from core.commands.summarize import link_in
from core.conversation.history import count_tokens
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.overheard import Overheard
from core.conversation.turn import Turn
from core.creations.order import Commission, Order
from core.message import Attachment, AttachmentKind, Author
from core.models.breaker import Breaker
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.router import Router
from core.parts import Finished, Notice, Part, Progress, TextDelta
from core.people.community import Community
from core.people.identity import account_of
from core.settings import Settings
from core.storage.client import Store
from core.summaries import talk
from core.summaries.cutting import pieces
from core.summaries.summaries import KIND, Summaries, request
from core.summaries.talk import Line
from core.writing import Asker, Writer
from tests.builders import call, conversation, message
from tests.core.engines import engine
from tests.platforms.openai_server import Body, Fault, OpenAIServer

SMALL = Model("one", "p", "one", window=4096)
NUMBERS = map(str, itertools.count(1))
SENTENCES = " ".join(f"Fact number {n} is true." for n in range(2000))


@pytest.mark.parametrize(
    "text", [SENTENCES, "字" * 5000, "x" * 9000, "one\n\ntwo\n\n" * 900, "词。" * 3000, "😀" * 1000], ids=range(6)
)
def test_pieces_hold_everything_and_fit(text: str) -> None:
    found = pieces(text, 200)
    assert all(count_tokens(piece) <= 200 for piece in found)
    assert re.sub(r"\s", "", "".join(found)) == re.sub(r"\s", "", text)
    # None is so small that it and the next could have been one.
    assert len(found) <= 2 * len(text.encode()) // (194 * 4) + 2


def test_a_pause_is_cut_at_where_there_is_one() -> None:
    assert [piece.split()[0] for piece in pieces("short " * 25 + "\n\n" + "word " * 30, 60)] == ["short", "word"]
    assert pieces("fits", 200) == ["fits"]
    assert pieces(" \n ", 200) == []


class Desk:
    """An engine with a small model."""

    def __init__(self, store: Store, server: OpenAIServer) -> None:
        self.store = store
        self.server = server
        server.reply = _reply
        self.catalog = Catalog([Provider("p", server.url)], [SMALL])

    async def ask(self, name: str, options: dict[str, str], *, fetched: bytes = b"", **values: Any) -> list[Part]:
        asked = call(name, options=options, **values)
        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        async with engine(self.store, mailbox, models=self.catalog, fetched=fetched) as answering:
            return [part async for part in answering.respond(Turn(asked.conversation, next(NUMBERS), "1", asked))]


def _reply(body: Body) -> str:
    said = body["messages"][0]["content"]
    found = re.search(r"part (\d+) of (\d+)", said)
    return f"note {found[1]}" if found else f"whole: {body['messages'][1]['content'][:60]}"


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    async with OpenAIServer(models=["one"]) as server:
        yield Desk(store, server)


def said(parts: Collection[Part]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


def keys(parts: Collection[Part]) -> list[str]:
    return [part.key for part in parts if isinstance(part, Notice)]


async def test_a_long_text_is_summarized_piece_by_piece_in_order(desk: Desk) -> None:
    parts = await desk.ask("summarize", {"text": SENTENCES, "language": "de"})
    *mapped, last = [request.messages for request in desk.server.requests]
    assert len(mapped) > 5
    assert said(parts) == f"whole: {chr(10).join(last[1]['content'].splitlines())[:60]}"
    assert last[1]["content"].split() == " ".join(f"note {n}" for n in range(1, len(mapped) + 1)).split()
    assert all("in German" in messages[0]["content"] for messages in (*mapped, last))
    assert all("do not follow" in messages[0]["content"] for messages in (*mapped, last))
    assert desk.server.peak <= 3
    finished = parts[-1]
    assert isinstance(finished, Finished)
    assert finished.usage.calls == len(mapped) + 1


async def test_how_far_it_is_is_told(desk: Desk) -> None:
    router = Router(desk.catalog, Settings().routing, Breaker(5, 1), OpenAIApi)
    order = Order("1", KIND, request(Asker(), "English", ""), conversation(), "telegram:7")
    make = Summaries(Writer(desk.catalog, router)).maker.make
    parts = [part async for part in make(Commission(order, (SENTENCES.encode(),)))]
    steps = [part for part in parts if isinstance(part, Progress)]
    count = len(steps) - 2
    assert [step.done for step in steps[:-1]] == [done / count for done in range(count + 1)]
    assert (steps[1], steps[-1].key) == (
        Progress("summary_parts", {"done": 1, "count": count}, 1 / count),
        "summary_ending",
    )
    await router.aclose()


async def test_what_breaks_off_shows_its_notes_and_says_so(desk: Desk) -> None:
    def fails_late(body: Body) -> str:
        if "part 4 of" in body["messages"][0]["content"]:
            desk.server.fail(Fault.SERVER_ERROR, times=50)
            return ""
        return _reply(body)

    desk.server.reply = fails_late
    parts = await desk.ask("summarize", {"text": SENTENCES})
    assert said(parts) == "note 1\n\nnote 2\n\nnote 3"
    assert keys(parts) == ["summary_partial"]


async def test_a_long_text_is_translated_piece_by_piece(desk: Desk) -> None:
    desk.server.reply = lambda body: body["messages"][1]["content"].replace("Fact", "Fakt")
    parts = await desk.ask("translate", {"text": SENTENCES, "language": "de"})
    assert re.findall(r"Fakt number (\d+)", said(parts)) == [str(number) for number in range(2000)]
    assert "into German. It is part 2 of" in str(desk.server.requests[1].messages[0])
    file = Attachment(AttachmentKind.DOCUMENT, "r", "facts.txt", "text/plain")
    parts = await desk.ask("translate", {}, attachments=(file,), fetched=SENTENCES.encode())
    assert "Fakt number 1999" in said(parts)
    assert keys(await desk.ask("translate", {})) == ["about_empty"]


async def test_a_translation_that_breaks_off_says_so(desk: Desk) -> None:
    desk.server.fail(Fault.SERVER_ERROR, times=50)
    parts = await desk.ask("translate", {"text": SENTENCES, "language": "de"})
    assert (said(parts), keys(parts)) == ("", ["translation_partial"])


async def test_no_model_at_all_is_told(desk: Desk) -> None:
    desk.server.fail(Fault.SERVER_ERROR, times=50)
    parts = await desk.ask("summarize", {"text": SENTENCES})
    assert (said(parts), keys(parts)) == ("", ["summary_failed"])


async def test_a_long_file_is_read_to_its_end(desk: Desk) -> None:
    file = Attachment(AttachmentKind.DOCUMENT, "r", "facts.txt", "text/plain")
    parts = await desk.ask("summarize", {}, attachments=(file,), fetched=SENTENCES.encode())
    assert said(parts).startswith("whole: note 1")
    assert "Fact number 1999" in str(desk.server.requests[-2].messages)
    broken = replace(file, name="a.pdf", mime="application/pdf")
    assert keys(await desk.ask("summarize", {}, attachments=(broken,), fetched=b"no pdf")) == ["document_broken"]


async def test_a_link_is_fetched_and_what_cannot_be_is_told(desk: Desk) -> None:
    page = f"<html><title>Facts</title><script>no()</script><p>{SENTENCES}</p></html>"

    async def serve(request: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html", status=200 if request.path == "/a" else 404)

    app = web.Application()
    app.router.add_get("/{name}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        parts = await desk.ask("summarize", {"text": f"{url}/a what is true?"})
        assert keys(await desk.ask("summarize", {"text": f"{url}/gone"})) == ["fetch_status"]
    finally:
        await runner.cleanup()
    assert said(parts).startswith("whole: note 1")
    assert "what is true?" in desk.server.requests[-1].messages[0]["content"]
    assert "no()" not in str([request.body for request in desk.server.requests])


async def heard(store: Store, *lines: tuple[str, str, int]) -> None:
    """What was said in a group that is read along."""
    messages = [
        message(text, author=Author(name.lower(), name), private=False, space="100", sent_at=float(at), overheard=True)
        for name, text, at in lines
    ]
    await Overheard(store).keep(messages)


async def test_catching_up_begins_behind_the_askers_last_message(desk: Desk) -> None:
    ada = Author("ada", "Ada")
    await heard(desk.store, ("Bob", "old", 10), ("Ada", "mine", 20), ("Eve\nBob", "newer", 30), ("Bob", "newest", 40))
    group: dict[str, Any] = {"author": ada, "private": False, "space": "100"}
    assert keys(await desk.ask("catchup", {}, **group)) == ["catchup_deaf"]
    spaces = Community.of(Settings(), desk.store).spaces
    await spaces.records.change("telegram:1:100", lambda space: space.model_copy(update={"passive": True}))
    parts = await desk.ask("catchup", {}, **group)
    assert desk.server.requests[-1].messages[1]["content"] == "Eve Bob: newer\n\nBob: newest"
    assert Notice("summary_of", {"count": 2}) in parts
    parts = await desk.ask("summarize", {"text": "3"}, **group)
    assert desk.server.requests[-1].messages[1]["content"].startswith("Ada: mine")
    group["author"] = Author("bob", "Bob")
    assert keys(await desk.ask("catchup", {}, **group)) == ["catchup_nothing"]


def test_all_is_new_to_who_never_said_a_word() -> None:
    lines = [Line(1, "Bob", "bob", "a"), Line(2, "Assistant", "", "b")]
    assert talk.since(lines, "ada") == lines
    assert talk.since(lines, "bob") == lines[1:]


@pytest.mark.parametrize(
    ("said", "link"),
    [
        ("<https://a.example/b> briefly", "https://a.example/b"),
        ("请总结https://a.example/b。谢谢", "https://a.example/b"),
        ("(see https://a.example/b).", "https://a.example/b"),
        ("https://a.example/Mercury_(planet), please", "https://a.example/Mercury_(planet)"),
        ("http and https:// alone", ""),
    ],
)
def test_a_link_ends_where_its_reader_would_say(said: str, link: str) -> None:
    assert link_in(said) == link


async def test_a_job_that_is_run_again_pays_no_piece_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered: list[str] = []

    async def remember(text: str) -> None:
        remembered.append(text)

    async def asked(again: str) -> int:
        before = len(desk.server.requests)
        parts = [part async for part in make(replace(commission, remembered=again))]
        assert said(parts).startswith("whole: note 1")
        return len(desk.server.requests) - before

    router = Router(desk.catalog, Settings().routing, Breaker(5, 1), OpenAIApi)
    order = Order("1", KIND, request(Asker(), "English", ""), conversation(), "telegram:7")
    make = Summaries(Writer(desk.catalog, router)).maker.make
    commission = Commission(order, (SENTENCES.encode(),), remember=remember)
    whole = await asked("")
    assert len(remembered) == 1, "not with each piece"
    monkeypatch.setattr("core.summaries.kept.EVERY_SECONDS", 0.0)
    assert await asked(remembered[0]) == whole - 1
    assert await asked(remembered[5]) == whole - len(json.loads(remembered[5]))
    assert await asked('["forged"]') == whole
    await router.aclose()


async def test_a_translation_says_which_files_are_missing_and_that_a_part_was_cut(desk: Desk) -> None:
    good = Attachment(AttachmentKind.DOCUMENT, "r", "facts.txt", "text/plain")
    strange = replace(good, name="a.exe", mime="application/octet-stream")
    desk.server.fail(Fault.LENGTH)
    parts = await desk.ask("translate", {}, attachments=(strange, good), fetched=SENTENCES.encode())
    assert keys(parts) == ["file_unsupported", "translation_shortened"]


async def test_what_a_person_chose_holds_for_what_is_written_for_them(desk: Desk) -> None:
    desk.catalog = Catalog([Provider("p", desk.server.url)], [SMALL, replace(SMALL, name="own", id="own")])
    desk.server.models = ["one", "own"]
    people = Community.of(Settings(), desk.store).people
    account = account_of(call("summarize").author, call("summarize").conversation.platform)
    await people.change(account, lambda person: person.model_copy(update={"model": "own"}))
    await desk.ask("summarize", {"text": SENTENCES})
    assert {request.body["model"] for request in desk.server.requests} == {"own"}


async def test_that_the_usual_model_is_gone_is_no_news_with_each_text(desk: Desk) -> None:
    desk.catalog = Catalog([Provider("p", desk.server.url)], [replace(SMALL, name="old", id="old"), SMALL])
    parts = await desk.ask("summarize", {"text": SENTENCES})
    assert (said(parts)[:13], keys(parts)) == ("whole: note 1", [])
    assert "old" in {request.body["model"] for request in desk.server.requests}
