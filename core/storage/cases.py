"""The books of cases: one for each space, with numbers of its own. All keys of a book lie in one slot."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace

import structlog

from core.message import moved_id
from core.moderation.cases import Case
from core.storage import keys
from core.storage.client import Store

log = structlog.get_logger()

LISTED = 20
"""Cases of a person that are looked at."""
LOOKED_AT = 200
"""Cases about one person or place among which what is in force is looked for."""
MOST_CASES = 10_000
"""Of one space; the oldest go first."""
MANY_SECONDS = 3600
"""Within which only so many cases of a kind may be made by one person, where there is a limit."""
CHUNK = 200
"""Cases moved in one round trip."""
LAST = "last"
"""The field of the cases with the number of the newest."""
CHOICE_SECONDS = 400 * 86400
"""What was chosen for a space is kept for so long after it was last of use."""


class Cases:
    """All spaces' books. Every method raises StorageError."""

    def __init__(self, store: Store, *, keep_days: int) -> None:
        self._store = store
        self._keep_seconds = keep_days * 86400

    async def make(self, space: str, case: Case, key: str, *, most: int = 0) -> int:
        """Writes a case into the space's book; its number. The same ``key`` again gives the same case.

        0 when its actor has made ``most`` cases of its kind there within an hour; 0 of them is no limit.
        """
        book = keys.CaseKeys(space)
        names = [book.cases, book.order, book.of(case.account), book.made(key), book.many(case.kind, case.actor)]
        arguments = (
            case.to_json(),
            self._keep_seconds,
            MOST_CASES,
            keys.SEEN_SECONDS,
            most,
            MANY_SECONDS,
        )
        return int(await self._store.run("case", names, arguments))

    async def of(self, space: str, account: str) -> tuple[int, list[Case]]:
        """How many cases there are about somebody, and the newest of them, newest first."""
        book = keys.CaseKeys(space)

        async def numbers() -> tuple[int, list[str]]:
            pipe = self._store.redis.pipeline(transaction=False)
            pipe.zremrangebyscore(book.of(account), "-inf", (time.time() - self._keep_seconds) * 1e6)
            pipe.zcard(book.of(account))
            pipe.zrevrange(book.of(account), 0, LISTED - 1)
            _, count, newest = await pipe.execute()
            return count, newest

        count, newest = await self._store.attempt(numbers)
        if not newest:
            return 0, []
        kept: list[str | None] = await self._store.attempt(lambda: self._store.redis.hmget(book.cases, newest))
        found = [_read(text, number) for text, number in zip(kept, newest, strict=True) if text]
        return count, [case for case in found if case is not None]

    async def get(self, space: str, number: int) -> Case | None:
        """The case of that number; None for none."""
        found = await self.some(space, [number])
        return found[0] if found else None

    async def some(self, space: str, numbers: Sequence[int]) -> list[Case]:
        """Those of these that there are, in their order."""
        if not numbers:
            return []
        book, names = keys.CaseKeys(space), list(map(str, numbers))
        kept: list[str | None] = await self._store.attempt(lambda: self._store.redis.hmget(book.cases, names))
        found = [_read(text, number) for text, number in zip(kept, names, strict=True) if text]
        return [case for case in found if case is not None]

    async def newest(self, space: str, about: str, most: int = LOOKED_AT) -> list[Case]:
        """The newest cases about somebody, or a place (:attr:`Case.about`), newest first."""
        name = keys.CaseKeys(space).of(about)
        numbers: list[str] = await self._store.attempt(lambda: self._store.redis.zrevrange(name, 0, most - 1))
        return await self.some(space, list(map(int, numbers)))

    async def latest(self, space: str, most: int = LOOKED_AT) -> list[Case]:
        """The newest cases of a space, newest first."""
        name = keys.CaseKeys(space).order
        numbers: list[str] = await self._store.attempt(lambda: self._store.redis.zrevrange(name, 0, most - 1))
        return await self.some(space, list(map(int, numbers)))

    async def each(self, space: str, about: str = "") -> AsyncGenerator[Case]:
        """All cases of a space, or those about somebody or a place, newest first."""
        book = keys.CaseKeys(space)
        name, at, told = book.of(about) if about else book.order, 0, set[int]()
        while True:
            numbers: list[str] = await self._store.attempt(
                lambda at=at: self._store.redis.zrevrange(name, at, at + CHUNK - 1)
            )
            for case in await self.some(space, list(map(int, numbers))):
                # New ones move the others meanwhile.
                if case.number not in told:
                    told.add(case.number)
                    yield case
            if len(numbers) < CHUNK:
                return
            at += CHUNK

    async def change(
        self, space: str, number: int, change: Callable[[Case], Case], *, member: str = "", token: str = ""
    ) -> Case | None:
        """Changes a case, whoever changes it at the same time: ``change`` may be run again. The case as it is then;
        None where there is none, or it cannot be read. With a token only whoever has that claim may
        (``core.storage.planned``): raises LeaseLost for others."""
        book = keys.CaseKeys(space)
        names = [book.cases, book.order, book.waits, book.claims, book.lines]
        while True:
            kept: str | None = await self._store.attempt(lambda: self._store.redis.hget(book.cases, str(number)))
            case = _read(kept, str(number)) if kept else None
            if kept is None or case is None:
                return None
            wanted = replace(change(case), number=number).settled()
            if wanted == case:
                return case
            arguments = ("change", number, kept, wanted.to_json(), member, token)
            if await self._store.run("planned", names, arguments) == ["1"]:
                return wanted

    async def place(self, space: str) -> str:
        """The space whose book holds the cases of this one by now: a group may have moved."""
        moved: str | None = await self._store.attempt(lambda: self._store.redis.get(keys.CaseKeys(space).moved))
        return moved or space

    async def choose_channel(self, space: str, channel: str) -> None:
        """Where reports of a space go; empty: to whoever it belongs."""
        name = keys.CaseKeys(space).choices

        async def work() -> None:
            if channel:
                await self._store.redis.set(name, channel, ex=CHOICE_SECONDS)
            else:
                await self._store.redis.delete(name)

        await self._store.attempt(work)

    async def channel(self, space: str) -> str:
        """The channel chosen, or empty."""
        name = keys.CaseKeys(space).choices
        kept: str | None = await self._store.attempt(lambda: self._store.redis.getex(name, ex=CHOICE_SECONDS))
        return kept or ""

    async def move(self, old: str, new: str) -> None:
        """Takes a space's book over into that of its new name, with its numbers; may be done again.

        Whoever makes cases there meanwhile may take some of the numbers: the old cases with these are lost.
        """
        there, here, redis = keys.CaseKeys(old), keys.CaseKeys(new), self._store.redis
        last: str | None = await self._store.attempt(lambda: redis.hget(there.cases, LAST))
        if last is None:
            return
        if not await self._store.attempt(lambda: redis.hsetnx(here.cases, LAST, last)):
            more = int(last) - int(await self._store.attempt(lambda: redis.hget(here.cases, LAST)) or 0)
            if more > 0:
                await self._store.attempt(lambda: redis.hincrby(here.cases, LAST, more))
        times: list[tuple[str, float]] = await self._store.attempt(
            lambda: redis.zrange(there.order, 0, -1, withscores=True)
        )
        accounts: set[str] = set()
        for at in range(0, len(times), CHUNK):
            accounts |= await self._copy(there, here, times[at : at + CHUNK])
        await self._copy_waiting(there, here, old, new)
        # Timers know the book by its old name.
        await self._store.attempt(lambda: redis.set(there.moved, new, ex=CHOICE_SECONDS))
        gone = [there.cases, there.order, there.waits, there.claims, there.lines]
        gone += map(there.of, (*accounts, f"#{old.rpartition(':')[2]}"))
        await self._store.attempt(lambda: redis.delete(*gone))

    async def _copy(self, there: keys.CaseKeys, here: keys.CaseKeys, times: Sequence[tuple[str, float]]) -> set[str]:
        """Some cases, by their numbers and times; whom they are about."""
        redis, numbers = self._store.redis, [number for number, _ in times]
        kept: list[str | None] = await self._store.attempt(lambda: redis.hmget(there.cases, numbers))
        texts = [_moved(text, number, here.space) for text, number in zip(kept, numbers, strict=True)]

        async def put() -> list[str | None]:
            pipe = redis.pipeline(transaction=False)
            for number, text in zip(numbers, texts, strict=True):
                if text:
                    pipe.hsetnx(here.cases, number, text)
            pipe.hmget(here.cases, numbers)
            return (await pipe.execute())[-1]

        put_there = await self._store.attempt(put)
        accounts: set[str] = set()

        async def enter() -> None:
            pipe = redis.pipeline(transaction=False)
            for (number, when), text, found in zip(times, texts, put_there, strict=True):
                case = _read(text, number) if text else None
                if case is None or found != text:
                    continue
                accounts.add(case.about)
                for name in (here.order, here.of(case.about)):
                    pipe.zadd(name, {number: when}, nx=True)
            for name in (here.cases, here.order, *map(here.of, accounts)):
                pipe.expire(name, self._keep_seconds)
            await pipe.execute()

        await self._store.attempt(enter)
        return accounts

    async def _copy_waiting(self, there: keys.CaseKeys, here: keys.CaseKeys, old: str, new: str) -> None:
        """What is still to be done; it is looked at at once."""
        redis = self._store.redis
        lines: dict[str, str] = await self._store.attempt(lambda: redis.hgetall(there.lines))
        if not lines:
            return
        chats = f"#{old.rpartition(':')[2]}", f"#{new.rpartition(':')[2]}"

        async def enter() -> None:
            pipe = redis.pipeline(transaction=True)
            for member, line in lines.items():
                since, _, about = line.partition(" ")
                pipe.hset(here.lines, member, f"{since} {chats[1] if about == chats[0] else about}")
                pipe.zadd(here.waits, {member: time.time() * 1000}, nx=True)
            for name in (here.lines, here.waits):
                pipe.expire(name, self._keep_seconds)
            await pipe.execute()

        await self._store.attempt(enter)


def _moved(text: str | None, number: str, space: str) -> str | None:
    """A case whose space goes on under this name."""
    case = _read(text, number) if text else None
    if case is None or not case.conversation:
        return text
    chat, thread = case.conversation.split(":")[2:]
    messages = tuple(moved_id(id, chat) for id in case.messages)
    return replace(case, conversation=f"{space}:{thread}", messages=messages).to_json()


def _read(text: str, number: str) -> Case | None:
    try:
        return Case.from_json(text, int(number))
    except (ValueError, KeyError, TypeError) as error:
        log.warning("a case cannot be read", number=number, cause=repr(error))
        return None
