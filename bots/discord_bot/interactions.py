"""Interactions: the first answer that Discord wants within three seconds, and the token for what follows.

A reply token is what the core keeps to answer by: ``original/<application>/<interaction>/<token>`` for a command,
whose deferred message is filled in, and ``after/…`` for a button, which is answered by further messages;
``original-only/…`` and ``after-only/…`` where the bot is no member, so that there is no other way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from bots.discord_bot.rest import CallFailed, Rest
from bots.discord_bot.snowflake import moment
from core.errors import OutboundError, OutboundFault

DEFERRED_MESSAGE, DEFERRED_UPDATE = 5, 6
EPHEMERAL = 1 << 6
CALLBACK_SECONDS = 3.0
"""Discord's limit from the press to the first answer."""
AGAIN_SECONDS = 0.1
"""Between two tries, when a connection broke."""
ALREADY_ANSWERED = 40060
"""Discord's code for a second first answer."""
TOKEN_SECONDS = 15 * 60.0
"""For so long an interaction can be answered by its token."""
ONLY = "-only"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReplyToken:
    """The parts of a reply token."""

    fills_original: bool
    application: str
    interaction: str
    token: str
    only: bool = False
    """There is no other way to answer: the bot is no member there."""

    def __str__(self) -> str:
        kind = "original" if self.fills_original else "after"
        return f"{kind}{ONLY if self.only else ''}/{self.application}/{self.interaction}/{self.token}"

    @classmethod
    def parse(cls, text: str) -> ReplyToken | None:
        """The inverse of ``str``; None for anything else."""
        kind, *parts = text.split("/")
        name = kind.removesuffix(ONLY)
        if len(parts) != 3 or name not in ("original", "after"):
            return None
        return cls(name == "original", *parts, only=name != kind)

    def is_spent(self, now: float) -> bool:
        """Whether Discord takes it no more, ``now`` being its time in unix seconds."""
        return now > moment(self.interaction) + TOKEN_SECONDS


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
            await answer_first(self._rest, interaction, token, body)
        except (OutboundError, TimeoutError) as error:
            # The command itself is accepted: its answer then goes to the channel.
            log.warning("an interaction could not be deferred", interaction=interaction, error=str(error))


async def answer_first(rest: Rest, interaction: str, token: str, body: Mapping[str, object]) -> None:
    """Makes an interaction's first answer, for as long as Discord takes one. Raises OutboundError, TimeoutError."""
    path = f"/interactions/{interaction}/{token}/callback"
    async with asyncio.timeout(CALLBACK_SECONDS):
        while True:
            if await _is_made(rest, path, body):
                return
            await asyncio.sleep(AGAIN_SECONDS)


async def _is_made(rest: Rest, path: str, body: Mapping[str, object]) -> bool:
    """False where trying again may help. Raises OutboundError where it cannot."""
    try:
        await rest.call("POST", path, body)
    except OutboundError as error:
        if isinstance(error, CallFailed) and error.code == ALREADY_ANSWERED:
            # A try whose reply was lost, or another process that had the same event: two have a shard for a moment
            # when it changes hands.
            return True
        if error.fault not in (OutboundFault.TRANSIENT, OutboundFault.RATE_LIMITED):
            raise
        return False
    return True
