"""What is done later than it is asked for: the last traces of an erased person, and the lifetime of conversations in a
space that now keeps them longer or shorter. Every process looks for it now and then; done twice it does no harm.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from typing import Any

import structlog

from core.errors import StorageError
from core.message import ConversationKey, Platform
from core.models.budget import Period, Span
from core.people.privacy import Subject
from core.people.said import conversations, remove_beside
from core.people.shown import remove_web
from core.people.spaces import Spaces, kept_days, space_id
from core.people.spent import forget_used, unname
from core.storage import keys, web_keys
from core.storage.client import Store, conversation_keys
from core.storage.keys import ConversationKeys

log = structlog.get_logger()

SETTLE_SECONDS = 3600
"""A private conversation's last traces stay for so long: its lease and the ids of what was just said there, by which a
message is found again after a crash, and no number of a turn comes twice while a platform remembers it."""
LOOK_SECONDS = 30.0
BESIDE = ("blob", "album", "seen", "notes")
FEEDS = ("people", "personas", "documents")
"""Kinds of records whose feeds of changes tell ids of people, for processes that keep them in memory."""


async def leave(store: Store, subject: Subject, gone: Sequence[ConversationKey]) -> None:
    """Has an erased person's last traces removed in a while. Raises StorageError."""
    places = sorted(map(str, gone))
    text = json.dumps({"accounts": subject.accounts, "alias": subject.alias, "conversations": places})
    at = time.time() + SETTLE_SECONDS
    await store.attempt(lambda: store.redis.zadd(keys.to_tidy(), {text: at}))


async def leave_used(store: Store, subject: Subject, period: Period) -> None:
    """Has what their budgets came to removed once that day and month are over. Raises StorageError."""
    for span in Span:
        text = json.dumps({"accounts": subject.accounts, "used": period.date_of(span)})
        at = period.until(span).timestamp()
        await store.attempt(lambda text=text, at=at: store.redis.zadd(keys.to_tidy(), {text: at}))


async def retain(store: Store, space: str) -> None:
    """Has what a space (``core.people.spaces.space_id``) now says of retention applied to the conversations that are
    there. Raises StorageError."""
    await store.attempt(lambda: store.redis.zadd(keys.to_retain(), {space: time.time()}))


async def run(store: Store, spaces: Spaces, keep_days: int) -> None:
    """Until cancelled. ``keep_days`` is the setting ``storage.keep_days``."""
    while True:
        await asyncio.sleep(LOOK_SECONDS * random.uniform(0.8, 1.2))
        try:
            await tidy(store, spaces, keep_days, time.time())
        except StorageError as error:
            log.warning("not tidied up", cause=str(error))


async def tidy(store: Store, spaces: Spaces, keep_days: int, now: float) -> None:
    """Does all that is due; what cannot be read is left to a newer program. Raises StorageError."""
    redis = store.redis
    traces: list[str] = await store.attempt(lambda: redis.zrangebyscore(keys.to_tidy(), "-inf", now))
    for text in traces:
        try:
            await _remove(store, json.loads(text))
        except (ValueError, LookupError, TypeError) as error:
            log.warning("traces that cannot be read are left", cause=type(error).__name__)
            continue
        await store.attempt(lambda text=text: redis.zrem(keys.to_tidy(), text))
    waiting: list[tuple[str, float]] = await store.attempt(
        lambda: redis.zrange(keys.to_retain(), 0, -1, withscores=True)
    )
    for space, since in waiting:
        try:
            chosen = (await spaces.records.fresh(space)).value
            await _retain(store, space, kept_days(chosen, keep_days) * 86400)
        except (ValueError, StorageError) as error:
            log.warning("conversations of a space keep their lifetime for now", space=space, cause=str(error))
            continue
        # Chosen anew meanwhile, it is done again.
        if await store.attempt(lambda space=space: redis.zscore(keys.to_retain(), space)) == since:
            await store.attempt(lambda space=space: redis.zrem(keys.to_retain(), space))


async def _remove(store: Store, traces: dict[str, Any]) -> None:
    accounts, gone = tuple(traces["accounts"]), list[ConversationKey]()
    subject = Subject(accounts[0], accounts, traces.get("alias", ""))
    if date := traces.get("used"):
        await forget_used(store, keys.BUDGETS.used(date), subject)
        return
    for name in traces["conversations"]:
        conversation = ConversationKey.parse(name)
        place = ConversationKeys.of(conversation)
        if await store.run("vacate", conversation_keys(place), (place.name,)):
            gone.append(conversation)
    # What was still on its way to be counted (``core/people/budgets.py``).
    await unname(store, subject)
    if gone:
        await remove_beside(store, gone, BESIDE)
        for conversation in gone:
            bot = conversation.platform, conversation.bot
            name = str(conversation)
            await store.attempt(lambda bot=bot, name=name: store.redis.zrem(keys.places(*bot), name))
            await store.attempt(lambda bot=bot, name=name: store.redis.hdel(keys.last_seen(*bot), name))
    for user, conversation in [one.chat.split("-", 1) for one in gone if one.platform is Platform.WEB]:
        shown: list[str] = await store.attempt(
            lambda user=user: store.redis.zrange(web_keys.conversations(user), 0, -1)
        )
        # Who went on to talk keeps what is new.
        if set(shown) <= {conversation}:
            await remove_web(store, user)
    for feed in map(keys.record_changes, FEEDS):
        said: list[tuple[str, dict[str, str]]] = await store.attempt(lambda feed=feed: store.redis.xrange(feed))
        # Somebody's documents are a record that is named after them.
        if old := [id for id, fields in said if fields.get("id", "").removeprefix("person:") in subject.accounts]:
            await store.attempt(lambda feed=feed, old=old: store.redis.xdel(feed, *old))


async def _retain(store: Store, space: str, seconds: int) -> None:
    platform, bot, id = space.split(":", 2)
    for conversation in await conversations(store, lambda one: one == platform):
        place = ConversationKeys.of(conversation)
        if conversation.bot != bot:
            continue
        there: str | None = await store.attempt(lambda place=place: store.redis.hget(place.state, "space"))
        if there and space_id(conversation, there) == f"{platform}:{bot}:{id}":
            names = [place.order, place.tree, place.notices, place.votes, place.state]
            await store.run("retain", names, (seconds,))
