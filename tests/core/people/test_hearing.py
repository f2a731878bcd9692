"""What is heard in a space: closed channels, quiet hours, and what receivers know of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.access import Reading
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.overheard import Overheard
from core.inbox import Inbox
from core.message import Author, Deletion, Message, Platform
from core.parts import Notice, Part
from core.people.community import Community
from core.people.hearing import Attention, Hearing, Hush, Silence, channels_of, quiet_until, silence, silence_for
from core.people.spaces import Spaces, SpaceSettings
from core.settings import Settings
from core.storage import keys
from core.storage.client import Store
from core.storage.feedback import Feedback
from core.storage.keys import ConversationKeys
from core.storage.shared import Places
from tests.builders import call, conversation, message, mover
from tests.core.engines import engine

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("only", "never", "channels", "is_silent"),
    [
        ((), (), ("a",), False),
        (("a",), (), ("a",), False),
        (("a",), (), ("b",), True),
        # A thread counts as the channel that it stands in, a channel as its category.
        (("a",), (), ("thread", "a"), False),
        (("category",), (), ("thread", "a", "category"), False),
        ((), ("a",), ("thread", "a"), True),
        # What is closed is closed, also where it is among those open.
        (("category",), ("a",), ("a", "category"), True),
    ],
)
def test_channels_are_closed_with_all_that_stands_in_them(
    only: tuple[str, ...], never: tuple[str, ...], channels: tuple[str, ...], is_silent: bool
) -> None:
    space = SpaceSettings(only_channels=only, not_channels=never)
    found = silence(space, channels[0], 0.0, above=channels[1:])
    assert found == (Silence(Hush.CHANNEL) if is_silent else None)


@pytest.mark.parametrize(
    ("hours", "zone", "now", "until"),
    [
        ("22:00-07:00", "UTC", at("2026-05-01T21:59"), 0.0),
        ("22:00-07:00", "UTC", at("2026-05-01T22:00"), at("2026-05-02T07:00")),
        ("22:00-07:00", "UTC", at("2026-05-02T06:59"), at("2026-05-02T07:00")),
        ("22:00-07:00", "UTC", at("2026-05-02T07:00"), 0.0),
        ("12:00-13:30", "Asia/Kathmandu", at("2026-05-01T07:00"), at("2026-05-01T07:45")),
        # Clocks go from 2:00 to 3:00: half past two is not, and the hours end half an hour after three.
        ("22:00-02:30", BERLIN, at("2026-03-29T01:59", BERLIN), at("2026-03-29T03:30", BERLIN)),
        ("22:00-02:30", BERLIN, at("2026-03-29T03:30", BERLIN), 0.0),
        # Half past two is twice: the hours do not begin once more.
        ("22:00-02:30", BERLIN, at("2026-10-25T02:29", BERLIN), at("2026-10-25T02:30", BERLIN)),
        ("22:00-02:30", BERLIN, at("2026-10-25T02:10", BERLIN, fold=1), 0.0),
        ("22:00-22:00", "UTC", at("2026-05-01T22:00"), 0.0),
        ("25:00-07:00", "UTC", at("2026-05-01T23:00"), 0.0),
        ("at night", "UTC", at("2026-05-01T23:00"), 0.0),
        ("22:00-07:00", "Nowhere/At all", at("2026-05-01T22:00"), at("2026-05-02T07:00")),
        ("22:00-07:00", "../../etc/passwd", at("2026-05-01T22:00"), at("2026-05-02T07:00")),
    ],
)
def test_quiet_hours_go_by_the_clocks_of_the_space(hours: str, zone: str, now: float, until: float) -> None:
    assert quiet_until(hours, zone, now) == until


def test_the_usual_zone_counts_where_the_space_has_none() -> None:
    space, now = SpaceSettings(quiet="22:00-07:00"), at("2026-05-01T20:30")
    assert silence(space, "a", now) is None
    assert silence(space, "a", now, zone=BERLIN) == Silence(Hush.QUIET, at("2026-05-02T05:00"))


def test_a_message_is_silenced_where_it_stands() -> None:
    space = SpaceSettings(not_channels=("9",))
    discord = conversation("3", Platform.DISCORD)
    for there, closed in (
        (message(space="5", conversation=discord), False),
        (message(space="5", conversation=discord, within=("8", "9")), True),
        # It is answered in a thread that is opened with the answer.
        (message(space="5", conversation=discord, opens="9"), True),
        (call("chat", space="5", conversation=discord, within=("9",)), True),
        # On Telegram a topic is a channel.
        (message(space="5", conversation=replace(conversation("5"), thread="9")), True),
        (message(space="5", conversation=replace(conversation("5"), thread="1")), False),
        (message(conversation=conversation("9")), False),
    ):
        assert silence_for(there, space, 0.0) == (Silence(Hush.CHANNEL) if closed else None), channels_of(there)


async def test_receivers_know_what_was_chosen_before_they_came_and_what_changes_since(store: Store) -> None:
    spaces = Spaces(store)
    await spaces.change("discord:1:5", lambda space: space.model_copy(update={"answers": "always"}))
    await spaces.change("discord:2:5", lambda space: space.model_copy(update={"passive": True}))
    hearing = Hearing(Spaces(store), Platform.DISCORD, "1")
    await hearing.refresh()
    assert (hearing.of("5").answers, hearing.of("5").passive, hearing.of("6").answers) == ("always", None, "")
    await spaces.change("discord:1:6", lambda space: space.model_copy(update={"answers": "mentions"}))
    await spaces.change("discord:1:5", lambda space: space.model_copy(update={"answers": ""}))
    before = store.calls
    assert hearing.of("6").answers == "", "it is not asked for each message"
    assert store.calls == before
    await hearing.refresh()
    assert (hearing.of("5").answers, hearing.of("6").answers) == ("", "mentions")


async def test_what_one_space_has_damaged_keeps_no_other_from_being_heard(store: Store) -> None:
    await Spaces(store).change("discord:1:5", lambda space: space.model_copy(update={"answers": "always"}))
    for platform in ("discord", "telegram"):
        damaged = {"v": 1, "json": '{"passive":"of a newer program"}', "by": "x"}
        await store.redis.hset(keys.record("spaces", f"{platform}:1:4"), mapping=damaged)
    hearing = Hearing(Spaces(store), Platform.DISCORD, "1")
    await hearing.refresh()
    assert (hearing.of("5").answers, hearing.of("4").answers) == ("always", "")
    attention = await attend(store)
    assert await attention.reading(message(space="4", private=False)) is Reading.ANSWER
    assert await attention.reading(message(space="4", private=False, overheard=True)) is Reading.IGNORE


def now_and_later() -> str:
    """Quiet hours that it is now, whenever that is."""
    now = datetime.now(UTC)
    return f"{now - timedelta(hours=2):%H:%M}-{now + timedelta(hours=2):%H:%M}"


async def attend(store: Store, **fields: object) -> Attention:
    """In a space that chose so."""
    settings = Settings.model_validate({"owners": ["telegram:1"]})
    community = Community.of(settings, store)
    await community.spaces.change("telegram:1:5", lambda space: space.model_copy(update=fields))
    await community.people.change("telegram:2", lambda person: person.model_copy(update={"language": "en"}))
    return Attention(community.people, community.spaces, settings)


@pytest.mark.parametrize(
    ("author", "fields", "by_admin", "reading"),
    [
        ("7", {}, False, Reading.IGNORE),
        ("7", {"passive": True}, False, Reading.OVERHEAR),
        ("7", {}, True, Reading.ANSWER),
        ("1", {}, False, Reading.ANSWER),
        # The space's own word counts more than the platform's.
        ("2", {"roles": {"telegram:2": "admin"}}, False, Reading.ANSWER),
        ("2", {"roles": {"telegram:2": "member"}}, True, Reading.IGNORE),
        # It is over, or cannot be read.
        ("7", {"quiet": "nonsense"}, False, Reading.ANSWER),
        # Nothing of a closed channel is heard, whoever says it.
        ("1", {"not_channels": ("100",), "passive": True}, True, Reading.IGNORE),
    ],
)
async def test_in_quiet_hours_administrators_are_answered(
    store: Store, author: str, fields: dict[str, object], by_admin: bool, reading: Reading
) -> None:
    attention = await attend(store, **{"quiet": now_and_later(), **fields})
    asked = message(space="5", private=False, author=Author(author, "Ada"), by_admin=by_admin)
    assert await attention.reading(asked) is reading


async def test_what_is_for_others_is_kept_only_where_it_is_read_along(store: Store) -> None:
    gossip = message(space="5", private=False, overheard=True)
    assert await (await attend(store, quiet="")).reading(gossip) is Reading.IGNORE
    assert await (await attend(store, passive=True)).reading(gossip) is Reading.OVERHEAR


async def test_who_is_shut_out_is_not_heard_by_way_of_others_questions(store: Store) -> None:
    gossip = message(space="5", private=False, overheard=True)
    by_space = await attend(store, passive=True, roles={"telegram:7": "blocked"})
    assert await by_space.reading(gossip) is Reading.IGNORE
    community = Community.of(Settings(), store)
    await community.people.change("telegram:7", lambda person: person.model_copy(update={"blocked": "rude"}))
    assert await (await attend(store, passive=True, roles={})).reading(gossip) is Reading.IGNORE


async def test_the_inbox_answers_keeps_and_lets_go(store: Store) -> None:
    attention = await attend(store, passive=True, not_channels=("200",))
    mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
    inbox = Inbox(
        mailbox,
        None,
        Places(store),
        mover(store),
        Feedback(store, keep_days=1),
        hears=attention.reading,
        overheard=Overheard(store),
    )

    def there(text: str, chat: str = "100", **values: Any) -> Message:
        return message(text, chat=chat, space="5", private=False, **values)

    gossip = there("gossip", overheard=True)
    await inbox.accept([gossip, there("closed", "200"), there("hello"), there("more gossip", overheard=True)])
    turn = await mailbox.take(conversation())
    assert turn is not None
    assert isinstance(turn.incoming, Message)
    assert turn.incoming.text == "hello"
    assert await mailbox.take(conversation("200")) is None
    heard = ConversationKeys.of(conversation()).heard
    assert await store.redis.llen(heard) == 2
    # What is deleted in the same batch that it came with is not kept either.
    late = there("secret", overheard=True)
    await inbox.accept([late, Deletion(conversation(), (gossip.id, late.id), "d")])
    assert await store.redis.llen(heard) == 1


@pytest.mark.parametrize(
    ("fields", "values", "key"),
    [
        ({"not_channels": ("100",)}, {}, ""),
        ({"not_channels": ("100",)}, {"reply_token": "an answer is waited for"}, "silent_channel"),
        ({"not_channels": ("100",)}, {"alone": True}, "no_answer"),
        ({"quiet": "now"}, {"reply_token": "an answer is waited for"}, "silent_quiet"),
        ({"quiet": "now"}, {"by_admin": True}, "no_answer"),
        ({}, {}, "no_answer"),
    ],
)
async def test_commands_that_ask_go_by_the_same_rules(
    store: Store, fields: dict[str, object], values: dict[str, Any], key: str
) -> None:
    chosen = {name: now_and_later() if value == "now" else value for name, value in fields.items()}
    await Spaces(store).change("telegram:1:5", lambda space: space.model_copy(update=chosen))

    async def answers(name: str) -> Sequence[Part]:
        asked = call(name, space="5", private=False, options={"text": "hello"}, **values)
        mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
        await mailbox.post([asked])
        turn = await mailbox.take(asked.conversation)
        assert turn is not None
        async with engine(store, mailbox, is_admin=nobody) as answering:
            parts = [part async for part in answering.respond(turn)]
        await mailbox.finish(turn, "", 0)
        return parts

    async def nobody(asked: object) -> bool:
        return False

    said = [part.key for part in await answers("chat") if isinstance(part, Notice)]
    if key == "no_answer":
        assert not any(one.startswith("silent") for one in said)
    else:
        assert said == ([key] if key else [])
    # What is looked up disturbs nobody.
    assert not any(isinstance(part, Notice) and part.key.startswith("silent") for part in await answers("help"))
