"""Dead letters: what failed for good is kept with its causes, so that the owner can look, ask again or drop it.

A letter lies in its conversation's partition: the script that closes a turn keeps the letter in the same breath, and
the one that forgets a message takes its letter along. The newest 200 of a partition are kept, for 30 days at most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast

import structlog

from core.errors import EntryError, ParleyError
from core.message import CommandCall, ConversationKey, Deletion, Message, clean_text, relocated
from core.message_json import VERSION, from_json, to_json
from core.storage import keys
from core.storage.client import Store, conversation_keys, partition_keys
from core.storage.keys import ConversationKeys
from core.storage.sealing import SealedError

log = structlog.get_logger()

DAYS = 30
"""A letter is kept so long, or as long as a conversation's history where that is less."""
MAX_CAUSES = 8
MAX_CAUSE = 200
"""Characters of one cause."""
WORDS = 60
"""Characters of a message that a list shows."""

Enqueue = Callable[[str, str, str], Awaitable[None]]
"""Puts a job into its queue: name, id, argument."""
_ID = re.compile(r"[0-9a-f][0-9]{1,12}")


class Kind(StrEnum):
    """What it was that failed."""

    TURN = "turn"
    """Given up: every worker that took it died of it or failed."""
    ENTRY = "entry"
    """A waiting entry that cannot be read."""
    DELIVERY = "delivery"
    """The platform took no more."""
    MODEL = "model"
    """Every model call failed."""
    JOB = "job"
    """A job whose last try failed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something is given up. ``causes`` are short texts without secrets, oldest first."""

    kind: Kind
    causes: tuple[str, ...]


def cause_of(error: BaseException) -> str:
    """An error as a cause, in one line. Only our own speak: others' texts may hold addresses with tokens in them."""
    text = " ".join(str(error).split())[:MAX_CAUSE] if isinstance(error, ParleyError) else ""
    return text or type(error).__name__


def arguments(failure: Failure | None, keep_days: int) -> tuple[str, str, int, int]:
    """What a script is told of a failure: kind (empty for none), causes, seconds to keep the letter, its version."""
    seconds = min(DAYS, keep_days) * 86400
    if failure is None:
        return "", "", seconds, VERSION
    causes = [clean_text(cause[:MAX_CAUSE]) for cause in failure.causes[-MAX_CAUSES:]]
    return failure.kind, json.dumps(causes, ensure_ascii=False), seconds, VERSION


def tell(failure: Failure, subject: str) -> None:
    """The operator's log line about a new dead letter. ``subject`` is the turn's or the job's id."""
    log.error("dead letter", kind=str(failure.kind), subject=subject, causes=list(failure.causes[-MAX_CAUSES:]))


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter."""

    id: str
    """Short and easily said; means this letter only."""
    kind: str
    conversation: str
    """Its conversation's name; empty for a job."""
    entry: str
    """JSON of the incoming value as it waited, or of the job."""
    causes: tuple[str, ...]
    at: float
    """Unix seconds."""

    @property
    def when(self) -> str:
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M UTC")

    @property
    def where(self) -> str:
        """Platform and place, as far as they are known."""
        platform = self.conversation.partition(":")[0]
        return ", ".join(filter(None, (platform, _text(_values(self.entry), "place"))))

    @property
    def what(self) -> str:
        """The first words: of the message, or the command or job with its argument."""
        values = _values(self.entry)
        options: object = values.get("options")
        argument = " ".join(map(str, cast("dict[str, Any]", options).values())) if isinstance(options, dict) else ""
        name = f"/{_text(values, 'name')}" if values.get("type") == "call" else _text(values, "name")
        words = " ".join(f"{name} {argument} {_text(values, 'text')} {_text(values, 'argument')}".split())
        return words if len(words) <= WORDS else f"{words[:WORDS]}…"

    @property
    def why(self) -> str:
        return ": ".join(filter(None, (self.kind, "; ".join(self.causes[-1:]))))


class Retried(StrEnum):
    """What came of asking again."""

    RETRIED = "retried"
    GONE = "gone"
    """There is no such letter."""
    UNREADABLE = "unreadable"
    """This program cannot read it; it is kept for one that can."""
    UNREPEATABLE = "unrepeatable"
    """Its answer was for one person's eyes, and the way to show it so is gone. It is kept."""
    ELSEWHERE = "elsewhere"
    """A job: only a process that runs jobs can put it back. It is kept."""


class DeadLetters:
    """All partitions' letters. Every method raises StorageError."""

    def __init__(self, store: Store, *, keep_days: int, enqueue: Enqueue | None = None) -> None:
        """``enqueue`` puts a job back into its queue; without it jobs are not retried here."""
        self._store = store
        self._keep_days = keep_days
        self._enqueue = enqueue

    async def keep_job(self, name: str, id: str, argument: str, causes: Sequence[str]) -> None:
        """Keeps a job that has failed its last try, once for each ``id``, and tells the operator."""
        failure = Failure(Kind.JOB, tuple(causes))
        entry = json.dumps({"type": "job", "name": name, "argument": argument}, ensure_ascii=False)
        subject = f"job/{id}"
        kind, texts, seconds, version = arguments(failure, self._keep_days)
        values = (subject, "", entry, kind, texts, seconds, version)
        await self._store.run("failed_keep", partition_keys(keys.partition_of(id)), values)
        tell(failure, subject)

    async def newest(self, most: int) -> tuple[int, list[Letter]]:
        """How many letters there are, and the newest of them, newest first; ``most`` is at most 200."""
        total, letters = 0, list[Letter]()
        calls = [(partition_keys(partition), (most,)) for partition in range(keys.PARTITIONS)]
        for reply in await self._store.run_many("failed_list", calls):
            count, *found = reply
            total += int(count)
            letters += [self._letter(id, fields) for id, fields in zip(found[::2], found[1::2], strict=True)]
        letters.sort(key=lambda letter: letter.at, reverse=True)
        return total, letters[:most]

    async def ids(self) -> list[str]:
        """Of all letters, oldest first."""

        async def work() -> list[list[tuple[str, float]]]:
            pipe = self._store.redis.pipeline(transaction=False)
            for partition in range(keys.PARTITIONS):
                pipe.zrange(keys.failed(partition), 0, -1, withscores=True)
            return await pipe.execute()

        members = [member for found in await self._store.attempt(work) for member in found]
        return [member.partition("\t")[0] for member, _ in sorted(members, key=lambda member: member[1])]

    async def get(self, id: str) -> Letter | None:
        """The letter, or None for an id that has none."""
        if not _ID.fullmatch(id):
            return None
        key = keys.letter(int(id[0], 16), id)
        fields: dict[str, str] = await self._store.attempt(lambda: self._store.redis.hgetall(key))
        return self._letter(id, [text for field in fields.items() for text in field]) if fields else None

    async def drop(self, id: str) -> bool:
        """Removes a letter for good; whether there was one."""
        if not _ID.fullmatch(id):
            return False
        return bool(await self._store.run("failed_drop", partition_keys(int(id[0], 16)), (id,)))

    async def retry(self, id: str, is_repeatable: Callable[[CommandCall], bool]) -> Retried:
        """Asks again and removes the letter. Twice at once asks once.

        ``is_repeatable`` tells whether a call's answer may be shown like an answer to a message: the way by which
        the platform showed it to the asker alone ends with the call.
        """
        letter = await self.get(id)
        if letter is None:
            return Retried.GONE
        if letter.kind == Kind.JOB:
            return await self._retry_job(letter)
        try:
            incoming = from_json(self._store.texts.open_json(letter.entry.removeprefix("!"), letter.conversation))
        except (EntryError, SealedError):
            return Retried.UNREADABLE
        if isinstance(incoming, Deletion):
            return Retried.UNREADABLE
        # A delivery of its own: as the one that failed it would be refused as seen.
        update = f"retry-{id}"
        if isinstance(incoming, CommandCall):
            if not is_repeatable(incoming):
                return Retried.UNREPEATABLE
            incoming = replace(incoming, update=update, reply_token="")
        else:
            incoming = replace(incoming, update=update)
        reply = await self._post(id, incoming)
        if reply.startswith("moved "):
            reply = await self._post("", relocated(incoming, ConversationKey.parse(reply[6:])))
            await self.drop(id)
        return Retried(reply)

    async def _post(self, id: str, incoming: Message | CommandCall) -> str:
        place = ConversationKeys.of(incoming.conversation)
        entry = self._store.texts.seal_json(to_json(incoming), place.name)
        values = (id, place.name, entry, incoming.space, keys.SEEN_SECONDS)
        return await self._store.run("failed_retry", conversation_keys(place, seen=place.seen(incoming.update)), values)

    def _letter(self, id: str, flat: Sequence[str]) -> Letter:
        letter = _letter(id, flat)
        try:
            return replace(letter, entry=self._store.texts.open_json(letter.entry, letter.conversation))
        except SealedError:
            return letter

    async def _retry_job(self, letter: Letter) -> Retried:
        values = _values(letter.entry)
        name, argument = _text(values, "name"), _text(values, "argument")
        if self._enqueue is None:
            return Retried.ELSEWHERE
        try:
            # By the letter's id: put back twice it is the same job.
            await self._enqueue(name, f"retry/{letter.id}", argument)
        except KeyError:
            return Retried.UNREADABLE
        await self.drop(letter.id)
        return Retried.RETRIED


def _letter(id: str, flat: Sequence[str]) -> Letter:
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return Letter(
        id,
        fields["kind"],
        fields["conversation"],
        fields["entry"],
        tuple(json.loads(fields["causes"])),
        int(fields["at"]) / 1_000_000,
    )


def _values(entry: str) -> dict[str, Any]:
    try:
        values: Any = json.loads(entry.removeprefix("!"))
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", values) if isinstance(values, dict) else {}


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
