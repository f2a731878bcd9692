"""Delivery: one renderer for all platforms. The model is read by one task and shown by another.

So a slow edit never holds the model back, an edit always shows the newest text, and the last edit always comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from bots import quizzing
from bots.adapter import Capabilities, Outbound, Page
from bots.attaching import grouped, is_picture, of_the_page, refusal
from bots.buttons import Buttons
from bots.footer import footer_of
from bots.growing import GrowingAnswer, closed
from bots.pacing import Kind, Pacer
from bots.preview import THINKING
from bots.showing import Journal, Showing
from bots.splitting import Pages, split
from bots.targets import target_of
from core import clock
from core.conversation.turn import Turn
from core.errors import OutboundError, OutboundFault
from core.message import CommandCall, Platform
from core.parts import Activity, Ending, Finished, InLine, Media, Part, Progress
from core.tasks import end
from core.texts import say
from core.worker import Delivered

log = structlog.get_logger()

TYPING_AFTER_SECONDS = 0.6
"""A quick model needs no typing signal: it would only cost a call."""
TYPING_AGAIN = 0.9
"""Of the time that a typing signal lasts."""
SECOND_SHOW = 0.5
"""The second show comes after this part of the interval: the first one holds hardly a word."""
FORMS_KEPT = 16
"""Formatted texts remembered: a page is measured and then shown."""


Elsewhere = Callable[[Turn], Awaitable[None]]
"""Tells the asker in another place that the bot may not write where they asked. Never fails."""


class Delivery:
    """Shows answers on their platforms."""

    def __init__(
        self,
        outbounds: Mapping[Platform, Outbound],
        pacers: Mapping[Platform, Pacer],
        journal: Journal,
        *,
        max_pages: int,
        buttons: Buttons | None = None,
        elsewhere: Mapping[Platform, Elsewhere] | None = None,
        inline: Mapping[Platform, Outbound] | None = None,
        currency: str = "USD",
    ) -> None:
        """``inline`` shows what is asked and answered in one message (:attr:`ConversationKey.inline`). ``currency`` is
        that of the models' prices."""
        self._outbounds = outbounds
        self._inline = inline or {}
        self._pacers = pacers
        self._journal = journal
        self._max_pages = max_pages
        self._buttons = buttons or Buttons()
        self._elsewhere = elsewhere or {}
        self._currency = currency

    async def __call__(self, turn: Turn, parts: AsyncGenerator[Part]) -> Delivered:
        platform = turn.conversation.platform
        outbounds = self._inline if turn.conversation.inline else self._outbounds
        outbound, pacer = outbounds[platform], self._pacers[platform]
        show = _Show(turn, outbound, pacer, self._journal, self._max_pages, self._buttons, self._currency)
        delivered = await show.deliver(parts)
        if show.forbidden and platform in self._elsewhere and not turn.conversation.inline:
            await self._elsewhere[platform](turn)
        return delivered


class _Show:
    """One answer on its way to one chat: what is shown of it, and when."""

    def __init__(
        self,
        turn: Turn,
        outbound: Outbound,
        pacer: Pacer,
        journal: Journal,
        max_pages: int,
        buttons: Buttons,
        currency: str,
    ) -> None:
        self._turn = turn
        self._currency = currency
        self._began = None if turn.finished else clock.seconds()
        """None where a dead worker had the answer whole."""
        self._outbound = outbound
        self._able: Capabilities = outbound.capabilities
        allowed = turn.incoming.most_pages if isinstance(turn.incoming, CommandCall) else 0
        self._max_pages = min(max_pages, allowed or max_pages)
        self._target = target_of(turn)
        self._group = not self._target.private
        self._buttons = buttons
        self._answer = GrowingAnswer(turn, menus=self._able.menus)
        self._showing = Showing(self._answer, self._target, outbound, pacer, journal)
        self._simple = not self._able.rich
        """Pages are formatted in the form that every server takes."""
        self._is_rewriting = False
        """Some of the pages may have been shown in their final form before."""
        self._formatted: dict[str, Page] = {}
        self._pages = Pages(self._able.max_text, self._measure)
        self._signalled_at = -self._able.typing_lifetime
        self._undelivered = ""
        """Why the platform took not all of it."""
        self._closed = False
        self._apart = False
        """Pictures are messages of their own, whatever the platform can show."""
        self._barred: OutboundError | None = None
        """Why no file may be sent there."""
        self.forbidden = False
        """The bot has no right to write there."""

    async def deliver(self, parts: AsyncGenerator[Part]) -> Delivered:
        """Returns when everything is shown, or the platform takes no more. Raises LeaseLost, StorageError."""
        reader = asyncio.create_task(self._answer.read(parts))
        try:
            await self._show()
        finally:
            await end([reader])
            await self._showing.preview.end()
        if self._answer.failure is not None:
            raise self._answer.failure
        finished = self._answer.finished or Finished(Ending.BROKEN)
        ending = Ending.SUPERSEDED if self._turn.reason == "moved" else finished.ending
        return Delivered(
            self._answer.text, ending, finished.usage, finished.causes, self._undelivered, closed=self._closed
        )

    # ---- showing

    async def _show(self) -> None:
        """Shows the answer to its end; what the platform does not take is at least told of."""
        try:
            try:
                await self._follow()
            except OutboundError as error:
                if error.fault is not OutboundFault.REFUSED:
                    raise
                self._undelivered = str(error)
                log.error("answer refused by the platform", turn=self._turn.id, cause=error.detail)
                await self._showing.put(max(self._turn.pages, default=-1) + 1, self._simple_page(self._say("refused")))
        except OutboundError as error:
            if error.fault is OutboundFault.CLOSED:
                self._closed = True
                log.info("chat is closed to us", turn=self._turn.id, cause=error.detail)
            elif error.fault is OutboundFault.FORBIDDEN:
                self.forbidden = True
                log.info("not allowed to write", turn=self._turn.id, cause=error.detail)
            elif error.fault is OutboundFault.MOVED:
                self._turn.interrupt("moved")
                log.info("chat has moved", turn=self._turn.id)
            else:
                self._undelivered = str(error)
                log.error("answer not delivered", turn=self._turn.id, cause=error.detail)

    async def _follow(self) -> None:
        interval = self._able.group_edit_interval if self._group else self._able.edit_interval
        shows = 0
        is_taken_over = self._turn.slot is not None
        await self._showing.recover(self._page_of_the_whole)
        await self._wait_for_text()
        self._is_rewriting = is_taken_over or bool(self._turn.pages)
        while self._answer.finished is None:
            if self._answer.text.strip():
                await self._in_some_form(self._show_running)
                shows += 1
            if self._answer.activity is not Activity.TEXT:
                await self._signal(self._answer.activity)
            await self._pause(interval * (SECOND_SHOW if shows == 1 else 1.0))
        await self._in_some_form(self._show_final)

    async def _in_some_form(self, show: Callable[[], Awaitable[None]]) -> None:
        """Shows; once more, all of it formatted and paged anew, where the platform does not take the richer form."""
        try:
            await show()
        except OutboundError as error:
            if error.fault is not OutboundFault.FORM or self._simple:
                raise
            log.info("shown in the simple form", turn=self._turn.id, cause=error.detail)
            self._simple = True
            self._formatted.clear()
            self._pages = Pages(self._able.max_text, self._measure)
            await show()

    async def _wait_for_text(self) -> None:
        """Until there is text or an end. Shows that an answer is being made while that takes long."""
        answer, preview = self._answer, self._showing.preview
        pause = TYPING_AFTER_SECONDS
        while answer.finished is None and not answer.text.strip():
            answer.changed.clear()
            try:
                await asyncio.wait_for(answer.changed.wait(), pause)
                await self._show_awaited()
            except TimeoutError:
                if answer.awaited is not None:
                    pass  # it is shown already
                elif preview.thinks and not self._turn.pages and answer.activity is Activity.TEXT:
                    await self._showing.quietly(preview.show(0, THINKING))
                else:
                    await self._signal(answer.activity)
                pause = self._able.typing_lifetime * TYPING_AGAIN or 60.0

    async def _show_awaited(self) -> None:
        """The place in line, or how far it is, where the answer is going to stand."""
        found, preview = self._answer.awaited, self._showing.preview
        if found is None:
            return
        page = self._growing(self._simple_page(_told_awaited(found, self._turn.language)))
        if self._showing.has(0):
            await self._showing.try_edit(0, replace(page, pictures=self._preview_of(found)))
        elif preview.works:
            await self._showing.quietly(preview.show(0, page))
        else:
            await self._showing.put(0, page, newest=lambda: page if self._answer.awaited else None)

    def _preview_of(self, found: InLine | Progress) -> tuple[Media, ...]:
        """What it looks like so far, where a message can show another picture at once."""
        preview = found.preview if isinstance(found, Progress) else None
        return (preview,) if preview is not None and self._able.album_is_one and is_picture(preview) else ()

    async def _signal(self, activity: Activity) -> None:
        """Shows what is being made, as long as that lasts."""
        now = clock.seconds()
        lasts = self._signalled_at + self._able.typing_lifetime * TYPING_AGAIN - now
        if self._able.typing_lifetime and lasts <= 0 and self._showing.may(Kind.TYPING):
            self._signalled_at = now
            await self._showing.quietly(self._outbound.typing(self._target, activity))

    async def _pause(self, seconds: float) -> None:
        """The time between two shows, cut short by the end of the answer."""
        try:
            await asyncio.wait_for(self._answer.ended.wait(), seconds)
        except TimeoutError:
            return

    async def _show_running(self) -> None:
        """Intermediate: pages that are full are shown for good, the last one if there is room for that."""
        pages = self._newest_pages()
        if not pages:
            return  # nothing but marks so far
        for number, markdown in enumerate(pages[:-1]):
            await self._showing.put(number, self._final(self._page(markdown)))
        number, page = len(pages) - 1, self._page(self._with_awaited(pages[-1]))
        if self._showing.has(number):
            await self._showing.try_edit(number, self._growing(page))
        elif self._showing.preview.works:
            await self._showing.quietly(self._showing.preview.show(number, page))
        else:
            await self._showing.put(number, self._growing(page), newest=lambda: self._newest(number))

    def _newest_pages(self) -> list[str]:
        return self._pages.update(self._answer.text)[: self._max_pages]

    def _newest(self, number: int) -> Page | None:
        """The page as it is by now; None when the final show is to send it."""
        if self._answer.finished is not None:
            return None
        return self._growing(self._page(self._with_awaited(self._newest_pages()[number])))

    def _with_awaited(self, markdown: str) -> str:
        """The newest page with a line on what it waits for, as long as it does and there is room for it."""
        if self._answer.awaited is None:
            return markdown
        line = _told_awaited(self._answer.awaited, self._turn.language).replace("\n", " ")
        told = f"{closed(markdown.rstrip())}\n\n*{line}*"
        return told if self._measure(told) <= self._able.max_text else markdown

    def _growing(self, page: Page) -> Page:
        buttons = self._buttons.while_it_grows(self._turn, self._able)
        return replace(self._final(page) if self._is_rewriting else page, buttons=buttons)

    def _final(self, page: Page) -> Page:
        return replace(page, final=True) if self._able.final_form else page

    async def _show_final(self) -> None:
        """The whole answer with what is to be said about its end."""
        answer, finished = self._answer, self._answer.finished
        assert finished is not None
        if finished.ending in (Ending.SUPERSEDED, Ending.SILENT):
            return
        pages = self._pages.update(answer.whole(finished.ending))
        if not (pages or answer.media):
            pages = [self._say("empty")]  # it was nothing but marks
        rest = len(pages) > self._max_pages
        footer = self._footer(finished)
        shown = [self._final(self._page(text)) for text in pages[: self._max_pages]]
        groups = grouped(answer.media, self._able)
        pictures = () if rest or self._apart else of_the_page(groups, self._able)
        if pictures:
            shown, groups = shown or [self._simple_page("")], groups[1:]
            shown[-1] = replace(shown[-1], pictures=pictures)
        if shown:
            buttons = self._buttons.at_the_end(self._turn, finished.ending, answer.menu, self._able)
            shown[-1] = replace(shown[-1], buttons=buttons, footer=footer)
        if self._able.endings:
            shown = [replace(page, ending=str(finished.ending)) for page in shown]
        is_all = not (rest or groups or answer.polls)
        try:
            for number, page in enumerate(shown):
                await self._showing.put(number, page, last=is_all and number == len(shown) - 1)
        except OutboundError as error:
            if not pictures or error.fault not in (OutboundFault.NO_FILES, OutboundFault.REFUSED):
                raise
            log.info("pictures were not taken with the text", turn=self._turn.id, cause=error.detail)
            self._apart = True
            self._barred = error if error.fault is OutboundFault.NO_FILES else None
            await self._show_final()
            return
        for number in [n for n in self._turn.pages if n >= len(shown)]:
            # An earlier form of the answer was longer.
            await self._showing.remove(number)
        if rest and self._able.max_file:
            # What is said about the end stood behind what the pages hold.
            said = "\n".join((self._say("as_file"), *answer.all_notices(finished.ending)))
            file = Media("answer.md", "text/markdown", answer.text.encode())
            await self._attach(len(shown), [file], self._simple_page(said))
            shown.append(self._simple_page(said))
        number = len(shown)
        for media in groups:
            is_end = not shown and media is groups[-1]
            await self._attach(number, media, replace(self._simple_page(""), footer=footer if is_end else ""))
            number += len(media)
        await quizzing.ask(self._showing, answer.polls, number, self._able, self._turn, self._simple_page)

    async def _attach(self, number: int, media: Sequence[Media], caption: Page) -> None:
        """A file, or several pictures as an album; where none may be sent, that is said."""
        try:
            if self._barred is not None:
                raise self._barred
            await self._attach_some(number, media, caption)
        except OutboundError as error:
            if error.fault is not OutboundFault.NO_FILES:
                raise
            self._barred = error
            log.info("not allowed to send a file", turn=self._turn.id, cause=error.detail)
            said = say("no_files", self._turn.language, name=media[0].name, count=len(media))
            await self._showing.put(number, self._simple_page(said))

    async def _attach_some(self, number: int, media: Sequence[Media], caption: Page) -> None:
        """What the platform would refuse is told instead."""
        first = media[0]
        if reason := refusal(first, self._able, self._turn.language):
            await self._showing.put(number, self._simple_page(reason))
            return
        if self._able.activities:
            await self._signal(Activity.of(first.mime))
        if len(media) > 1:
            try:
                await self._showing.attach_album(number, media, caption)
                return
            except OutboundError as error:
                if error.fault is not OutboundFault.REFUSED:
                    raise
                log.info("an album was refused", turn=self._turn.id, cause=error.detail)
        for offset, file in enumerate(media):
            await self._showing.attach(number + offset, file, caption)

    # ---- forms

    def _say(self, key: str) -> str:
        return say(key, self._turn.language)

    def _page(self, markdown: str) -> Page:
        page = self._formatted.get(markdown)
        if page is None:
            if len(self._formatted) > FORMS_KEPT:
                self._formatted.clear()
            page = self._formatted[markdown] = self._outbound.format(markdown, simple=self._simple)
        return page

    def _simple_page(self, markdown: str) -> Page:
        return self._final(self._outbound.format(markdown, simple=True))

    def _footer(self, finished: Finished) -> str:
        """What made the answer, where that is shown: in the platform's own form."""
        if not self._able.footers:
            return ""
        seconds = None if self._began is None else clock.seconds() - self._began
        said = footer_of(finished.usage, seconds, self._turn.language, self._currency)
        return self._outbound.format(said, simple=True).text

    def _page_of_the_whole(self, number: int) -> Page:
        """A page of an answer that a dead worker had recorded; an empty one where it was not that far."""
        text = self._turn.text
        pages = split(text, self._able.max_text, self._measure) if text else []
        return self._page(pages[number] if number < len(pages) else "")

    def _measure(self, markdown: str) -> int:
        return self._page(markdown).length


def _told_awaited(found: InLine | Progress, language: str) -> str:
    """In round figures, so that it does not change with every second."""
    if isinstance(found, Progress):
        said = say(found.key, language, **found.values)
        return said if found.done is None else f"{said}\n{_bar(found.done)}"
    if not found.seconds:
        return say("in_line", language, place=found.place)
    if found.seconds <= 90:
        return say("in_line_seconds", language, place=found.place, seconds=-(-found.seconds // 5) * 5)
    return say("in_line_minutes", language, place=found.place, minutes=-(-found.seconds // 60))


def _bar(done: float) -> str:
    """A bar of ten blocks, and per cent."""
    blocks = int(min(max(done, 0.0), 1.0) * 10)
    return f"{'▰' * blocks}{'▱' * (10 - blocks)} {done:.0%}"
