"""Cases: what was done or reported about a person in a space, as moderators find it again later. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from core.message import VERSION, CommandCall, ConversationKey

MAX_REASON = 500
MAX_EVIDENCE = 1000
"""Characters kept of a message that a case is about."""
MAX_NAME = 100
MAX_FILES = 10


class CaseKind(StrEnum):
    WARN = "warn"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The message that a case is about, as it was then."""

    message_id: str = ""
    link: str = ""
    text: str = ""
    files: tuple[str, ...] = ()
    """Names of what was attached."""

    @classmethod
    def of(cls, call: CommandCall, link: str) -> Evidence:
        """What a command is about, shortened; empty where it is about no message."""
        if call.quote is None:
            return cls()
        files = tuple(attachment.name[:MAX_NAME] for attachment in call.attachments if attachment.name)
        return cls(call.quote.message_id, link, call.quote.text[:MAX_EVIDENCE], files[:MAX_FILES])


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of a space's book. Accounts are ids on the space's platform."""

    kind: CaseKind
    account: str
    """Whom it is about."""
    name: str
    actor: str
    """Who warned or reported. Never told to whom it is about."""
    actor_name: str
    reason: str
    at: float
    """Unix seconds."""
    evidence: Evidence = Evidence()
    number: int = 0
    """Counted in its space from 1; 0 before it is kept."""

    def to_json(self) -> str:
        """The form in which it is kept; the number is its field's name there."""
        values = asdict(self)
        del values["number"]
        return json.dumps({"v": VERSION, **values}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, number: int) -> Case:
        """The inverse of :meth:`to_json`; raises ValueError, KeyError or TypeError for anything else."""
        values = json.loads(text)
        del values["v"]
        evidence = values.pop("evidence")
        evidence["files"] = tuple(evidence["files"])
        kind = CaseKind(values.pop("kind"))
        return cls(kind, **values, evidence=Evidence(**evidence), number=number)


def space_of(call: CommandCall) -> str:
    """Names a space among all platforms and bots; a person's accounts in two of them have nothing to do with each
    other."""
    return space_at(call.conversation, call.space)


def space_at(conversation: ConversationKey, space: str) -> str:
    """The same of the space that a conversation is in."""
    return f"{conversation.platform}:{conversation.bot}:{space}"
