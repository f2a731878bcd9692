"""Threads that are opened on a question for its answer. Discord gives such a thread the id of the message."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import structlog

from bots.adapter import Target
from bots.discord_bot.refusals import MISSING_PERMISSIONS
from bots.discord_bot.rest import CallFailed, Rest
from core.texts import say

MAX_NAME = 100
ARCHIVE_MINUTES = 1440
"""A thread in which nobody wrote for so long is put away; the next message brings it back."""
HAS_ONE = 160004
"""Discord's code for a message that a thread was opened on before."""
MAX_REMEMBERED = 1000
_MARKS = re.compile(r"[*_`~|>#\[\]]+")

log = structlog.get_logger()


class Threads:
    """Opens them. What another process, or a try before, has opened is found by asking for it again."""

    def __init__(self, rest: Rest, forbidden: Callable[[str], None] | None = None) -> None:
        """``forbidden`` is told of channels in which the bot has no right to open any."""
        self._rest = rest
        self._forbidden = forbidden
        self._is_open: OrderedDict[str, bool] = OrderedDict()
        """Of each question's thread; False where none could be opened."""

    async def ensure(self, target: Target) -> Target:
        """The target, once its thread is there. Costs a call for a question whose thread is not known to be open.

        Where Discord refuses a thread (no right any more, too many of them, the question gone) it is the question's
        channel, as if no thread had been wanted. Raises OutboundError when Discord cannot say.
        """
        if not target.opens:
            return target
        thread = target.conversation.chat
        is_open = self._is_open.get(thread)
        if is_open is None:
            is_open = self._is_open[thread] = await self._open(target)
            if len(self._is_open) > MAX_REMEMBERED:
                self._is_open.popitem(last=False)
        return (
            target
            if is_open
            else replace(target, conversation=replace(target.conversation, chat=target.opens), opens="")
        )

    async def _open(self, target: Target) -> bool:
        path = f"/channels/{target.opens}/messages/{target.conversation.chat}/threads"
        body = {"name": name_of(target.title, target.language), "auto_archive_duration": ARCHIVE_MINUTES}
        try:
            await self._rest.call("POST", path, body)
        except CallFailed as error:
            if error.code != HAS_ONE:
                log.info("no thread could be opened", channel=target.opens, cause=error.detail)
            if error.code == MISSING_PERMISSIONS and self._forbidden is not None:
                self._forbidden(target.opens)
            return error.code == HAS_ONE
        return True


def name_of(question: str, language: str) -> str:
    """A thread's name: the question's first words in one line, without marks, at most :data:`MAX_NAME` characters."""
    words = " ".join(_MARKS.sub(" ", question).split())
    if len(words) > MAX_NAME:
        cut = words[: MAX_NAME - 1]
        # Languages without blanks, and very long words, are cut where they are.
        words = (cut.rpartition(" ")[0] if " " in cut[MAX_NAME // 2 :] else cut) + "…"
    return words or say("thread_name", language)
