"""Erasing all of a person, once they have confirmed it. It may be broken off at any moment and gone on with."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from core.conversation.history import History
from core.message import CommandCall
from core.people import tidying
from core.people.chosen import Profile
from core.people.community import Community
from core.people.identity import Person
from core.people.privacy import Subject
from core.people.sources import privacy
from core.storage import keys
from core.storage.client import Store

CODE_SECONDS = 600
"""For so long a confirmation is waited for."""
KEPT_SECONDS = 86400
"""For so long a try that was broken off can be gone on with under the same code."""
LONGEST_CODE = 32
LOOK_SECONDS = 20
"""Between two looks through everything for one account: it costs more than a question, and no limit is put on it by the
settings, since everybody may always have it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was removed."""

    counts: Mapping[str, int]
    """Source -> how many."""
    at: datetime
    still_barred: bool
    """They are shut out, or may do or spend less than others, so their accounts stay known as that."""


class Erasures:
    """All requests. Every method raises StorageError."""

    def __init__(self, community: Community, history: History) -> None:
        self._community = community
        self._store: Store = community.store
        self._history = history

    async def may_look(self, account: str, call: CommandCall, why: str) -> bool:
        """Whether all may be looked through for this account: once in :data:`LOOK_SECONDS` for each purpose, and again
        for the same call, which another process may have taken over."""
        # By a digest, so that it outlives the erasing of all that is named after the account.
        key, redis = keys.recently(f"privacy:{why}:{_digest(f'look{account}')}"), self._store.redis
        if await self._store.attempt(lambda: redis.set(key, call.id, nx=True, ex=LOOK_SECONDS)):
            return True
        return await self._store.attempt(lambda: redis.get(key)) == call.id

    async def ask(self, account: str) -> str:
        """A code with which this account, and no other, can confirm within :data:`CODE_SECONDS`."""
        code = secrets.token_hex(6)
        key = keys.erasure(_digest(code))

        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=True)
            pipe.hset(key, "who", _digest(code + account))
            pipe.expire(key, CODE_SECONDS)
            await pipe.execute()

        await self._store.attempt(work)
        return code

    async def run(self, code: str, call: CommandCall, person: Person, account: str) -> Receipt | None:
        """Erases everything of the person, whoever they are on other platforms. None for a code that is over, or was
        never theirs. Called again with the same code it goes on, and gives the same receipt; what was said after all
        was done stays."""
        code = code.strip().lower()[:LONGEST_CODE]
        key, redis = keys.erasure(_digest(code)), self._store.redis
        request: dict[str, str] = await self._store.attempt(lambda: redis.hgetall(key))
        if not secrets.compare_digest(request.get("who", ""), _digest(code + account)):
            return None
        if "done" in request:
            return _receipt(request)
        subject = Subject.of(person, account, alias=f"erased-{_digest('alias' + code + account)[:12]}")
        what, said = await privacy(self._community, self._history, call.conversation, call.id)
        if "begun" not in request:
            counts = await what.count(subject)
            request = {"begun": str(int(time.time())), **{name: str(count) for name, count in counts.items()}}

            async def begin() -> None:
                pipe = redis.pipeline(transaction=True)
                pipe.hset(key, mapping=request)
                pipe.expire(key, KEPT_SECONDS)
                await pipe.execute()

            await self._store.attempt(begin)
        is_barred = await Profile(self._community).bars(subject)
        # First of all, so that a crash leaves nothing behind: they are only removed when the time has come.
        own = [call.conversation] if call.private else []
        await tidying.leave(self._store, subject, own)
        await tidying.leave_used(self._store, subject, await self._community.budgets.period())
        await what.erase(subject)
        await tidying.leave(self._store, subject, said.left)
        request["done"] = str(int(is_barred))
        await self._store.attempt(lambda: redis.hset(key, "done", request["done"]))
        return _receipt(request)


def _receipt(request: Mapping[str, str]) -> Receipt:
    counts = {name: int(count) for name, count in request.items() if name not in ("who", "begun", "done")}
    at = datetime.fromtimestamp(int(request["begun"]), UTC)
    return Receipt(counts, at, still_barred=request["done"] == "1")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
