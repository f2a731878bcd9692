"""What is noted about a person besides what they said: votes, cases, what failed, traces of all kinds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from core.errors import EntryError
from core.message import ConversationKey, Deletion, Message
from core.message_json import from_json, to_json
from core.moderation.cases import Case, CaseKind
from core.moderation.evidence import said_before
from core.people.broadcasts import Broadcast
from core.people.privacy import File, Subject, readable
from core.storage import keys
from core.storage.cases import Cases
from core.storage.client import Store
from core.storage.failed import DeadLetters, Letter
from core.storage.records import Records
from core.storage.scanning import fields_of, scan


@dataclass(frozen=True, slots=True)
class Letters:
    """What of theirs could not be answered and waits for the owner; quotes of theirs in others'."""

    store: Store
    keep_days: int
    name: str = "letters"

    async def count(self, subject: Subject) -> int:
        return len([letter async for letter, is_theirs in self._find(subject) if is_theirs])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        found = [letter.entry async for letter, is_theirs in self._find(subject) if is_theirs]
        if told := [told for entry in found if (told := _told(entry))]:
            yield File("not-answered.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        letters = self._letters
        for letter, is_theirs in [found async for found in self._find(subject)]:
            if is_theirs:
                await letters.drop(letter.id)
            elif cleaned := _unquoted(letter.entry):
                key = keys.letter(int(letter.id[0], 16), letter.id)
                text = self.store.texts.seal_json(cleaned, letter.conversation)
                await self.store.attempt(lambda key=key, text=text: self.store.redis.hset(key, "entry", text))

    @property
    def _letters(self) -> DeadLetters:
        return DeadLetters(self.store, keep_days=self.keep_days)

    async def _find(self, subject: Subject) -> AsyncIterator[tuple[Letter, bool]]:
        """Letters, and whether they are theirs; otherwise they quote them."""
        for id in await self._letters.ids():
            letter = await self._letters.get(id)
            if letter is None:
                continue
            platform = letter.conversation.partition(":")[0]
            ids = subject.ids(platform)
            try:
                incoming = from_json(letter.entry.removeprefix("!"))
            except EntryError:
                # A damaged one, or a job: only its words tell whose it may be.
                if subject.is_named(letter.entry):
                    yield letter, True
                continue
            if isinstance(incoming, Deletion):
                continue
            if incoming.author.id in ids:
                yield letter, True
            elif incoming.quote and incoming.quote.author_id in ids:
                yield letter, False


def _told(entry: str) -> dict[str, Any]:
    """What they wrote or called, without what it quotes and without tokens; empty for what cannot be read."""
    try:
        incoming = from_json(entry.removeprefix("!"))
    except EntryError:
        return {}
    if isinstance(incoming, Deletion):
        return {}
    told: dict[str, Any] = {"at": datetime.fromtimestamp(incoming.sent_at, UTC).isoformat()}
    if isinstance(incoming, Message):
        return {**told, "text": incoming.text, "files": [file.name for file in incoming.attachments if not file.quoted]}
    # An own API key is never shown again.
    options = {} if incoming.name.partition(" ")[0] == "key" else dict(incoming.options)
    return {**told, "command": incoming.name, "options": options}


def _unquoted(entry: str) -> str:
    mark = "!" if entry.startswith("!") else ""
    try:
        incoming = from_json(entry.removeprefix("!"))
    except EntryError:
        return ""
    return "" if isinstance(incoming, Deletion) else mark + to_json(replace(incoming, quote=None))


@dataclass(frozen=True, slots=True)
class Votes:
    """What they thought of answers. The counts of votes stay: nobody can tell whose they were."""

    store: Store
    name: str = "votes"

    async def count(self, subject: Subject) -> int:
        return sum([len(fields) async for _, fields in self._find(subject)])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told: list[dict[str, str]] = []
        async for conversation, fields in self._find(subject):
            for field, vote in fields.items():
                _, verdict, model = vote.split("\t", 2)
                told.append(
                    {"in": str(conversation), "answer": field.partition("\t")[0], "vote": verdict, "model": model}
                )
        if told:
            yield File("votes.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        async for conversation, fields in self._find(subject):
            key = keys.ConversationKeys.of(conversation).votes
            await self.store.attempt(lambda key=key, gone=tuple(fields): self.store.redis.hdel(key, *gone))

    async def _find(self, subject: Subject) -> AsyncIterator[tuple[ConversationKey, dict[str, str]]]:
        for key in await scan(self.store, "parley:{??}:votes:*"):
            conversation = _parsed(key.partition(":votes:")[2])
            if conversation is None or not (ids := subject.ids(conversation.platform)):
                continue
            voters = {hashlib.sha256(f"{conversation.bot}:{id}".encode()).hexdigest()[:16] for id in ids}
            found: dict[str, str] = await self.store.attempt(lambda key=key: self.store.redis.hgetall(key))
            theirs = {field: vote for field, vote in found.items() if field.partition("\t")[2] in voters}
            if theirs:
                yield conversation, theirs


@dataclass(frozen=True, slots=True)
class CaseBooks:
    """What moderators noted about them, and what they noted or reported themselves. The cases stay: without name,
    account, or what they wrote."""

    store: Store
    name: str = "cases"

    async def count(self, subject: Subject) -> int:
        return len([case async for _, case in self._find(subject, _is_about)])

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told: list[dict[str, Any]] = []
        async for space, case in self._find(subject, _is_about):
            values = {"space": space, "number": case.number, **asdict(case)}
            ids = subject.ids(space.partition(":")[0])
            # Who warned or reported somebody is never told to them, nor what a report says; and to who reported nothing
            # of somebody else.
            hidden = ("actor", "actor_name") if case.account in ids else ("account", "name", "evidence", "messages")
            # What was before may hold words of others, and edits names.
            hidden += ("before", "edits", "act")
            hidden += ("reason",) if case.account in ids and case.kind is CaseKind.REPORT else ()
            told.append({name: value for name, value in values.items() if name not in hidden})
        if told:
            yield File("cases.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        redis, cases = self.store.redis, Cases(self.store, keep_days=1)
        for space, case in [found async for found in self._find(subject, _is_in)]:
            book, ids = keys.CaseKeys(space), subject.ids(space.partition(":")[0])
            changed = await cases.change(space, case.number, partial(_anonymous, ids=ids, alias=subject.alias))
            if case.account in ids and changed is not None:
                left = int(await self.store.attempt(lambda book=book: redis.ttl(book.cases)))
                await self._list(book.of(subject.alias), case, max(1, left))
            for id in ids:
                await self.store.attempt(lambda book=book, id=id: redis.delete(book.of(id)))
        for key in await scan(self.store, "parley:cases:*"):
            if subject.is_named(key.partition("}")[2]):
                await self.store.attempt(lambda key=key: redis.unlink(key))

    async def _list(self, name: str, case: Case, seconds: int) -> None:
        async def put() -> None:
            pipe = self.store.redis.pipeline(transaction=True)
            pipe.zadd(name, {str(case.number): case.at * 1e6})
            pipe.expire(name, seconds)
            await pipe.execute()

        await self.store.attempt(put)

    async def _find(
        self, subject: Subject, is_found: Callable[[Case, frozenset[str]], bool]
    ) -> AsyncIterator[tuple[str, Case]]:
        for key in await scan(self.store, "parley:cases:{*}"):
            space = key[len("parley:cases:{") : -1]
            if not (ids := subject.ids(space.partition(":")[0])):
                continue
            async for number, text in fields_of(self.store, key):
                with suppress(ValueError, KeyError, TypeError):
                    case = Case.from_json(text, int(number)) if number.isdecimal() else None
                    if case is not None and is_found(case, ids):
                        yield space, case


def _is_about(case: Case, ids: frozenset[str]) -> bool:
    return case.account in ids or case.actor in ids


def _is_in(case: Case, ids: frozenset[str]) -> bool:
    """Whether it says anything of somebody: also what they wrote among others, or that they edited the reason."""
    if _is_about(case, ids) or any(edit.by in ids for edit in case.edits):
        return True
    return any(said.account in ids for said in said_before(case.before or {}).values())


def _anonymous(case: Case, ids: frozenset[str], alias: str) -> Case:
    theirs = {id for id, said in said_before(case.before or {}).items() if said.account in ids}
    if theirs and case.before is not None:
        case = replace(case, before={id: text for id, text in case.before.items() if id not in theirs})
    if case.account in ids:
        case = case.anonymous(alias)
    edits = tuple(replace(edit, by=alias, by_name="", reason="") if edit.by in ids else edit for edit in case.edits)
    case = replace(case, edits=edits)
    return replace(case, actor=alias, actor_name="", reason="") if case.actor in ids else case


@dataclass(frozen=True, slots=True)
class Traces:
    """What is kept for minutes or days so that the bot works: forms and inline questions that are still open, hints
    that were given once, who asked for an announcement. It is named after the account, or says its id."""

    store: Store
    broadcasts: Records[Broadcast]
    name: str = "traces"

    async def count(self, subject: Subject) -> int:
        """They are not told of: nobody would know what they are."""
        return 0

    async def export(self, subject: Subject) -> AsyncIterator[File]:
        told: list[Any] = []
        for key, text in await self._strings(keys.form("*", "*")):
            if subject.is_named(key) and (form := _told(self.store.texts.read_json(text, key))):
                told.append(form)
        for key, text in await self._strings(keys.inline_question("*", "*")):
            if subject.is_named(text):
                question = json.loads(self.store.texts.read_json(text, key.split(":")[2]))
                told.append({"text": question["text"], "model": question["model"]})
        if told:
            yield File("begun.json", readable(told))

    async def erase(self, subject: Subject) -> None:
        redis = self.store.redis
        for account in subject.accounts:
            if code := await self.store.attempt(lambda account=account: redis.get(keys.link_issued(account))):
                await self.store.attempt(lambda code=code: redis.unlink(keys.link_code(code)))
        for key in await scan(self.store, "parley:*"):
            if ELSEWHERE.match(key):
                continue
            if subject.is_named(key) or (TELLING.match(key) and await self._says(key, subject)):
                await self.store.attempt(lambda key=key: redis.unlink(key))
        for id in await self.broadcasts.ids():
            asked = (await self.broadcasts.fresh(id)).value
            if asked.by in subject.accounts or subject.is_named(asked.tell):
                await self.broadcasts.change(id, lambda value: value.model_copy(update={"by": "", "tell": ""}))
        for key in await scan(self.store, "parley:{??}:notes:*"):
            told: list[str] = await self.store.attempt(lambda key=key: redis.lrange(key, 0, -1))
            for text in filter(subject.is_named, told):
                await self.store.attempt(lambda key=key, text=text: redis.lrem(key, 0, text))
        for key in await scan(self.store, keys.sightings("*")):
            said: list[tuple[str, dict[str, str]]] = await self.store.attempt(lambda key=key: redis.xrange(key))
            if gone := [id for id, fields in said if any(map(subject.is_named, fields.values()))]:
                await self.store.attempt(lambda key=key, gone=gone: redis.xdel(key, *gone))

    async def _strings(self, pattern: str) -> list[tuple[str, str]]:
        names = await scan(self.store, pattern)
        kept = [await self.store.attempt(lambda name=name: self.store.redis.get(name)) for name in names]
        return [(name, text) for name, text in zip(names, kept, strict=True) if text]

    async def _says(self, key: str, subject: Subject) -> bool:
        text: str | None = await self.store.attempt(lambda: self.store.redis.get(key))
        return text is not None and subject.is_named(text)


ELSEWHERE = re.compile(
    r"parley:(\{[0-9a-f]{2}\}|web|cases|watched|documents|\{documents\}|\{people\}:(record|changes|tries)|"
    r"\{spaces\}|\{personas\}|\{budget\}|\{tidying\}):"
)
"""What other sources are for."""
TELLING = re.compile(r"parley:(memory|inline|form|proposal):")
"""Strings in which an account's id may stand."""


def _parsed(name: str) -> ConversationKey | None:
    with suppress(ValueError):
        return ConversationKey.parse(name)
    return None
