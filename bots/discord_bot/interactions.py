"""Interactions: the first answer that Discord wants within three seconds, and the token for what follows.

A reply token is what the core keeps to answer by: ``original/<application>/<interaction>/<token>`` for a command,
whose deferred message is filled in, and ``after/…`` for a button, which is answered by further messages.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from bots.discord_bot.rest import CallFailed, Rest
from core.errors import OutboundError

DEFERRED_MESSAGE, DEFERRED_UPDATE = 5, 6
EPHEMERAL = 1 << 6
CALLBACK_SECONDS = 3.0
"""Discord's limit from the press to the first answer."""
ALREADY_ANSWERED = 40060
"""Discord's code for a second first answer."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReplyToken:
    """The parts of a reply token."""

    fills_original: bool
    application: str
    interaction: str
    token: str

    def __str__(self) -> str:
        kind = "original" if self.fills_original else "after"
        return f"{kind}/{self.application}/{self.interaction}/{self.token}"

    @classmethod
    def parse(cls, text: str) -> ReplyToken | None:
        """The inverse of ``str``; None for anything else."""
        parts = text.split("/")
        if len(parts) != 4 or parts[0] not in ("original", "after"):
            return None
        return cls(parts[0] == "original", *parts[1:])


class Deferrals:
    """First answers under way in this process, so that the answer itself does not overtake them."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, interaction: str, token: str, kind: int, *, ephemeral: bool = False) -> None:
        """Tells Discord that the answer will come: kind is :data:`DEFERRED_MESSAGE` or :data:`DEFERRED_UPDATE`."""
        task = asyncio.create_task(self._answer(interaction, token, kind, ephemeral))
        self._tasks[token] = task
        task.add_done_callback(lambda _: self._tasks.pop(token, None))

    async def wait(self, token: str) -> None:
        """Returns when the first answer with this token is made, at once if none is under way here."""
        task = self._tasks.get(token)
        if task:
            await asyncio.wait([task], timeout=CALLBACK_SECONDS)

    async def close(self) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=CALLBACK_SECONDS)

    async def _answer(self, interaction: str, token: str, kind: int, ephemeral: bool) -> None:
        body: dict[str, object] = {"type": kind}
        if ephemeral:
            body["data"] = {"flags": EPHEMERAL}
        try:
            await asyncio.wait_for(
                self._rest.call("POST", f"/interactions/{interaction}/{token}/callback", body),
                CALLBACK_SECONDS,
            )
        except (OutboundError, TimeoutError) as error:
            if isinstance(error, CallFailed) and error.code == ALREADY_ANSWERED:
                # Another process had the same event: two have a shard for a moment when it changes hands.
                return
            # The command itself is accepted: its answer then goes to the channel.
            log.warning("an interaction could not be deferred", interaction=interaction, error=str(error))
