"""What somebody wrote, as it was when an act or a report was about it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from core.message import CommandCall

MAX_EVIDENCE = 1000
"""Characters kept of a message that a case is about."""
MAX_NAME = 100
MAX_FILES = 10


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
class Said:
    """The words of a message that is deleted, for saying them again."""

    author: str
    """What who wrote it is called."""
    text: str
    account: str = ""

    def written(self) -> str:
        """As it stands in what was before an act (``Act.before``): message id -> this."""
        return json.dumps([self.author[:MAX_NAME], self.text[:MAX_EVIDENCE], self.account], ensure_ascii=False)


def said_before(before: Mapping[str, str]) -> dict[str, Said]:
    """Message id -> what was said there, of an act that deleted messages; what is no such thing is left out."""
    found: dict[str, Said] = {}
    for id, text in before.items():
        try:
            author, words, account = json.loads(text)
        except (ValueError, TypeError):
            continue
        found[id] = Said(str(author), str(words), str(account))
    return found
