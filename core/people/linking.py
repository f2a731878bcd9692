"""One person, several accounts: joined by a one-time code that is given on one platform and entered on another.

Whoever enters a code does it for the account that they write from, and whoever it was given to is told. The records of
both are written at once, so accounts are linked or they are not.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import secrets
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from core.people.budgets import Budgets
from core.people.identity import Fact, People, Person, trace
from core.people.own_keys import resealed
from core.people.spaces import Allowance
from core.storage import keys
from core.storage.client import Store
from core.storage.records import PAUSE_SECONDS, TRIES, Change, Conflict, Kept
from core.storage.sealing import Sealing

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without what looks alike: 0 and O, 1, I and L."""
LENGTH = 8
CODE_SECONDS = 600
MOST_WRONG = 5
"""Wrong codes that an account may enter before it has to wait."""
WRONG_SECONDS = 600
MOST_WRONG_OF_ALL = 1000
"""The same for all accounts together, of 8·10¹¹ codes: many accounts guess no better than one."""
MOST_FACTS = 50
MOST_TRACES = 60
"""Accounts that somebody may have parted from before they can link no more."""


class Outcome(StrEnum):
    """What came of a try to link accounts or to part them."""

    DONE = "done"
    WRONG = "wrong"
    """No code that anybody was given, or not any more."""
    PAUSED = "paused"
    """Too many wrong codes."""
    SAME = "same"
    """It was given on this very platform."""
    TAKEN = "taken"
    """Both have an account on one platform: a person has one."""
    OFTEN = "often"
    """They parted from too many accounts."""
    ALONE = "alone"
    """There is no such account to part from."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Who was given a code, and where."""

    account: str
    name: str
    conversation: str
    """Where they can be told of the link in private; empty: nowhere but by a message to them."""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Linked:
    """What came of entering a code."""

    outcome: Outcome
    issued: Issued | None = None
    """Whose code it was, where it was one."""
    platform: str = ""
    """On which both have an account."""
    seconds: int = 0
    """Until the next try."""


@dataclass(frozen=True, slots=True)
class Parted:
    """What came of parting, and the account that left."""

    outcome: Outcome
    account: str = ""


def read_code(text: str) -> str:
    """A code as it was issued, from what somebody typed; empty for what cannot be one."""
    code = "".join(unicodedata.normalize("NFKC", text[:100]).upper().replace("-", " ").split())
    return code if len(code) == LENGTH and set(code) <= set(ALPHABET) else ""


def platform_of(account: str) -> str:
    return account.partition(":")[0]


class Linking:
    """Joins and parts accounts. Every method raises StorageError."""

    def __init__(self, store: Store, people: People, sealing: Sealing, budgets: Budgets) -> None:
        self._store = store
        self._people = people
        self._sealing = sealing
        self._budgets = budgets

    async def issue(self, issued: Issued) -> str:
        """A new code; the one that the account had is void."""
        while True:
            code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
            digest = _digest(code)
            names = [keys.link_code(digest), keys.link_issued(issued.account)]
            says = json.dumps(asdict(issued), ensure_ascii=False)
            if await self._store.run("link_issue", names, (CODE_SECONDS, digest, says, platform_of(issued.account))):
                return code

    async def redeem(self, account: str, code: str, attempt: str) -> Linked:
        """Links the account that a code (:func:`read_code`) was entered by. ``attempt`` names the try among all: made
        again, after a crash, it comes to the same. Raises Conflict where others change the records all the time."""
        said = await self._claim(account, code, attempt)
        if isinstance(said, Linked):
            return said
        for number in range(TRIES):
            host, guest = await self._people.fresh(said.account), await self._people.fresh(account)
            if host.id == guest.id:
                # Linked before a process died: what was spent may not have come along.
                for one in {*host.value.known_accounts} - {host.id}:
                    await self._budgets.joined(one, host.id)
                return Linked(Outcome.DONE, said)
            if platform := _shared(host.value, guest.value):
                return Linked(Outcome.TAKEN, said, platform)
            if len(host.value.was) + len(guest.value.was) > MOST_TRACES:
                return Linked(Outcome.OFTEN, said)
            guests = await self._records(guest.value.known_accounts)
            changes = [Change(host, resealed(join(host.value, guest.value), self._sealing))]
            changes += [Change(one, Person(goes_by=host.id)) for one in guests]
            if await self._people.records.write(changes) is not None:
                await self._budgets.joined(guest.id, host.id)
                return Linked(Outcome.DONE, said)
            await _pause(number)
        raise Conflict(f"{account}: changed by others {TRIES} times in a row")

    async def void(self, account: str, code: str, attempt: str) -> None:
        """A code that others have read is one no more. Nobody learns whether it was one."""
        await self._claim(account, code, attempt, void=True)

    async def part(self, account: str, leaving: str = "") -> Parted:
        """Parts an account from the others of its person: that of a platform, or with an empty text ``account`` itself.
        The rest keep all there is; the one that leaves begins anew, and is still shut out where it was. Raises Conflict
        where others change the records all the time."""
        for number in range(TRIES):
            person = await self._people.fresh(account)
            every = person.value.known_accounts
            found = [one for one in every if (platform_of(one) == leaving if leaving else one == account)]
            rest = [one for one in every if one not in found]
            if not found or not rest:
                return Parted(Outcome.ALONE)
            for one in {rest[0], found[0]} - {person.id}:
                # Before they part: there is no budget to be had by it, also if a process dies now.
                await self._budgets.parted(person.id, one)
            whole = resealed(person.value.model_copy(update={"id": rest[0]}), self._sealing)
            stays, leaves = part(whole, found[0], self._budgets.usual)
            records = await self._records(every)
            changes = [
                Change(one, leaves if one.id == found[0] else stays if one.id == rest[0] else Person(goes_by=rest[0]))
                for one in records
            ]
            if await self._people.records.write(changes) is not None:
                return Parted(Outcome.DONE, found[0])
            await _pause(number)
        raise Conflict(f"{account}: changed by others {TRIES} times in a row")

    async def _claim(self, account: str, code: str, attempt: str, *, void: bool = False) -> Issued | Linked:
        names = [keys.link_code(_digest(code)), keys.link_tries(account), keys.link_tries()]
        bounds = (MOST_WRONG, WRONG_SECONDS, MOST_WRONG_OF_ALL, WRONG_SECONDS)
        arguments = (platform_of(account), attempt, *bounds, int(void))
        reply: str = await self._store.run("link_claim", names, arguments)
        if reply.startswith("paused "):
            return Linked(Outcome.PAUSED, seconds=int(reply.removeprefix("paused ")))
        if reply in (Outcome.WRONG, Outcome.SAME):
            return Linked(Outcome(reply))
        return Issued(**json.loads(reply))

    async def _records(self, accounts: Sequence[str]) -> list[Kept[Person]]:
        return [await self._people.records.fresh(account) for account in accounts]


def join(host: Person, guest: Person) -> Person:
    """Two persons made one. What the host chose holds, facts and keys are joined, who was blocked stays so."""
    chosen = {name: getattr(host, name) or getattr(guest, name) for name in type(host).model_fields}
    extra = {**(guest.model_extra or {}), **(host.model_extra or {})}
    return host.model_copy(
        update=extra
        | chosen
        | {
            "id": host.id,
            "goes_by": "",
            "accounts": (*host.known_accounts, *guest.known_accounts),
            "facts": _joined_facts((*host.facts, *guest.facts)),
            "facts_in_groups": host.facts_in_groups and guest.facts_in_groups,
            "may_teach": host.may_teach and guest.may_teach,
            "is_out_of_mood": host.is_out_of_mood or guest.is_out_of_mood,
            "keys": {**guest.keys, **host.keys},
            "was": tuple(dict.fromkeys((*host.was, *guest.was))),
            "allowance": _least(host.allowance, guest.allowance),
        }
    )


def part(person: Person, leaving: str, usual: Allowance) -> tuple[Person, Person]:
    """What becomes of a person when an account leaves: the rest, and who left. What the owner allows them beyond the
    ``usual`` stays with the rest; that they allow less holds for both."""
    rest = tuple(account for account in person.known_accounts if account != leaving)
    stays = person.model_copy(
        update={
            "id": rest[0],
            "accounts": rest if len(rest) > 1 else (),
            "was": tuple(dict.fromkeys((*person.was, trace(leaving)))),
        }
    )
    leaves = Person(
        blocked=person.blocked,
        is_out_of_mood=person.is_out_of_mood,
        was=tuple(dict.fromkeys((*person.was, *map(trace, rest)))),
        allowance=below(person.allowance, usual),
    )
    return stays, leaves


def _least(one: Allowance, other: Allowance) -> Allowance:
    both = {name: (getattr(one, name), getattr(other, name)) for name in Allowance.model_fields}
    least = {name: min((v for v in values if v is not None), default=None) for name, values in both.items()}
    return Allowance(**least)


def below(allowance: Allowance, usual: Allowance) -> Allowance:
    """The limits that are tighter than the usual ones."""
    kept = {name: getattr(allowance, name) for name in Allowance.model_fields}
    bounds = {name: getattr(usual, name) for name in kept}
    is_below = {name: v is not None and (bounds[name] is None or v < bounds[name]) for name, v in kept.items()}
    return Allowance(**{name: value for name, value in kept.items() if is_below[name]})


def _joined_facts(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Each once; of too many the newest."""
    by_text = {fact.text: fact for fact in facts}
    return tuple(sorted(by_text.values(), key=lambda fact: fact.at)[-MOST_FACTS:])


def _shared(one: Person, other: Person) -> str:
    theirs = {platform_of(account) for account in other.known_accounts}
    return next((platform_of(account) for account in one.known_accounts if platform_of(account) in theirs), "")


def _digest(code: str) -> str:
    return hashlib.sha256(f"link:{code}".encode()).hexdigest()[:32]


async def _pause(number: int) -> None:
    await asyncio.sleep(random.uniform(0, PAUSE_SECONDS * (number + 1)))
