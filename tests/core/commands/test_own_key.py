"""/key: tried at its provider, kept sealed, never said again, and nowhere in Redis in the clear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from core.commands.secret import guarded, revealed, shown
from core.commands.table import BY_NAME, meant
from core.conversation.mailbox import Admission, Mailbox
from core.inbox import Inbox
from core.message import Author, CommandCall
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.parts import Finished, Notice, Part, TextDelta
from core.people.identity import People
from core.people.own_keys import opened
from core.settings import Settings
from core.storage.client import Store
from core.storage.feedback import Feedback
from core.storage.sealing import SealedError, Sealing, new_key
from core.storage.shared import Places
from tests.builders import call, mover
from tests.core.engines import engine
from tests.core.storage.dump import everything
from tests.platforms.openai_server import OpenAIServer

KEYS = Settings.model_validate({"keys": new_key()})
THEIRS = "sk-proj-abcdefghijklmnopqrstuvwx1234"


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(api_key="house", more_keys=(THEIRS,)) as server:
        yield server


async def run(
    store: Store,
    server: OpenAIServer,
    asked: CommandCall,
    settings: Settings = KEYS,
    providers: tuple[str, ...] = ("openai",),
    house: str = "house",
) -> list[Part]:
    """The answer, as the engine gives it once the call went through the inbox and the mailbox."""
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    sealing = Sealing.of(settings)
    inbox = Inbox(mailbox, None, Places(store), mover(store), Feedback(store, keep_days=1), sealing=sealing)
    await inbox.accept([asked])
    for text in await everything(store):
        assert THEIRS not in text
    turn = await mailbox.take(asked.conversation)
    assert turn is not None
    rows = [Provider(name, server.url, house) for name in providers]
    catalog = Catalog(rows, [Model("stub", providers[0], "stub")])
    async with engine(store, mailbox, models=catalog, settings=settings) as answering:
        parts = [part async for part in answering.respond(turn)]
    assert isinstance(parts[-1], Finished)
    await mailbox.finish(turn, "", 0)
    for part in parts:
        assert THEIRS not in str(part)
    return parts[:-1]


def typed(text: str, **values: Any) -> CommandCall:
    name, rest = meant("key", text)
    return call(name, options={"text": rest} if rest else {}, **values)


async def keys_of(store: Store, settings: Settings = KEYS) -> Mapping[str, str]:
    return opened(await People(store).of("telegram:7"), Sealing.of(settings))


async def test_a_key_that_its_provider_takes_is_kept_sealed(store: Store, server: OpenAIServer) -> None:
    assert await run(store, server, typed(f"set openai {THEIRS}")) == [Notice("own_key_kept", {"provider": "openai"})]
    assert await keys_of(store) == {"openai": THEIRS}
    for text in await everything(store):
        assert THEIRS not in text
    (listed,) = await run(store, server, typed(""))
    assert isinstance(listed, TextDelta)
    assert "…1234" in listed.text


async def test_the_only_provider_need_not_be_named(store: Store, server: OpenAIServer) -> None:
    assert await run(store, server, typed(f"set {THEIRS}")) == [Notice("own_key_kept", {"provider": "openai"})]
    await run(store, server, typed("remove"))
    both = ("openai", "other")
    (told,) = await run(store, server, typed(f"set {THEIRS}"), providers=both)
    assert told == Notice("own_key_how", {"providers": "openai, other"})
    assert await keys_of(store) == {}


async def test_a_form_gives_it_as_an_option(store: Store, server: OpenAIServer) -> None:
    filled = call("key set", options={"key": THEIRS, "provider": "openai"}, private=False, reply_token="t")
    assert await run(store, server, filled) == [Notice("own_key_kept", {"provider": "openai"})]


@pytest.mark.parametrize(
    "key", ["sk-wrong-wrong-wrong", "short", "with blanks in it", "schlüssel-schlüssel", "x" * 600]
)
async def test_another_key_is_not_kept(store: Store, server: OpenAIServer, key: str) -> None:
    (told,) = await run(store, server, typed(f'set openai "{key}"'))
    assert isinstance(told, Notice)
    assert told.key == ("own_key_refused" if key.startswith("sk-wrong") else "own_key_how")
    assert key not in str(told)
    assert await keys_of(store) == {}


async def test_a_server_that_asks_for_no_key_takes_none_so_no_budget_is_passed_by_one(store: Store) -> None:
    async with OpenAIServer() as open_to_all:
        told = await run(store, open_to_all, typed(f"set openai {THEIRS}"), house="")
    assert told == [Notice("own_key_how", {"providers": "–"})]
    assert await keys_of(store) == {}


async def test_keys_are_not_tried_more_often_than_people_may_ask(store: Store, server: OpenAIServer) -> None:
    settings = Settings.model_validate({"keys": new_key(), "chat": {"person_limit": "2/minute"}})
    wrong = [typed(f"set openai sk-wrong-wrong-{number}") for number in range(3)]
    told = [part for asked in wrong for part in await run(store, server, asked, settings) if isinstance(part, Notice)]
    assert [notice.key for notice in told] == ["own_key_refused", "own_key_refused", "limited_person"]


async def test_where_others_read_along_it_is_not_taken(store: Store, server: OpenAIServer) -> None:
    told = await run(store, server, typed(f"set openai {THEIRS}", private=False, space="5"))
    assert told == [Notice("own_key_public")]
    assert await keys_of(store) == {}


async def test_without_a_key_to_seal_with_nothing_is_taken(store: Store, server: OpenAIServer) -> None:
    assert await run(store, server, typed(f"set openai {THEIRS}"), Settings()) == [Notice("own_key_off")]
    assert guarded(BY_NAME["key set"], typed(f"set openai {THEIRS}"), Sealing()).options == {}


async def test_a_lost_key_is_told_and_pays_nothing(store: Store, server: OpenAIServer) -> None:
    await run(store, server, typed(f"set openai {THEIRS}"))
    other = Settings.model_validate({"keys": new_key()})
    assert await keys_of(store, other) == {"openai": ""}
    (listed,) = await run(store, server, typed("list"), other)
    assert isinstance(listed, TextDelta)
    assert "cannot be opened" in listed.text


async def test_it_can_be_removed_and_shared(store: Store, server: OpenAIServer) -> None:
    assert await run(store, server, typed("remove openai")) == [Notice("own_key_none")]
    await run(store, server, typed(f"set openai {THEIRS}"))
    assert await run(store, server, typed("fallback on")) == [Notice("own_key_shares")]
    assert await run(store, server, typed("fallback off")) == [Notice("own_key_alone")]
    assert await run(store, server, typed("fallback perhaps")) == [Notice("own_key_fallback_how")]
    assert await run(store, server, typed("remove openai")) == [Notice("own_key_removed")]
    assert await keys_of(store) == {}


async def test_a_provider_that_is_away_is_told_apart(store: Store) -> None:
    async with OpenAIServer(more_keys=(THEIRS,)) as server:
        pass
    (told,) = await run(store, server, typed(f"set openai {THEIRS}"))
    assert told == Notice("own_key_unchecked", {"provider": "openai"})


def test_a_call_of_somebody_else_opens_nothing() -> None:
    sealing = Sealing.of(KEYS)
    kept = guarded(BY_NAME["key set"], typed(f"set openai {THEIRS}"), sealing)
    assert THEIRS in revealed(kept, sealing).options["text"]
    with pytest.raises(SealedError):
        revealed(replace(kept, author=Author("8", "Eve")), sealing)


def test_a_page_shows_no_more_than_the_command() -> None:
    assert THEIRS not in shown(BY_NAME["key set"], f"/key set openai {THEIRS}")
    assert shown(BY_NAME["help"], "/help me") == "/help me"
    assert shown(None, "hello") == "hello"
