"""A conversation that goes on under another key: a group that became a supergroup.

The two keys lie in different slots, so no script can write both: the move is a row of steps, each of which may be done
again. ``begin`` makes the move durable: from then on what is posted to the old key goes to the new one, the open turn
ends to be begun anew there, and the new conversation waits for its past. The rest is done by any process: messages,
pictures and what was made are copied, and the group's book of cases, then all that waited is put before what waits
already, then the old keys go. Every message keeps an id of its own, which names the chat that it stands in: a
supergroup counts from 1 again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog

from core.conversation.preferences import FIELDS
from core.errors import EntryError, StorageError
from core.message import ConversationKey, Deletion, moved_id, relocated
from core.message_json import compact, from_json, to_json
from core.moderation.cases import space_at
from core.people.spaces import space_id
from core.storage import keys as storage_keys
from core.storage.cases import Cases
from core.storage.client import Store, conversation_keys
from core.storage.keys import ConversationKeys
from core.storage.leases import Held, Leases
from core.storage.orders import Orders
from core.storage.sealing import SealedError

log = structlog.get_logger()

TURN_SECONDS = 10.0
"""An open turn has this long to end; then whoever has it is refused."""
HOLD_SECONDS = 30.0
"""The new conversation waits no longer for its past."""
LOOK_SECONDS = 5.0
"""How often a process looks for moves that another one began."""
BUSY_SECONDS = 0.1
CHUNK = 200
"""Messages copied in one round trip."""
GREETING = "greeting"
"""The update by which a bot is asked to greet a group; one that has moved knows it already."""
MoveSpace = Callable[[str, str], Awaitable[None]]
"""Gives what is kept of a space (``core.people.spaces.space_id``) to another, however often it is told."""
_STATE = ("newest", "overflow", "busy", "forgettings", *FIELDS)


@dataclass(frozen=True, slots=True)
class _Move:
    old: ConversationKey
    new: ConversationKey

    @property
    def old_keys(self) -> ConversationKeys:
        return ConversationKeys.of(self.old)

    @property
    def new_keys(self) -> ConversationKeys:
        return ConversationKeys.of(self.new)


class Mover:
    """Moves conversations. One per process."""

    def __init__(self, store: Store, leases: Leases, cases: Cases, *others: MoveSpace, keep_days: int) -> None:
        """``cases`` are those of the spaces, which move along, and so does what the ``others`` move."""
        self._store = store
        self._leases = leases
        self._cases = cases
        self._others = others
        self._keep_seconds = keep_days * 86400
        self._wanted = asyncio.Event()

    async def begin(self, old: ConversationKey, new: ConversationKey) -> None:
        """Makes the move durable, however often it is told. Raises StorageError."""
        move = _Move(old, new)
        await self._store.attempt(lambda: self._store.redis.hset(storage_keys.moves(), str(old), str(new)))
        await self._mark(move)
        self._wanted.set()

    async def run(self) -> None:
        """Carries moves out, those of dead processes too, until cancelled."""
        while True:
            try:
                moves = await self._open()
            except StorageError as error:
                log.warning("moves not looked for", cause=str(error))
                moves = []
            for move in moves:
                try:
                    await self._carry_out(move)
                except StorageError as error:
                    log.warning("move not carried out", old=str(move.old), cause=str(error))
                except Exception:  # whatever it is, the rest goes on, and the new conversation does not wait for ever
                    log.exception("move failed", old=str(move.old))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), LOOK_SECONDS)
            self._wanted.clear()

    async def _open(self) -> list[_Move]:
        raw: Mapping[str, str] = await self._store.attempt(lambda: self._store.redis.hgetall(storage_keys.moves()))
        found: list[_Move] = []
        for old, new in raw.items():
            with contextlib.suppress(ValueError):  # of a newer program, on a platform that this one does not know
                found.append(_Move(ConversationKey.parse(old), ConversationKey.parse(new)))
        return found

    async def _carry_out(self, move: _Move) -> None:
        held = await self._leases.take(f"move:{move.old}")
        if held is None:
            return  # another process is at it
        try:
            if await self._mark(move):
                state, waiting = await self._take_out(move)
                if not await self._copy(move, held):
                    return
                await self._cases.move(space_at(move.old, move.old.chat), space_at(move.new, move.new.chat))
                for move_space in self._others:
                    await move_space(space_id(move.old, move.old.chat), space_id(move.new, move.new.chat))
                await Orders(self._store).move_shown(move.old, move.new)
                await self._put_in(move, state, waiting)
                await self._clear(move)
                log.info("conversation moved", old=str(move.old), new=str(move.new), waiting=len(waiting))
            await self._store.attempt(lambda: self._store.redis.hdel(storage_keys.moves(), str(move.old)))
        finally:
            await held.release()

    # ---- steps

    async def _mark(self, move: _Move) -> bool:
        """Directs what comes in to the new conversation, and has that one wait. False when all of it is done."""
        old, new = move.old_keys, move.new_keys
        begun = await self._store.run("move_begin", conversation_keys(old), (old.name, new.name, self._keep_seconds))
        if begun == "done":
            return False
        hold = (new.name, old.name, int(HOLD_SECONDS * 1000), self._keep_seconds, storage_keys.SEEN_SECONDS)
        await self._store.run("move_hold", conversation_keys(new, seen=new.seen(GREETING)), hold)
        return True

    async def _take_out(self, move: _Move) -> tuple[Sequence[str | None], list[str]]:
        """The old state and what waits in the old mailbox, once its open turn has ended."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TURN_SECONDS
        while True:
            late = int(loop.time() > until)
            reply = await self._store.run("move_out", conversation_keys(move.old_keys), (late, *_STATE))
            if reply != "busy":
                return reply[0], list(reply[1])
            await asyncio.sleep(BUSY_SECONDS)

    async def _copy(self, move: _Move, held: Held) -> bool:
        """The messages. What is there already stays as it is. False when another process may have gone on."""
        redis, old, new, chat = self._store.redis, move.old_keys, move.new_keys, move.old.chat
        cursor = 0
        while held.is_ours:
            cursor, found = await self._store.attempt(lambda at=cursor: redis.hscan(old.tree, at, count=CHUNK))
            await self._copy_pictures(move, found.values())
            nodes = [self._node(move, field, value) for field, value in found.items()]
            await self._put(new.tree, [("HSETNX", new.tree, field, value) for field, value in nodes])
            if cursor == 0:
                times = await self._store.attempt(lambda: redis.zrange(old.order, 0, -1, withscores=True))
                for at in range(0, len(times), CHUNK):
                    some = [("ZADD", new.order, "NX", when, moved_id(id, chat)) for id, when in times[at : at + CHUNK]]
                    await self._put(new.order, some)
                return True
        return False

    async def _put(self, key: str, commands: Sequence[tuple[Any, ...]]) -> None:
        async def work() -> None:
            pipe = self._store.redis.pipeline(transaction=False)
            for command in commands:
                pipe.execute_command(*command)
            pipe.expire(key, self._keep_seconds)
            await pipe.execute()

        if commands:
            await self._store.attempt(work)

    async def _copy_pictures(self, move: _Move, payloads: Any) -> None:
        redis, life = self._store.redis, storage_keys.BLOB_SECONDS
        for digest in {digest for value in payloads for digest in _pictures(value)}:
            there, here = move.old_keys.blob(digest), move.new_keys.blob(digest)
            data: str | None = await self._store.attempt(lambda key=there: redis.get(key))
            if data is not None:
                data = self._resealed(move, data)
                await self._store.attempt(lambda key=here, what=data: redis.set(key, what, ex=life))
                await self._store.attempt(lambda key=there: redis.delete(key))

    async def _put_in(self, move: _Move, state: Sequence[str | None], waiting: Sequence[str]) -> None:
        new = move.new_keys
        fields: list[str] = []
        for name, value in zip(_STATE, state, strict=True):
            if value is not None:
                fields += [name, moved_id(value, move.old.chat) if name == "newest" else value]
        entries = [self._entry(move, raw) for raw in waiting]
        values = (new.name, str(move.old), move.new.chat, self._keep_seconds, len(fields) // 2, *fields, *entries)
        await self._store.run("move_in", conversation_keys(new), values)

    def _entry(self, move: _Move, raw: str) -> str:
        """A waiting entry under its new name, sealed for that. One that cannot be opened tells its author so there."""
        texts = self._store.texts
        try:
            opened = texts.open_json(raw, str(move.old))
        except SealedError:
            return raw
        return texts.seal_json(_entry(opened, move.new), str(move.new))

    def _node(self, move: _Move, field: str, value: str) -> tuple[str, str]:
        texts, (head, tab, payload) = self._store.texts, value.rpartition("\t")
        if field.startswith("~"):
            value = self._resealed(move, value)
        elif tab:
            value = head + tab + texts.read_json(payload, str(move.old))
        name, value = _node(field, value, move.old.chat)
        head, tab, payload = value.rpartition("\t")
        is_said = bool(tab) and not field.startswith("~")
        return name, head + tab + texts.seal_json(payload, str(move.new)) if is_said else value

    def _resealed(self, move: _Move, text: str) -> str:
        """A text that is whole, sealed for where it goes."""
        return self._store.texts.seal(self._store.texts.read(text, str(move.old)), str(move.new))

    async def _clear(self, move: _Move) -> None:
        await self._store.run("move_end", conversation_keys(move.old_keys), (self._keep_seconds, *_STATE))


def _entry(raw: str, to: ConversationKey) -> str:
    """A waiting entry under its new name; one that cannot be read as it is, so that its author is told."""
    mark = raw[: raw.startswith("!")]
    try:
        value = from_json(raw.removeprefix("!"))
    except EntryError:
        return raw
    return raw if isinstance(value, Deletion) else mark + to_json(relocated(value, to))


def _node(field: str, value: str, chat: str) -> tuple[str, str]:
    """A field of the tree (``core/storage/keys.py``) under its new name. The pages of an answer are left out: its
    messages cannot be edited from the new chat."""
    mark = field[0] if field[0] in "@~" else ""
    name = mark + moved_id(field.removeprefix(mark), chat)
    if mark:
        return name, moved_id(value, chat) if mark == "@" else value
    if value.startswith("="):
        return name, "=" + moved_id(value[1:], chat)
    parent, tab, rest = value.partition("\t")
    sums, last, payload = rest.rpartition("\t")
    return name, "".join((moved_id(parent, chat), tab, sums, last, _payload(payload, chat)))


def _payload(payload: str, chat: str) -> str:
    values = _values(payload)
    if not values:
        return payload
    values.pop("pages", None)
    if quote := values.get("quote"):
        quote["message_id"] = moved_id(quote["message_id"], chat)
    return compact(values)


def _pictures(node: str) -> Sequence[str]:
    """Digests of the pictures that a field of the tree speaks of."""
    return _values(node.rpartition("\t")[2]).get("images", ()) if '"images":' in node else ()


def _values(payload: str) -> dict[str, Any]:
    """Empty for what has none: what was forgotten, and what is damaged."""
    try:
        values: Any = json.loads(payload or "{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", values) if isinstance(values, dict) else {}
