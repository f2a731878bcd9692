"""An answer as it grows: the model is read by a task of its own, whatever becomes of showing it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import structlog

from core.conversation.turn import Turn
from core.errors import LeaseLost, StorageError
from core.parts import Activity, Ending, Finished, InLine, Making, Media, Menu, Notice, Part, Poll, Progress, TextDelta
from core.tasks import end
from core.texts import Value, say

log = structlog.get_logger()

SHOWN_ENDINGS = {Ending.LENGTH, Ending.FILTERED, Ending.BROKEN, Ending.EMPTY, Ending.FAILED, Ending.STOPPED}
SAYS_WHY = {"crashed", "damaged", "no_models", "no_allowed_models", "busy", "busy_minutes", "own_key_failed"}
"""Notices that tell already why there is no answer."""


@dataclass(slots=True)
class GrowingAnswer:
    """What has been read of a turn's answer so far."""

    turn: Turn
    notices: list[str] = field(default_factory=list[str])
    """In the asker's language."""
    says_why: bool = False
    """One of the notices explains a failure."""
    media: list[Media] = field(default_factory=list[Media])
    polls: list[Poll] = field(default_factory=list[Poll])
    activity: Activity = Activity.TEXT
    """What is being made now."""
    awaited: InLine | Progress | None = None
    """Where it waits, or how far it is, as long as it does and is."""
    menu: Menu | None = None
    menus: bool = False
    """The platform shows menus."""
    instead: str = ""
    """What stands in place of one elsewhere, as Markdown: no part of the answer."""
    finished: Finished | None = None
    failure: LeaseLost | StorageError | None = None
    """What makes the turn another one's, or one to be tried again: nothing more is shown."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _pieces: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    @property
    def has_more(self) -> bool:
        """It is not text alone."""
        return bool(self.notices or self.media or self.polls or self.menu or self.instead)

    def whole(self, ending: Ending) -> str:
        """The answer with what is to be said about it, as Markdown; never empty unless there are files."""
        text, notices = self.text.rstrip(), self.all_notices(ending)
        if self.instead:
            text = f"{closed(text)}\n\n{self.instead}" if text else self.instead
        if not (text or notices or self.media):
            notices = [self._say("empty")]
        if not (text and notices):
            return text or "\n".join(notices)
        return "\n\n".join((closed(text), "\n".join(f"*{notice}*" for notice in notices)))

    def all_notices(self, ending: Ending) -> list[str]:
        """What happened on the way, and how it ended."""
        notices = list(self.notices)
        if ending in SHOWN_ENDINGS and not (ending is Ending.FAILED and self.says_why):
            notices.append(self._say(ending))
        return notices

    async def read(self, parts: AsyncGenerator[Part]) -> None:
        """Takes the parts in, until the end or an interruption of the turn."""
        interrupted = asyncio.create_task(self.turn.interrupted.wait())
        consuming = asyncio.create_task(self._consume(parts))
        try:
            await asyncio.wait((interrupted, consuming), return_when=asyncio.FIRST_COMPLETED)
            error = consuming.exception() if consuming.done() else None
            if isinstance(error, LeaseLost | StorageError):
                self.failure = error
            elif error is not None:
                log.error("answer broke off", turn=self.turn.id, cause=repr(error), exc_info=error)
            self.finished = self.finished or Finished(self._ending())
        finally:
            await end((interrupted, consuming))
            await parts.aclose()
            self.changed.set()
            self.ended.set()

    async def _consume(self, parts: AsyncGenerator[Part]) -> None:
        async for part in parts:
            self.awaited = part if isinstance(part, InLine | Progress) else None
            if isinstance(part, InLine | Progress):
                self.changed.set()
            elif isinstance(part, TextDelta):
                self._pieces.append(part.text)
                self.changed.set()
            elif isinstance(part, Notice):
                self.notices.append(self._say(part.key, **part.values))
                self.says_why = self.says_why or part.key in SAYS_WHY
            elif isinstance(part, Media):
                self.media.append(part)
            elif isinstance(part, Poll):
                self.polls.append(part)
            elif isinstance(part, Menu):
                if self.menus:
                    self.menu = part
                else:
                    self.instead = part.instead
            elif isinstance(part, Making):
                self.activity = part.activity
                self.changed.set()
            else:
                self.finished = part
                return

    def _say(self, key: str, /, **values: Value) -> str:
        return say(key, self.turn.language, **values)

    def _ending(self) -> Ending:
        """How an answer ended that did not end by itself."""
        reason = self.turn.reason
        if reason == Ending.STOPPED:
            return Ending.STOPPED
        return Ending.SUPERSEDED if reason or self.failure else Ending.BROKEN


def closed(text: str) -> str:
    """A text after which a notice can stand: an open code block is closed."""
    fences = [line.strip()[:3] for line in text.splitlines() if line.lstrip()[:3] in ("```", "~~~")]
    return f"{text}\n{fences[-1]}" if len(fences) % 2 else text
