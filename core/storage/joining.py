"""Who has to show that they are a person before they may talk in a space, and how many came there of late."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from core.message import ConversationKey
from core.storage import keys
from core.storage.client import Store

log = structlog.get_logger()

KEEP_SECONDS = 2 * 86400
"""Somebody's state is kept for so long after its last change."""
MOST_MUTES = 5
_WRONG = "wrong:"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who came, or asks to be let in, as they were told of. Accounts are ids on the space's platform."""

    space: str
    """As in ``core.people.spaces.space_id``."""
    arrival: str
    """``Arrival.update``: another one is another arrival."""
    conversation: ConversationKey
    account: str
    at: float
    """Unix seconds."""
    by: str = ""
    """Account of who brought them, if anybody did."""
    is_request: bool = False
    """They are not in yet."""
    private_chat: str = ""
    """Where those can be asked."""
    language: str = ""
    seed: str = ""
    """What the order of the answers is made of; nobody can guess it."""

    @property
    def id(self) -> str:
        """The same for every arrival of somebody in a space."""
        return newcomer_id(self.space, self.account)


@dataclass(frozen=True, slots=True)
class Progress:
    """A newcomer, and how far they are."""

    newcomer: Newcomer
    mutes: tuple[int, ...] = ()
    """Numbers of the cases that keep them silent: the newest is this arrival's."""
    is_silenced: bool = False
    """That one was ordered."""
    asked: str = ""
    """Where they were asked (``Enforcer.ask``); empty: not yet."""
    note: str = ""
    """Where they were told how they can be asked."""
    answers: int = 0
    """Buttons that they can press."""
    right: int = 0
    """Which of them is the right one."""
    until: float = 0.0
    """Unix seconds at which their time is over."""
    failures: int = 0
    """How often they could not be asked."""
    wrong: int = 0
    """Different wrong answers that they gave."""
    is_extended: bool = False
    """They were given more time, since we were away when theirs was over."""
    has_passed: bool = False
    has_left: bool = False
    is_over: bool = False
    """Nothing is left to be done."""


def newcomer_id(space: str, account: str) -> str:
    """16 characters of 0-9a-f."""
    return _digest(f"{space} {account}")


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class Newcomers:
    """All of them. Doing anything twice is doing it once. Every method raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, newcomer: Newcomer) -> Progress:
        """How far this arrival is: it may have been told before. Who was let in by their request has just come by it,
        and is not asked again."""
        name = keys.newcomer(newcomer.id)
        found = await self._found(name)
        known, is_in = _read(found), not newcomer.is_request
        if known is not None:
            came_by_request = known.newcomer.is_request and known.has_passed and is_in
            if known.newcomer.arrival == newcomer.arrival or came_by_request:
                return known
        elif found.get("over") == _digest(newcomer.arrival) or ("let_in" in found and is_in):
            return Progress(newcomer, is_over=True)
        # What kept them silent before may have outlived their leaving.
        mutes = _numbers(found)[-MOST_MUTES:]
        fields = {"who": _written(newcomer), "mutes": _listed(mutes)}

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.delete(name)
            pipe.hset(name, mapping=fields)
            pipe.expire(name, KEEP_SECONDS)
            await pipe.execute()

        await self._store.attempt(work)
        return Progress(newcomer, mutes)

    async def get(self, id: str) -> Progress | None:
        """None for nobody, and for whom nothing is left to be done with."""
        return _read(await self._found(keys.newcomer(id)))

    async def close(self, one: Progress) -> None:
        """Nothing is left to be done: from then on nobody can be recognised by what is kept."""
        name, fields = keys.newcomer(one.newcomer.id), {"over": _digest(one.newcomer.arrival)}
        fields |= {"mutes": _listed(one.mutes)} if one.mutes else {}
        fields |= {"let_in": "1"} if one.newcomer.is_request and one.has_passed else {}

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.delete(name)
            pipe.hset(name, mapping=fields)
            pipe.expire(name, KEEP_SECONDS)
            await pipe.execute()

        await self._store.attempt(work)

    async def _found(self, name: str) -> dict[str, str]:
        return await self._store.attempt(lambda: self._store.redis.hgetall(name))

    async def put(self, id: str, **fields: str | int | float) -> None:
        """Changes fields of :class:`Progress`."""
        name = keys.newcomer(id)

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.hset(name, mapping=fields)
            pipe.expire(name, KEEP_SECONDS)
            await pipe.execute()

        await self._store.attempt(work)

    async def silenced(self, one: Progress, number: int) -> Progress:
        """A case keeps them silent."""
        mutes = (*one.mutes, number) if number not in one.mutes else one.mutes
        await self.put(one.newcomer.id, mutes=_listed(mutes), is_silenced=1)
        return replace(one, mutes=mutes, is_silenced=True)

    async def mistook(self, id: str, answer: int) -> None:
        """They gave a wrong answer; the same one again is no other."""
        await self.put(id, **{f"{_WRONG}{answer}": 1})

    async def count(self, space: str, account: str, at: float, seconds: int) -> list[float]:
        """Notes that somebody came; when each did who came in the ``seconds`` before (unix seconds), them included."""
        name = keys.joins(space)

        async def work() -> list[tuple[str, float]]:
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.zadd(name, {account: at})
            pipe.zremrangebyscore(name, "-inf", time.time() - seconds)
            pipe.expire(name, seconds)
            pipe.zrange(name, 0, -1, withscores=True)
            return (await pipe.execute())[-1]

        return [when for _, when in await self._store.attempt(work)]


def _listed(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))


def _written(newcomer: Newcomer) -> str:
    values: dict[str, Any] = {name: getattr(newcomer, name) for name in Newcomer.__slots__}
    return json.dumps(values | {"conversation": str(newcomer.conversation)}, ensure_ascii=False)


def _numbers(found: Mapping[str, str]) -> tuple[int, ...]:
    return tuple(map(int, found.get("mutes", "").split()))


def _read(found: Mapping[str, str]) -> Progress | None:
    """None where nobody is under way, and for what cannot be read: nobody is held up by that."""
    try:
        return _parsed(found) if "who" in found else None
    except (ValueError, KeyError, TypeError) as error:
        log.warning("a newcomer cannot be read", cause=type(error).__name__)
        return None


def _parsed(found: Mapping[str, str]) -> Progress:
    who: dict[str, Any] = json.loads(found["who"])
    who["conversation"] = ConversationKey.parse(who["conversation"])
    numbers = {name: int(found.get(name, 0)) for name in ("answers", "right", "failures")}
    flags = {name: name in found for name in ("is_silenced", "is_extended", "has_passed", "has_left")}
    return Progress(
        Newcomer(**{name: value for name, value in who.items() if name in Newcomer.__slots__}),
        _numbers(found),
        asked=found.get("asked", ""),
        note=found.get("note", ""),
        until=float(found.get("until", 0)),
        wrong=sum(name.startswith(_WRONG) for name in found),
        **numbers,
        **flags,
    )
