"""/admin: what failed, for owners only, as the engine answers it."""

from __future__ import annotations

from typing import Any

import pytest

from core.commands.table import meant
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.message import Author, CommandCall, Message, Platform
from core.message_json import to_json
from core.parts import Finished, Notice, Part, TextDelta
from core.storage import keys
from core.storage.client import Store, partition_keys
from core.storage.failed import DeadLetters, Failure, Kind, arguments
from tests.builders import call, conversation, message
from tests.core.engines import engine

OWNER = Author("1", "Grace")


async def answer(store: Store, asked: CommandCall) -> list[Part]:
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    async with engine(store, mailbox, owners=("telegram:1", "discord:2")) as answering:
        parts = [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))]
    assert isinstance(parts[-1], Finished)
    return parts[:-1]


async def admin(store: Store, text: str, **values: Any) -> list[Part]:
    name, rest = meant("admin", text)
    given: dict[str, Any] = {"author": OWNER, "options": {"text": rest}, **values}
    return await answer(store, call(name, **given))


async def keep(store: Store, incoming: Message | CommandCall, number: int = 1, kind: Kind = Kind.MODEL) -> str:
    place = str(incoming.conversation)
    name, causes, seconds, version = arguments(Failure(kind, ("rate_limited: try later",)), 1)
    values = (f"{place}/{number}", place, to_json(incoming), name, causes, seconds, version)
    return str(await store.run("failed_keep", partition_keys(keys.partition_of(place)), values))


async def box(store: Store, chat: str = "100") -> int:
    return await store.redis.llen(keys.ConversationKeys.of(conversation(chat)).box)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"author": Author("7", "Ada")}, "owner_only"),
        ({"author": Author("2", "Owner elsewhere")}, "owner_only"),
        ({"author": Author("7", "Ada"), "private": False}, "owner_only"),
        ({"private": False}, "owner_privately"),
        # Discord shows it to the asker alone.
        ({"private": False, "reply_token": "t"}, "failed_none"),
        ({}, "failed_none"),
        ({"author": Author("7", "Ada", is_owner=True)}, "failed_none"),
    ],
)
async def test_only_owners_are_answered_and_only_in_private(store: Store, values: dict[str, Any], key: str) -> None:
    (part,) = await admin(store, "failed", **values)
    assert isinstance(part, Notice)
    assert part.key == key


async def test_owners_of_one_platform_are_not_those_of_another(store: Store) -> None:
    place = conversation(platform=Platform.DISCORD)
    assert await admin(store, "failed", conversation=place) == [Notice("owner_only", {"name": "admin failed"})]
    assert await admin(store, "failed", conversation=place, author=Author("2", "G")) == [Notice("failed_none")]


async def test_the_list_tells_what_where_and_why_and_nothing_in_it_is_a_mark(store: Store) -> None:
    older = await keep(store, message("**what** is `this` @everyone", place="#general in Chess Club", private=False))
    newer = await keep(store, call("chat", chat="200", options={"text": "hello"}))
    (part,) = await admin(store, "failed")
    assert isinstance(part, TextDelta)
    head, _, first, second = part.text.split("\n")
    assert head.startswith("2 could not be answered")
    assert first.startswith(f"- **{newer}** · ")
    assert "`telegram` · `/chat hello` · `model: rate_limited: try later`" in first
    assert second.startswith(f"- **{older}** · ")
    assert "`telegram, #general in Chess Club` · `**what** is 'this' @everyone` · " in second


async def test_a_long_list_shows_the_newest(store: Store) -> None:
    for number in range(23):
        await keep(store, message(str(number)), number)
    (part,) = await admin(store, "failed", author=Author("1", "G", language="zh-CN"))
    assert isinstance(part, TextDelta)
    assert part.text.count("- **") == 20
    assert part.text.endswith("还有 3 条更早的。")


async def test_one_is_asked_again_and_all_are(store: Store) -> None:
    id = await keep(store, message("a"), 1)
    await keep(store, message("b"), 2)
    await keep(store, message("c", chat="200"), 1)
    assert await admin(store, f"retry {id.upper()}") == [Notice("failed_retried", {"count": 1})]
    assert await box(store) == 1
    assert await admin(store, f"retry {id}") == [Notice("failed_unknown", {"found": id})]
    assert await admin(store, "retry all") == [Notice("failed_retried", {"count": 2})]
    assert (await box(store), await box(store, "200")) == (2, 1)
    assert await admin(store, "retry all") == [Notice("failed_none")]


async def test_what_only_its_asker_was_to_see_is_not_asked_again(store: Store) -> None:
    id = await keep(store, call("model", options={"text": "stub"}), 1)
    await keep(store, call("chat", options={"text": "hello"}), 2)
    await keep(store, call("of an older program"), 3)
    await keep(store, call("chat", options={"text": "hello"}, alone=True), 4)
    await keep(store, call("chat", options={"text": "hello"}, most_pages=5), 5)
    assert await admin(store, "retry all") == [
        Notice("failed_retried", {"count": 1}),
        Notice("failed_unrepeatable", {"count": 4}),
    ]
    assert await box(store) == 1
    assert await admin(store, f"drop {id}") == [Notice("failed_dropped", {"count": 1})]


async def test_one_is_dropped_and_all_are(store: Store) -> None:
    id = await keep(store, message("a"), 1)
    await keep(store, message("b"), 2)
    await keep(store, message("c", chat="200"), 1)
    assert await admin(store, f"drop {id}") == [Notice("failed_dropped", {"count": 1})]
    assert await admin(store, f"drop {id}") == [Notice("failed_unknown", {"found": id})]
    assert await admin(store, "drop all") == [Notice("failed_dropped", {"count": 2})]
    assert await admin(store, "drop all") == [Notice("failed_none")]
    assert await box(store) == 0


@pytest.mark.parametrize("text", ["retry", "drop", "RETRY  "])
async def test_without_an_id_it_is_told_how_to_write_it(store: Store, text: str) -> None:
    await keep(store, message("a"))
    assert await admin(store, text) == [Notice("admin_how")]
    assert (await DeadLetters(store, keep_days=1).newest(1))[0] == 1


async def test_by_itself_it_lists_what_the_caller_may_use(store: Store) -> None:
    (told,) = await admin(store, "")
    assert isinstance(told, TextDelta)
    assert "- `/admin retry` " in told.text
    unknown, listed = await admin(store, "explode *now*")
    assert unknown == Notice("admin_unknown", {"found": r"explode \*now\*"})
    assert listed == told
    assert "- `/admin usage` " in told.text
    assert await admin(store, "", author=Author("7", "Ada")) == [Notice("admin_nothing")]


async def test_help_lists_it_for_owners_only(store: Store) -> None:
    listed: list[bool] = []
    for author in (OWNER, Author("7", "Ada")):
        (part,) = await answer(store, call("help", author=author))
        assert isinstance(part, TextDelta)
        listed.append("/admin" in part.text)
        assert "/admin retry" not in part.text, "one line for all subcommands"
        assert ("failed, retry, drop" in part.text) is (author is OWNER)
    assert listed == [True, False]
