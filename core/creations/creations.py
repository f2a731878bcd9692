"""What is made in jobs: a turn orders it, follows it, and shows what came of it.

Where that takes long the turn ends with a word, and what comes of it is shown by a turn of its own, posted by the job.
Which of the two shows it is decided in one step, so that it is exactly one of them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

import structlog

from core import clock, faults
from core.conversation.turn import Turn
from core.creations.bells import Bells
from core.creations.doing import Doing, PayerOf, Post, job_of
from core.creations.forms import FormError, order_text, read_order, read_parts
from core.creations.order import Maker, Order
from core.errors import StorageError, StorageFull
from core.jobs import IsPaused, Job
from core.message import CommandCall, ConversationKey, Message, Platform
from core.parts import Choice, Ending, Finished, InLine, Media, Menu, Notice, Part, Progress
from core.people.identity import account_of
from core.people.spaces import kept_days, space_id
from core.storage.client import Store
from core.storage.orders import MOST_MAKING, Kept, Orders, number_of
from core.texts import Amount, say

log = structlog.get_logger()

POLL_SECONDS = 0.5
"""How often a follower in another process than the maker's looks."""
ALONE_SECONDS = 780.0
"""A turn waits for so long where it cannot come later, since it is for the asker's eyes alone: Discord takes no answer
after 15 minutes."""
TEND_SECONDS = 120.0
"""How often a process looks for what no process makes."""
MAX_INPUT_BYTES = 40_000_000
"""Of all files that come with one order."""
DONE = Finished(Ending.COMPLETE)

Enqueue = Callable[[str, str, str], Awaitable[None]]
"""As ``core.jobs.Jobs.enqueue``."""


class Creations:
    """All that can be made."""

    def __init__(
        self,
        makers: Sequence[Maker],
        store: Store,
        enqueue: Enqueue,
        post: Post,
        payer_of: PayerOf,
        *,
        keep_days: int = 30,
        follow_seconds: float = 45.0,
        is_paused: IsPaused | None = None,
    ) -> None:
        """``keep_days`` is how long it is known what a message shows, where no space says otherwise;
        ``follow_seconds`` how long a turn waits at most."""
        self._makers = {maker.kind: maker for maker in makers}
        self._orders = Orders(store)
        self._enqueue = enqueue
        self._keep_days = keep_days
        self._follow_seconds = follow_seconds
        self._is_paused = is_paused
        self._bells = Bells()
        self._doing = Doing(self._orders, self._makers, payer_of, post, self._bells)

    @property
    def jobs(self) -> list[Job]:
        """What makes it: rows for the table of jobs."""
        return self._doing.jobs

    async def died(self, job: str, id: str) -> None:
        """A job failed for good: who waits for what it was to make is told. Raises StorageError."""
        if any(job_of(maker) == job for maker in self._makers.values()):
            await self._doing.died(id)

    async def made(
        self,
        turn: Turn,
        kind: str,
        request: Mapping[str, Any],
        inputs: Sequence[bytes] = (),
        *,
        number: int = 0,
        alone: bool = False,
    ) -> AsyncGenerator[Part]:
        """Orders it and follows it: how far it is, what came of it, and Finished. ``number`` tells the things apart
        that one turn makes; ``alone``: it is for the asker's eyes alone, whatever the call says.
        Asked for again it is the same order. Raises StorageError."""
        maker, order = self._makers[kind], _order_of(turn, kind, request, number)
        size = sum(map(len, inputs))
        if size > MAX_INPUT_BYTES:
            allowed = Amount.of_bytes(MAX_INPUT_BYTES)
            yield Notice("creation_inputs", {"size": Amount.of_bytes(size), "allowed": allowed})
            yield DONE
            return
        is_followed = True
        try:
            try:
                text = order_text(order)
                if not await self._orders.place(order.id, text, order.account, inputs, maker.queue, order.question):
                    yield Notice("creations_many", {"count": MOST_MAKING})
                    yield DONE
                    return
                faults.reached("ordered")
                await self._enqueue(job_of(maker), order.id, order.id)
            except StorageFull as error:
                log.error("no room for an order", order=order.id, cause=str(error))
                yield Notice("storage_full")
                yield DONE
                return
            turn.creations.append(order.id)
            async with aclosing(self._follow(turn, order, maker, alone)) as parts:
                async for part in parts:
                    is_followed = is_followed and not isinstance(part, Finished)
                    yield part
        finally:
            if is_followed and turn.reason:
                await self._give_up(order.id)

    async def of_message(self, conversation: ConversationKey, message_id: str) -> Order | None:
        """The order of what a message shows. Raises StorageError."""
        text = await self._orders.shown_by(conversation, message_id) if message_id else ""
        return _read(text) if text else None

    async def inputs_of(self, order: Order) -> tuple[bytes, ...] | None:
        """The files that came with it; None where they are kept no more. Raises StorageError."""
        kept = await self._orders.read(order.id)
        found = [await self._orders.file(order.id, f"in{index}") for index in range(kept.inputs if kept else 0)]
        whole = tuple(data for data in found if data is not None)
        return whole if kept is not None and len(whole) == len(found) else None

    async def parts_of(self, order: Order) -> list[Part]:
        """What came of it, for a day; nothing while it is being made. Raises StorageError."""
        kept = await self._orders.read(order.id)
        return await self._parts(order.id, kept) if kept is not None and kept.is_ended else []

    async def shown(self, id: str) -> AsyncGenerator[Part]:
        """What came of an order whose turn is over. Raises StorageError."""
        kept = await self._orders.read(id)
        if kept is None or not kept.is_ended:
            yield Notice("creation_gone")
            yield DONE
            return
        for part in await self._parts(id, kept):
            yield part

    async def delivered(self, turn: Turn) -> None:
        """Remembers which messages show what was made. Raises StorageError."""
        pages = [turn.pages[number] for number in sorted(turn.pages)]
        for id in turn.creations if pages else ():
            kept = await self._orders.read(id)
            if kept is None:
                continue
            if kept.is_handed:
                await self._orders.told_by(id, pages[0])
            seconds = kept_days(turn.space, self._keep_days) * 86400
            await self._orders.shown(turn.conversation, pages, kept.account, kept.order, seconds)

    async def in_the_making(self, conversation: ConversationKey, account: str) -> list[tuple[Order, Part | None]]:
        """What somebody has in the making in a conversation, oldest first, and how far each is. Raises StorageError."""
        found: list[tuple[Order, Part | None]] = []
        for id in await self._orders.in_the_making(conversation):
            kept = await self._orders.read(id)
            if (
                kept is None
                or kept.is_ended
                or kept.is_stopped
                or kept.account != account
                or (order := _read(kept.order)) is None
            ):
                continue
            found.append((order, _told(kept)))
        return found

    async def asker_of(self, id: str) -> str:
        """The account of who ordered it; empty for an order that there is not. Raises StorageError."""
        try:
            kept = await self._orders.read(id)
        except ValueError:
            return ""
        return kept.account if kept is not None else ""

    async def stop(self, id: str) -> bool:
        """Nobody wants it any more; False where it has ended. Raises StorageError."""
        return await self._orders.stop(id)

    async def abandon(self, turn: Turn) -> None:
        """What it ordered before its worker died is not wanted any more. Raises StorageError."""
        for id in await self._orders.in_the_making(turn.conversation):
            if id.partition("#")[0] == turn.id:
                await self._orders.stop(id)

    async def tend(self) -> None:
        """Tells of what no process makes. Raises StorageError."""
        await self._doing.tend()

    async def run(self) -> None:
        """Tells of what no process makes, until cancelled."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            try:
                await self.tend()
            except StorageError as error:
                log.warning("nobody looks after what is being made", cause=str(error))

    # ---- following

    async def _follow(self, turn: Turn, order: Order, maker: Maker, alone: bool) -> AsyncGenerator[Part]:
        can_come_later = not alone and _can_come_later(turn)
        until = clock.seconds() + (min(maker.follow_seconds, self._follow_seconds) if can_come_later else ALONE_SECONDS)
        last, tick = cast("Part | None", None), ""
        with self._bells.hung(order.id) as bell:
            while True:
                bell.clear()
                kept = await self._orders.read(order.id)
                if kept is None:
                    yield Notice("creation_gone")
                    yield DONE
                    return
                if kept.is_handed:
                    break
                if kept.is_ended:
                    for part in await self._parts(order.id, kept):
                        yield part
                    return
                told = await self._how_far(order, maker, kept, last)
                if told is not None and (told, kept.tick) != (last, tick):
                    last, tick = told, kept.tick
                    yield await self._with_preview(order.id, kept, told)
                if clock.seconds() > until:
                    if not can_come_later:
                        await self._give_up(order.id)
                        yield Notice("creation_too_long")
                        yield DONE
                        return
                    if await self._orders.hand_over(order.id):
                        faults.reached("handed")
                        break
                    continue
                try:
                    await asyncio.wait_for(bell.wait(), POLL_SECONDS)
                except TimeoutError:
                    continue
        for part in _comes_later(order, last, turn.language):
            yield part

    async def _how_far(self, order: Order, maker: Maker, kept: Kept, last: Part | None) -> Part | None:
        if kept.is_begun:
            return _told(kept)
        if self._is_paused is not None and await self._is_paused():
            return Progress("creation_paused")
        place = await self._orders.place_in_line(order.id, maker.queue)
        return InLine(place, 0) if place > 1 else last

    async def _with_preview(self, id: str, kept: Kept, told: Part) -> Part:
        if not (isinstance(told, Progress) and told.preview is not None):
            return told
        data = await self._orders.file(id, kept.preview) if kept.preview else None
        return replace(told, preview=replace(told.preview, data=data) if data else None)

    async def _parts(self, id: str, kept: Kept) -> list[Part]:
        try:
            named = read_parts(kept.parts)
        except FormError as error:
            log.error("what was made cannot be read", order=id, cause=str(error))
            return [Notice("creation_gone"), DONE]
        parts: list[Part] = []
        for part, name in named:
            if not isinstance(part, Media):
                parts.append(part)
            elif (data := await self._orders.file(id, name)) is not None:
                parts.append(replace(part, data=data))
            else:
                parts.append(Notice("creation_gone"))
        return parts

    async def _give_up(self, id: str) -> None:
        try:
            await self._orders.stop(id)
        except StorageError as error:
            log.warning("something goes on being made that nobody wants", order=id, cause=str(error))


def _order_of(turn: Turn, kind: str, request: Mapping[str, Any], number: int) -> Order:
    incoming = turn.incoming
    is_message = isinstance(incoming, Message) or turn.conversation.platform is Platform.TELEGRAM
    return Order(
        f"{turn.id}#{number}" if number else turn.id,
        kind,
        request,
        turn.conversation,
        account_of(incoming.author, turn.conversation.platform),
        incoming.author.name,
        turn.language,
        space_id(turn.conversation, incoming.space),
        turn.share,
        incoming.private,
        incoming.id if is_message and not turn.conversation.inline else "",
        secrets.token_hex(8),
    )


def _can_come_later(turn: Turn) -> bool:
    """Whether a message of its own may show it: not where it is for the asker alone, stands in one message only, or
    where Parley may do nothing but answer."""
    incoming = turn.incoming
    if turn.conversation.inline:
        return False
    return not (isinstance(incoming, CommandCall) and (incoming.alone or incoming.most_pages))


def _comes_later(order: Order, last: Part | None, language: str) -> list[Part]:
    done = last.done if isinstance(last, Progress) else None
    told = Notice("comes_later") if done is None else Notice("comes_later_far", {"percent": round(done * 100)})
    stop = Choice(say("button.stop", language), f"unmake {number_of(order.id)}")
    return [told, Menu(((stop,),)), DONE]


def _told(kept: Kept) -> Part | None:
    """How far it is, without its preview."""
    if not kept.progress:
        return None
    try:
        return read_parts(kept.progress)[0][0]
    except (FormError, IndexError):
        return None


def _read(text: str) -> Order | None:
    try:
        return read_order(text)
    except FormError as error:
        log.warning("an order that cannot be read", cause=str(error))
        return None
