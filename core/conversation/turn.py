"""A turn: an incoming value and its answer, as the worker that makes the answer holds it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core import clock
from core.conversation.preferences import Preferences
from core.errors import EntryError, LeaseLost
from core.message import CommandCall, ConversationKey, Deletion, Message
from core.message_json import from_json, stand_in
from core.models.chat import ChatRequest
from core.models.paying import NOBODY, Payer
from core.parts import Ending, Finished, Usage
from core.people.controls import NONE, Controls
from core.people.identity import Person
from core.people.persona import Persona
from core.people.spaces import USUAL, SpaceSettings
from core.storage.sealing import SealedError
from core.storage.texts import PLAIN, Texts


@dataclass(frozen=True, slots=True)
class Work:
    """A conversation that is to be looked at, and the space it lies in (or empty)."""

    conversation: ConversationKey
    space: str = ""

    @classmethod
    def parse(cls, text: str) -> Work:
        """From a wake-up. Raises ValueError."""
        name, _, space = text.partition("\t")
        return cls(ConversationKey.parse(name), space)


def share_of(work: Work) -> str:
    """The name of the share that a conversation belongs to."""
    return f"{work.conversation.platform}:{work.space}" if work.space else str(work.conversation)


@dataclass(slots=True)
class Turn:
    """The open turn of a conversation, as its worker holds it."""

    conversation: ConversationKey
    number: str
    fence: str
    incoming: Message | CommandCall
    takeovers: int = 0
    causes: tuple[str, ...] = ()
    """Why earlier tries failed, as far as they could tell."""
    unreadable: str = ""
    """Why the entry cannot be read; ``incoming`` then stands in for it, to tell its author."""
    overflow: int = 0
    """Over 0: this value was one too many, and stands for so many that were not read."""
    busy: bool = False
    """It was too many for all together, not for this conversation alone."""
    preferences: Preferences = field(default_factory=Preferences)
    """What people chose for the conversation."""
    person: Person = field(default_factory=Person)
    """Who wrote, once the engine knows (``Engine.respond``)."""
    space: SpaceSettings = USUAL
    """What their community chose."""
    persona: Persona = field(default_factory=Persona)
    """Who answers, once the engine knows."""
    for_all: bool = False
    """It was chosen for all who are there, not by the asker alone."""
    payer: Payer = NOBODY
    """In whose name models are asked."""
    controls: Controls = NONE
    """How the call itself wants its answer sampled."""
    pages: dict[int, str] = field(default_factory=dict[int, str])
    """Page number -> message id of what is already shown of the answer."""
    slot: tuple[int, str] | None = None
    """Page number and mark of a message that may have been created, unconfirmed."""
    text: str = ""
    """The whole answer, when it was recorded before it was shown."""
    finished: Finished | None = None
    """How the answer recorded in ``text`` ended, and what it took."""
    question: str = ""
    """Id of the question in the tree; empty while there is none, and for commands."""
    asked: ChatRequest | None = None
    """What a model was asked, for an estimate of the usage when it never gets to report it."""
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""
    """Why it was interrupted: an :class:`Ending`, ``forgotten`` when the question is to leave no trace, or
    ``unchanged`` when it was edited and says what it said."""
    lease_ends: float = 0.0
    """On :mod:`core.clock`."""
    creations: list[str] = field(default_factory=list[str])
    """Ids of the orders that its answer shows (``core/creations/``)."""

    @property
    def id(self) -> str:
        """Unique among all turns, the same after a takeover."""
        return f"{self.conversation}/{self.number}"

    @property
    def language(self) -> str:
        """What Parley itself says is said in this one: the one chosen for the conversation, for the space, by the
        asker, else the one that their platform tells."""
        chosen = self.preferences.language or self.space.language or self.person.language
        return chosen or self.incoming.author.language

    @property
    def own_voice(self) -> bool:
        """Whether the persona answers under its own name, where the platform can: all who are there chose it, and
        that."""
        return self.for_all and bool(self.space.own_voice)

    @property
    def share(self) -> str:
        """Who stands in line with it where there is not enough for all: its space, else the chat itself."""
        return share_of(Work(self.conversation, self.incoming.space))

    def choose(self, **fields: str) -> None:
        """What was chosen in this turn holds for its own answer, too."""
        self.preferences = replace(self.preferences, **fields)

    def interrupt(self, reason: str) -> None:
        """Ends the answer that is being made."""
        self.reason = self.reason or reason
        self.interrupted.set()

    def check_lease(self) -> None:
        """Raises LeaseLost when another worker may have taken over."""
        if clock.seconds() > self.lease_ends:
            raise LeaseLost(f"the lease of {self.id} has run out")


def read_turn(conversation: ConversationKey, reply: Sequence[Any], lease_ends: float, texts: Texts = PLAIN) -> Turn:
    """A turn as the scripts ``take`` and ``finish`` answer it. Never fails: see :attr:`Turn.unreadable`."""
    _, fence, chosen, flat = reply
    preferences = Preferences.of(chosen)
    record: dict[str, str] = dict(zip(flat[::2], flat[1::2], strict=True))
    try:
        return _from_record(conversation, str(fence), preferences, record, lease_ends, texts)
    except (KeyError, ValueError, TypeError) as error:
        # Closed with a word to its author, instead of being tried for ever.
        author = stand_in(record.get("entry", ""), conversation)
        why = f"The record of its turn is damaged: {type(error).__name__}."
        number = record.get("number", "")
        return Turn(
            conversation,
            number,
            str(fence),
            author,
            unreadable=why,
            preferences=preferences,
            lease_ends=lease_ends,
        )


def _from_record(
    conversation: ConversationKey,
    fence: str,
    preferences: Preferences,
    record: dict[str, str],
    lease_ends: float,
    texts: Texts,
) -> Turn:
    causes = tuple(filter(None, record.get("causes", "").split("\n")))
    entry, unreadable = record["entry"].removeprefix("!"), ""
    try:
        incoming = from_json(texts.open_json(entry, str(conversation)))
        if isinstance(incoming, Deletion):
            raise EntryError("A deletion is never a turn.")
    except (EntryError, SealedError) as error:
        incoming, unreadable = stand_in(entry, conversation), str(error)
    turn = Turn(
        conversation,
        record["number"],
        fence,
        incoming,
        takeovers=int(record["takeovers"]),
        causes=causes,
        unreadable=unreadable,
        overflow=int(record.get("overflow", 0)),
        busy=record.get("busy") == "1",
        preferences=preferences,
        pages={int(name[1:]): value for name, value in record.items() if name[0] == "m" and name[1:].isdigit()},
        # What cannot be opened is made anew.
        text=texts.read(record.get("text", ""), str(conversation), unreadable=""),
        question=record.get("question", ""),
        lease_ends=lease_ends,
    )
    if slot := record.get("slot"):
        number, _, mark = slot.partition("|")
        turn.slot = (int(number), mark)
    if turn.text:
        turn.finished = Finished(Ending(record["ending"]), Usage(**json.loads(record["usage"])))
    if reason := record.get("interrupt"):
        turn.interrupt(reason)
    return turn
