"""The job that makes what somebody ordered, wherever it runs: it writes how far it is, and at the end what came of it.

It may be run again at any time. What was begun is made anew, unless its maker remembered how to go on; what has ended
is not made again, only posted where its turn is over.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from core import clock, faults
from core.conversation.mailbox import Posted
from core.creations.bells import Bells
from core.creations.forms import FormError, parts_text, read_order
from core.creations.order import MAX_PREVIEW_BYTES, Commission, Maker, Order
from core.creations.shelf import Shelf
from core.errors import StorageError, StorageFull
from core.jobs import Job
from core.message import Author, CommandCall
from core.models.paying import Payer
from core.parts import Ending, Finished, InLine, Making, Media, Notice, Part, Progress
from core.storage.orders import Begun, Orders, number_of
from core.tasks import end
from core.texts import Amount

log = structlog.get_logger()

MADE = "made"
"""The command that shows what came of an order."""
NOTE_SECONDS = 0.4
"""Between two looks at whether it is still wanted, which tell how far it is."""
SPARE_SECONDS = 120.0
"""More than the maker's time: a job that takes longer than its own is run again, which would be paid again."""
MOST_WAIT_SECONDS = 12 * 3600.0
"""For a process that makes it; orders are kept for longer, so that it can be told."""
MAX_RESULT_BYTES = 64_000_000
"""Of all files that come of one order."""

PayerOf = Callable[[Order], Awaitable[Payer]]
"""In whose name models are asked. Raises StorageError."""
Post = Callable[[Sequence[CommandCall]], Awaitable[Sequence[Posted]]]
"""Puts calls into their conversations' mailboxes, however many wait there, and wakes a worker. Raises StorageError."""


@dataclass(slots=True)
class _News:
    """What a maker has told so far."""

    progress: Part | None = None
    is_fresh: bool = False
    parts: list[Part] = field(default_factory=list[Part])

    def take(self, part: Part) -> None:
        if isinstance(part, Progress | InLine | Making):
            self.progress, self.is_fresh = part, True
        else:
            self.parts.append(part)


class Doing:
    """The jobs of all makers."""

    def __init__(
        self, orders: Orders, makers: Mapping[str, Maker], payer_of: PayerOf, post: Post, bells: Bells
    ) -> None:
        self._orders = orders
        self._makers = makers
        self._payer_of = payer_of
        self._post = post
        self._bells = bells

    @property
    def jobs(self) -> list[Job]:
        """Rows for the table of jobs."""
        return [
            Job(job_of(maker), maker.queue, partial(self.run, maker), maker.seconds + SPARE_SECONDS)
            for maker in self._makers.values()
        ]

    async def run(self, maker: Maker, id: str) -> None:
        """Makes what an order says, unless that is done. Raises StorageError: then it is to be run again."""
        run = secrets.token_hex(8)
        begun = await self._orders.begin(id, run, maker.queue)
        if begun.what in ("gone", "ended"):
            await self._told(id, begun)
            return
        shelf = Shelf(self._orders, id)
        stopped: list[Part] = [Finished(Ending.STOPPED)]
        parts = stopped if begun.what == "stopped" else await self._made(maker, id, run, begun, shelf)
        if parts is None:
            log.info("something is made by another run", order=id)
            return
        await self._end(id, run, parts)
        await shelf.clear()

    async def died(self, id: str) -> None:
        """Its job is not run again: who waits for it is told. Raises StorageError."""
        await self._end(id, "", [Notice("creation_failed"), Finished(Ending.COMPLETE)])

    async def tend(self) -> None:
        """Tells of what no process has made in all the time. Raises StorageError."""
        for id in await self._orders.overdue(MOST_WAIT_SECONDS):
            log.error("something was never made: does a process work its queue?", order=id)
            told = Notice("creation_unmade", {"count": round(MOST_WAIT_SECONDS / 3600)})
            await self._end(id, "", [told, Finished(Ending.COMPLETE)])

    # ---- making

    async def _made(self, maker: Maker, id: str, run: str, begun: Begun, shelf: Shelf) -> list[Part] | None:
        """What came of it; None where another run makes it by now."""
        kept = await self._orders.read(id)
        try:
            order = read_order(kept.order if kept else "")
        except FormError as error:
            log.error("an order that cannot be read", order=id, cause=str(error))
            return [Notice("creation_failed"), Finished(Ending.COMPLETE)]
        inputs = [await self._orders.file(id, f"in{index}") for index in range(kept.inputs if kept else 0)]
        if None in inputs:
            return [Notice("creation_gone"), Finished(Ending.COMPLETE)]
        commission = Commission(
            order,
            tuple(data for data in inputs if data is not None),
            await self._payer_of(order),
            begun.remote,
            partial(self._orders.remember, id, run),
            shelf.lay,
            shelf.take,
        )
        faults.reached("begun")
        news = _News()
        making = asyncio.create_task(_collect(maker, commission, news))
        try:
            told = await self._watch(id, run, making, news, maker.seconds)
            if told == "stale":
                return None
            if told == "late":
                commission.unwanted.set()
                log.error("something took too long to be made", order=id, seconds=maker.seconds)
                return [Notice("creation_late", {"count": round(maker.seconds / 60)}), Finished(Ending.COMPLETE)]
            if told == "gone":
                commission.unwanted.set()
                await self._orders.clear(id, [f"{run}.preview"])
                return [Finished(Ending.STOPPED)]
            if told == "stopped":
                commission.unwanted.set()
                await end([making])
                return [*_files(news.parts), Finished(Ending.STOPPED)]
            making.result()
        except StorageFull as error:
            log.error("no room for what is made", order=id, cause=str(error))
            return [Notice("storage_full"), Finished(Ending.COMPLETE)]
        except StorageError:
            raise
        except Exception:
            # A mistake of ours would be the same again, and cost as much.
            log.exception("something could not be made", order=id)
            return [Notice("creation_failed"), Finished(Ending.COMPLETE)]
        finally:
            await end([making])
        if not (news.parts and isinstance(news.parts[-1], Finished)):
            news.parts.append(Finished(Ending.BROKEN))
        return news.parts

    async def _watch(self, id: str, run: str, making: asyncio.Task[None], news: _News, seconds: float) -> str:
        """Tells how far it is until it is made (``go``), takes too long (``late``), or nobody wants it from this
        run."""
        until = clock.seconds() + seconds
        while clock.seconds() < until:
            await asyncio.wait([making], timeout=NOTE_SECONDS)
            if making.done():
                return "go"
            try:
                told = await self._note(id, run, news)
            except StorageError as error:
                # What is made is worth more than the word about it.
                log.warning("how far something is could not be told", order=id, cause=str(error))
                continue
            if told != "go":
                return told
        return "late"

    async def _note(self, id: str, run: str, news: _News) -> str:
        progress, name = news.progress, ""
        is_fresh, news.is_fresh = news.is_fresh, False
        if isinstance(progress, Progress) and (preview := progress.preview) is not None:
            if len(preview.data) > MAX_PREVIEW_BYTES:
                progress = replace(progress, preview=None)
            else:
                name = f"{run}.preview"
                if is_fresh:
                    await self._orders.put_file(id, name, preview.data)
        text = parts_text([(progress, name)]) if progress is not None else ""
        told = await self._orders.note(id, run, text, name)
        if is_fresh:
            self._bells.ring(id)
        return told

    # ---- what came of it

    async def _end(self, id: str, run: str, parts: Sequence[Part]) -> None:
        try:
            written = await self._write(id, run, parts)
        except StorageFull as error:
            log.error("no room for what was made", order=id, cause=str(error))
            written = await self._write(id, run, [Notice("storage_full"), Finished(Ending.COMPLETE, _usage(parts))])
        self._bells.ring(id)
        faults.reached("made")
        await self._told(id, written)

    async def _told(self, id: str, known: Begun) -> None:
        """Sees to it that what came of an order is told, by whoever follows it or else by a call of its own."""
        if known.what == "stale":
            return
        if known.what == "ended" and known.is_handed:
            await self._hand_out(id)
        await self._orders.close(id)

    async def _write(self, id: str, run: str, parts: Sequence[Part]) -> Begun:
        """All of it or nothing."""
        named: list[tuple[Part, str]] = []
        room = MAX_RESULT_BYTES
        try:
            for number, part in enumerate(parts):
                name = ""
                if isinstance(part, Media):
                    room -= len(part.data)
                    if room < 0:
                        values = {"name": part.name, "size": Amount.of_bytes(len(part.data))}
                        named.append((Notice("creation_too_large", values), ""))
                        continue
                    name = f"{run}.{number}"
                    await self._orders.put_file(id, name, part.data)
                named.append((part, name))
            written = await self._orders.end(id, run, parts_text(named))
        except StorageFull:
            await self._orders.clear(id, [*_names(named), f"{run}.preview"])
            raise
        if written.what != "ended":
            # It was erased meanwhile, or another run makes it.
            await self._orders.clear(id, [*_names(named), f"{run}.preview"])
        return written

    async def _hand_out(self, id: str) -> None:
        """Posts the call that shows it; the mailbox refuses one that it has seen."""
        kept = await self._orders.read(id)
        if kept is None:
            return
        try:
            order = read_order(kept.order)
        except FormError as error:
            log.error("an order that cannot be read", order=id, cause=str(error))
            return
        await self._post([call_of(order, kept.shown)])


def job_of(maker: Maker) -> str:
    """The name of its job."""
    return f"make {maker.kind}"


def update_of(id: str) -> str:
    """The id of the delivery that shows an order: no platform's begins so."""
    return f"made:{id}"


def call_of(order: Order, shown: str = "") -> CommandCall:
    """Shows what came of an order, as a reply to what asked for it or else to what said that it would come."""
    return CommandCall(
        order.conversation,
        f"made-{number_of(order.id)}",
        update_of(order.id),
        Author(order.account.partition(":")[2], order.name, language=order.language),
        MADE,
        {"order": order.id},
        private=order.private,
        reply_to=order.question or shown,
        space=order.space.rpartition(":")[2],
    )


async def _collect(maker: Maker, commission: Commission, news: _News) -> None:
    async with aclosing(maker.make(commission)) as parts:
        async for part in parts:
            news.take(part)


def _files(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if not isinstance(part, Finished)]


def _names(named: Sequence[tuple[Part, str]]) -> list[str]:
    return [name for _, name in named if name]


def _usage(parts: Sequence[Part]):
    return next((part.usage for part in parts if isinstance(part, Finished)), Finished(Ending.COMPLETE).usage)
