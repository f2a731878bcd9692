"""Cases: what was done or reported in a space, as moderators find it again later. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from core.message import CommandCall, ConversationKey
from core.message_json import VERSION
from core.moderation.acts import NO_EVIDENCE, Act, ActKind, Actor, Answer, Outcome
from core.moderation.evidence import MAX_EVIDENCE, MAX_FILES, MAX_NAME, Evidence

__all__ = ["MAX_EVIDENCE", "MAX_FILES", "MAX_NAME", "MAX_REASON", "Case", "CaseKind", "CaseState", "Edit", "Evidence"]

MAX_REASON = 500
MAX_EDITS = 20
"""Earlier reasons that are kept of a case."""


class CaseKind(StrEnum):
    """All that acts can be (``core.moderation.acts.ActKind``), and what is written down without an act."""

    WARN = "warn"
    MUTE = "mute"
    UNMUTE = "unmute"
    KICK = "kick"
    BAN = "ban"
    UNBAN = "unban"
    RESTRICT = "restrict"
    UNRESTRICT = "unrestrict"
    QUARANTINE = "quarantine"
    RELEASE = "release"
    PURGE = "purge"
    DELETE = "delete"
    REPOST = "repost"
    SLOW = "slow"
    UNSLOW = "unslow"
    LOCK = "lock"
    UNLOCK = "unlock"
    PIN = "pin"
    UNPIN = "unpin"
    APPROVE = "approve"
    DECLINE = "decline"
    UNDO = "undo"
    """A warning was taken back: the other undoings are acts of their own (UNMUTE, UNBAN, …) with ``undoes``."""
    REPORT = "report"
    NOTE = "note"
    """Somebody wrote something down."""
    FLAG = "flag"
    """A rule hit, and a person is to look."""


class CaseState(StrEnum):
    """How far an act is. Reports, notes and flags are DONE; a report that moderators dismissed is UNDONE."""

    PLANNED = "planned"
    """Kept, and to be carried out."""
    DONE = "done"
    PARTLY = "partly"
    """Some of it was done; the answers say what was not."""
    FAILED = "failed"
    """Nothing was done; the answers say why."""
    UNDONE = "undone"
    ENDED = "ended"
    """Its time is over, or it was ended by hand."""

    @property
    def is_in_force(self) -> bool:
        """It was done, and nothing has ended it."""
        return self in (CaseState.DONE, CaseState.PARTLY)


@dataclass(frozen=True, slots=True)
class Edit:
    """A reason that was replaced."""

    at: float
    """Unix seconds."""
    by: str
    """Account of who replaced it."""
    by_name: str
    reason: str
    """As it was before."""


_OURS_TO_END = frozenset((CaseKind.MUTE, CaseKind.RESTRICT, CaseKind.QUARANTINE))
"""Renewed or restored by Parley, also where no end was said. Of a ban the platform itself knows who is meant."""


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of a space's book. Accounts are ids on the space's platform."""

    kind: CaseKind
    account: str
    """Whom it is about; empty where it is about a place or a message of nobody known."""
    name: str
    actor: str
    """Who acted or reported; ``acts.AUTOMOD`` for the space's rules. Never told to whom it is about."""
    actor_name: str
    reason: str
    at: float
    """Unix seconds."""
    evidence: Evidence = NO_EVIDENCE
    number: int = 0
    """Counted in its space from 1; 0 before it is kept."""
    state: CaseState = CaseState.DONE
    seconds: int | None = None
    """How long it was to last; None: until somebody ends it."""
    until: float | None = None
    """Unix seconds at which it ends; None: not by itself, or not carried out yet."""
    before: Mapping[str, str] | None = None
    """What it changed, as it was; None: not asked yet. Written once, before the platform is asked for anything."""
    answers: tuple[Answer, ...] = ()
    """What the platform said to it."""
    is_told: bool = False
    """Whom it is about was told in private."""
    rule: str = ""
    """The rule that decided it."""
    strikes: int = 0
    """That it gave."""
    edits: tuple[Edit, ...] = ()
    undoes: int = 0
    """Number of the case that it undoes."""
    undone_by: int = 0
    """Number of the case that undid it, or ended it by doing the opposite."""
    act: str = ""
    """Id of its act (``Act.id``); empty where it is none."""
    conversation: str = ""
    """Where it was asked for."""
    where: str = ""
    """What the space is called."""
    messages: tuple[str, ...] = ()
    authors: Mapping[str, str] | None = None
    """Others who wrote some of the messages; None as soon as it is known which of these may go."""
    pause: int = 0
    delete_seconds: int = 0
    is_quiet: bool = False
    """Nobody is told of it: it is a step of something else."""
    tries: int = 0
    """How often it could not be carried out yet."""
    alias: str = ""
    """What stands for whom it is about as soon as it is over: they had their data erased while it was in force."""

    @classmethod
    def of(cls, act: Act) -> Case:
        """What is written down of an act before anything is done."""
        return cls(
            CaseKind(act.kind),
            act.account,
            act.name[:MAX_NAME],
            act.actor.account,
            act.actor.name[:MAX_NAME],
            act.reason[:MAX_REASON],
            act.at,
            act.evidence,
            state=CaseState.PLANNED,
            seconds=act.seconds,
            rule=act.rule,
            # Rules say themselves how many: those by which a model judges give none.
            strikes=act.strikes or int(act.kind is ActKind.WARN and not act.actor.is_automod),
            undoes=act.undoes,
            act=act.id,
            conversation=str(act.conversation),
            where=act.where[:MAX_NAME],
            messages=act.messages,
            authors=act.authors or None,
            pause=act.pause,
            delete_seconds=act.delete_seconds,
            is_quiet=act.is_quiet,
        )

    def as_act(self, place: str, *, before: Mapping[str, str] | None = None) -> Act:
        """The act that it keeps; ``before`` is what it restores. Raises ValueError where it keeps none."""
        return Act(
            id=self.act,
            kind=ActKind(self.kind),
            conversation=ConversationKey.parse(self.conversation),
            space=place.split(":", 2)[2],
            actor=Actor(self.actor, self.actor_name),
            account=self.account,
            name=self.name,
            seconds=self.seconds,
            pause=self.pause,
            messages=self.messages,
            authors=self.authors or {},
            delete_seconds=self.delete_seconds,
            reason=self.reason,
            at=self.at,
            evidence=self.evidence,
            rule=self.rule,
            strikes=self.strikes,
            undoes=self.undoes,
            before=before or {},
            where=self.where,
            is_quiet=self.is_quiet,
        )

    @property
    def gives_strikes(self) -> bool:
        """It has strikes that count as long as they last: it was done, whether it holds still or not, and nobody took
        it back. Who left, or deleted the message, before the platform was asked does not get away with it."""
        if not self.strikes or self.undoes:
            return False
        if self.state is CaseState.FAILED:
            return bool(self.answers) and self.answers[-1].outcome is Outcome.GONE
        return self.state.is_in_force or self.state is CaseState.ENDED

    @property
    def is_held(self) -> bool:
        """Parley has to carry it out or to end it, and cannot without the account and what was before."""
        is_ours = self.until is not None or self.kind in _OURS_TO_END
        return self.state is CaseState.PLANNED or (self.state.is_in_force and is_ours)

    def anonymous(self, alias: str) -> Case:
        """Without whom it is about and what they wrote; while it :attr:`is_held`, their account stays."""
        bare = replace(self, name="", evidence=Evidence(), messages=(), authors=None, alias=alias)
        return bare.settled()

    def settled(self) -> Case:
        """The same, with the account gone where that waited for the end."""
        if not self.alias or self.is_held:
            return self
        before = None if self.before is None else dict[str, str]()
        return replace(self, account=self.alias, alias="", before=before)

    @property
    def about(self) -> str:
        """By which it is listed: whom it is about, else the channel or group."""
        return self.account or (f"#{self.conversation.split(':')[2]}" if self.conversation else "")

    @property
    def line(self) -> str:
        """Acts of one line wait for each other; those on messages alone for none."""
        return f"={self.act}" if self.kind in _ON_WORDS else self.about

    def with_reason(self, reason: str, by: str, by_name: str, at: float) -> Case:
        """The same with another reason; the one before is kept."""
        edit = Edit(at, by, by_name[:MAX_NAME], self.reason)
        return replace(self, reason=reason[:MAX_REASON], edits=(*self.edits, edit)[-MAX_EDITS:])

    def to_json(self) -> str:
        """The form in which it is kept; the number is its field's name there."""
        values: dict[str, Any] = {"v": VERSION}
        for name, default in _FIELDS:
            if (value := getattr(self, name)) != default:
                values[name] = asdict(value) if isinstance(value, Evidence) else value
        return json.dumps(values, ensure_ascii=False, default=asdict)

    @classmethod
    def from_json(cls, text: str, number: int) -> Case:
        """The inverse of :meth:`to_json`; raises ValueError, KeyError or TypeError for anything else."""
        values: dict[str, Any] = json.loads(text)
        del values["v"]
        evidence = values.pop("evidence", {})
        evidence["files"] = tuple(evidence.get("files", ()))
        values["evidence"] = Evidence(**evidence)
        values["kind"] = CaseKind(values["kind"])
        if "state" in values:
            values["state"] = CaseState(values["state"])
        if "messages" in values:
            values["messages"] = tuple(values["messages"])
        if "edits" in values:
            values["edits"] = tuple(Edit(**edit) for edit in values["edits"])
        if "answers" in values:
            values["answers"] = tuple(Answer(Outcome(answer.pop("outcome")), **answer) for answer in values["answers"])
        return cls(**values, number=number)


_ON_WORDS = (CaseKind.DELETE, CaseKind.PURGE, CaseKind.REPOST)
_FIELDS: tuple[tuple[str, Any], ...] = tuple(
    (each.name, each.default) for each in fields(Case) if each.name != "number"
)
"""What is kept, and what needs not be written."""


def space_of(call: CommandCall) -> str:
    """Names a space among all platforms and bots; a person's accounts in two of them have nothing to do with each
    other."""
    return space_at(call.conversation, call.space)


def space_at(conversation: ConversationKey, space: str) -> str:
    """The same of the space that a conversation is in."""
    return f"{conversation.platform}:{conversation.bot}:{space}"
