"""Delivery to a platform that does what a test wants, over the real mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from bots import delivery as delivery_module
from bots import preview as preview_module
from bots import showing as showing_module
from bots.adapter import Capabilities, Page, Slot, Target
from bots.delivery import Delivery
from bots.pacing import WEB, Pacer
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.errors import LeaseLost, OutboundError, OutboundFault, StorageError
from core.message import Attachment, Author, ConversationKey, Platform
from core.parts import Activity, Ending, Finished, Making, Media, Notice, Part, Progress, TextDelta, Usage
from core.storage.client import Store
from core.storage.keys import ConversationKeys
from core.texts import say
from core.worker import Delivered
from tests.builders import message

ABLE = Capabilities(max_text=300, edit_interval=0.01, group_edit_interval=0.01, max_file=10_000)


@dataclass
class Board:
    """A platform: what stands on it, and what it refuses."""

    platform: Platform = Platform.TELEGRAM
    capabilities: Capabilities = ABLE
    shown: dict[str, str] = field(default_factory=dict[str, str])
    failures: dict[str, list[OutboundFault]] = field(default_factory=dict[str, list[OutboundFault]])
    """Method -> what its next calls fail with."""
    created: int = 0
    known: Sequence[str] = ()
    """What the last search was told to be other messages."""
    pages: list[Page] = field(default_factory=list[Page])
    """Everything that was sent or edited."""
    previews: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    signals: list[Activity] = field(default_factory=list[Activity])
    rich: bool = False
    """It takes the richer form."""
    drawing: asyncio.Event = field(default_factory=asyncio.Event)
    """A preview is on its way, and waits for ``free``."""
    free: asyncio.Event | None = None

    def _may_fail(self, method: str) -> None:
        if waiting := self.failures.get(method):
            raise OutboundError(waiting.pop(0), method)

    def format(self, markdown: str, *, simple: bool = False) -> Page:
        if simple or not self.capabilities.rich:
            return Page(markdown, len(markdown))
        return Page(markdown, len(markdown) // 4, rich=f"rich {markdown}")

    def _text(self, page: Page) -> str:
        if page.rich and not self.rich:
            raise OutboundError(OutboundFault.FORM, "no rich pages")
        return page.rich or page.text

    def mark(self, target: Target) -> str:
        return "1"

    async def send(self, target: Target, page: Page, slot: Slot) -> str:
        self._may_fail("send")
        self.pages.append(page)
        text = self._text(page)
        self.created += 1
        self.shown[f"m{self.created}"] = text
        return f"m{self.created}"

    async def find(self, target: Target, page: Page, slot: Slot, known: Sequence[str]) -> str | None:
        self._may_fail("find")
        self.known = known
        return None

    async def edit(self, target: Target, message_id: str, page: Page) -> None:
        self._may_fail("edit")
        self.pages.append(page)
        self.shown[message_id] = self._text(page)

    async def draft(self, target: Target, slot: Slot, page: Page, *, stoppable: bool = True) -> None:
        self._may_fail("draft")
        if self.free is not None:
            self.drawing.set()
            await self.free.wait()
        self.previews.append((slot.number, self._text(page)))

    async def typing(self, target: Target, activity: Activity = Activity.TEXT) -> None:
        self.signals.append(activity)

    async def send_file(
        self, target: Target, name: str, mime: str, data: bytes, caption: Page, slot: Slot, *, description: str = ""
    ) -> str:
        return await self.send(target, caption, slot)

    async def delete(self, target: Target, message_id: str) -> None:
        self._may_fail("delete")
        del self.shown[message_id]

    async def fetch(self, conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        return b""


class Stage:
    """Delivers one answer after the other to the board."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.mailbox = Mailbox(store, "w", admission=Admission(5), keep_days=1)
        self.board = Board()
        self.language = ""

    async def turn(self) -> Turn:
        asked = message("question", author=Author("7", "Ada", language=self.language))
        await self.mailbox.post([asked])
        turn = await self.mailbox.take(asked.conversation)
        assert turn is not None
        return turn

    async def deliver(
        self, turn: Turn, *parts: Part | Exception | Callable[[], bool], max_pages: int = 3, pacer: Pacer | None = None
    ) -> Delivered:
        """A function among the parts is waited for, until it says yes."""

        async def answer() -> AsyncGenerator[Part]:
            for part in parts:
                if isinstance(part, Exception):
                    raise part
                if callable(part):
                    await until(part)
                else:
                    yield part

        pacers = {Platform.TELEGRAM: pacer or Pacer(WEB)}
        show = Delivery({Platform.TELEGRAM: self.board}, pacers, self.mailbox, max_pages=max_pages)
        return await show(turn, answer())

    @property
    def texts(self) -> list[str]:
        return list(self.board.shown.values())


@pytest.fixture
def stage(store: Store, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(showing_module, "RETRY_SECONDS", (0.01,))
    return Stage(store)


DONE = Finished(Ending.COMPLETE)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("error", [LeaseLost("taken over"), StorageError("Redis is away")])
async def test_a_turn_that_is_not_ours_to_end_shows_nothing_and_says_so(stage: Stage, error: Exception) -> None:
    with pytest.raises(type(error)):
        await stage.deliver(await stage.turn(), error)
    assert stage.texts == []


async def test_a_defect_in_the_engine_is_shown_as_broken_off(stage: Stage) -> None:
    delivered = await stage.deliver(await stage.turn(), TextDelta("half"), RuntimeError("defect"))
    assert delivered.ending is Ending.BROKEN
    assert stage.texts == [f"half\n\n*{say('broken')}*"]


@pytest.mark.parametrize(("key", "keys"), [("shortened", ("shortened", "failed")), ("no_models", ("no_models",))])
async def test_a_failure_is_told_beside_other_notices_but_not_explained_twice(
    stage: Stage, key: str, keys: tuple[str, ...]
) -> None:
    await stage.deliver(await stage.turn(), Notice(key), Finished(Ending.FAILED))
    assert stage.texts == ["\n".join(map(say, keys))]


async def test_notices_are_in_the_language_of_the_asker(stage: Stage) -> None:
    stage.language = "zh-hans"
    await stage.deliver(await stage.turn(), TextDelta("text"), Finished(Ending.LENGTH))
    assert stage.texts == [f"text\n\n*{say('length', 'zh')}*"]


@pytest.mark.parametrize("method", ["send", "edit"])
async def test_what_the_platform_refuses_is_told(stage: Stage, method: str) -> None:
    turn = await stage.turn()
    if method == "edit":
        turn.pages[0] = await stage.board.send(Target(turn.conversation, True, ""), Page("old", 3), Slot("t", 0))
    stage.board.failures[method] = [OutboundFault.REFUSED]
    await stage.deliver(turn, TextDelta("\u200b"), DONE)
    assert stage.texts[-1] == say("refused")
    assert len(stage.texts) == (1 if method == "send" else 2)


async def test_an_answer_of_nothing_but_marks_is_told_as_empty(stage: Stage) -> None:
    await stage.deliver(await stage.turn(), TextDelta("> "), DONE)
    assert stage.texts == [say("empty")]


async def test_pages_that_are_too_many_go_even_when_the_first_try_fails(stage: Stage) -> None:
    turn = await stage.turn()
    await stage.deliver(turn, TextDelta("word " * 150), DONE)
    assert len(stage.texts) == 3
    stage.board.failures["delete"] = [OutboundFault.TRANSIENT, OutboundFault.RATE_LIMITED, OutboundFault.TRANSIENT]
    await stage.deliver(turn, TextDelta("short"), DONE)
    assert stage.texts == ["short"]


async def test_a_platform_that_was_down_for_long_gets_the_answer(stage: Stage) -> None:
    stage.board.failures["send"] = [OutboundFault.TRANSIENT] * 40
    await stage.deliver(await stage.turn(), TextDelta("text"), DONE)
    assert stage.texts == ["text"]


async def test_a_bot_that_may_not_look_still_answers_after_a_crash(stage: Stage) -> None:
    await stage.mailbox.about_to_create(await stage.turn(), 0, "1")
    stage.board.failures["find"] = [OutboundFault.FORBIDDEN]
    await stage.deliver(await stage.turn(), TextDelta("text"), DONE)
    assert stage.texts == ["text"]


async def test_a_search_knows_what_else_stands_in_the_conversation(stage: Stage) -> None:
    turn = await stage.turn()
    key = ConversationKeys.of(turn.conversation).order
    await stage.mailbox.about_to_create(turn, 0, "1")
    await stage.mailbox.created(turn, 0, "page")
    await stage.mailbox.about_to_create(turn, 1, "1")
    await stage.store.redis.zadd(key, {"old question": 1, "old answer": 2})
    await stage.deliver(await stage.turn(), TextDelta("text"), DONE)
    assert list(stage.board.known) == ["page", "old answer", "old question"]


async def test_the_file_of_a_long_answer_says_how_it_ended(stage: Stage) -> None:
    await stage.deliver(await stage.turn(), TextDelta("word " * 150), Finished(Ending.LENGTH), max_pages=1)
    assert stage.texts[-1] == f"{say('as_file')}\n{say('length')}"


# ---- the final form, and the footer


@pytest.mark.parametrize("has_form", [True, False])
async def test_pages_that_grow_no_more_are_marked_where_the_platform_asks_for_it(stage: Stage, has_form: bool) -> None:
    board = stage.board
    board.capabilities = replace(ABLE, final_form=has_form)
    long = lambda: len(stage.texts) == 2  # noqa: E731
    await stage.deliver(await stage.turn(), TextDelta("word " * 80), long, TextDelta("end"), DONE)
    last = {page.text: page.final for page in board.pages}
    assert [last[text] for text in stage.texts] == [has_form] * 2
    # The first page was full when it was created; the second one grew first.
    assert [page.final for page in board.pages] == [has_form, False, has_form]


async def test_pages_of_a_former_answer_keep_the_final_form_while_they_change(stage: Stage) -> None:
    board = stage.board
    board.capabilities = replace(ABLE, final_form=True)
    turn = await stage.turn()
    turn.pages[0] = await board.send(Target(turn.conversation, True, ""), Page("old", 3, final=True), Slot("t", 0))
    await stage.deliver(turn, TextDelta("new"), lambda: stage.texts == ["new"], TextDelta(" words"), DONE)
    assert [page.final for page in board.pages] == [True] * 3


@pytest.mark.parametrize(
    ("able", "usage", "is_under"),
    [
        (True, Usage("big*model", 1, 1, 1_234_567), True),
        (True, Usage(), False),
        (False, Usage("big*model", 1, 1, 1_234_567), False),
    ],
)
async def test_the_last_page_of_a_models_answer_has_a_footer(
    stage: Stage, able: bool, usage: Usage, is_under: bool
) -> None:
    stage.board.capabilities = replace(ABLE, footers=able)
    await stage.deliver(await stage.turn(), TextDelta("word " * 80), Finished(Ending.COMPLETE, usage))
    *others, last = stage.board.pages
    assert {page.footer for page in others} == {""}
    assert bool(last.footer) is is_under
    if is_under:
        model, seconds, cost = last.footer.split(" · ")
        assert (model, seconds[-4:], cost) == (r"big\*model", " sec", "$1.23")


async def test_what_another_process_asked_has_no_time_in_its_footer(stage: Stage) -> None:
    stage.board.capabilities = replace(ABLE, footers=True)
    turn = await stage.turn()
    turn.finished = Finished(Ending.COMPLETE, Usage("model", 1, 1, 5))
    await stage.deliver(turn, TextDelta("text"), turn.finished)
    assert stage.board.pages[-1].footer == "model"


# ---- previews


@pytest.fixture
def drafts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A platform with previews that are forgotten soon."""
    monkeypatch.setattr(preview_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(delivery_module, "TYPING_AFTER_SECONDS", 0.01)
    stage.board.capabilities = replace(ABLE, drafts=True, draft_lifetime=0.06, typing_lifetime=0.05, activities=True)
    return stage


async def test_a_preview_says_that_an_answer_is_being_made_and_is_kept(drafts: Stage) -> None:
    board = drafts.board
    kept = [lambda: board.previews.count((0, "")) >= 3, lambda: board.previews.count((0, "half")) >= 3]
    await drafts.deliver(await drafts.turn(), kept[0], TextDelta("half"), kept[1], TextDelta(" and half"), DONE)
    assert drafts.texts == ["half and half"]
    assert board.signals == []
    previews = len(board.previews)
    await asyncio.sleep(0.1)
    assert len(board.previews) == previews, "nothing is shown after the message"


async def test_a_preview_is_kept_while_the_message_waits(drafts: Stage) -> None:
    board = drafts.board
    turn = await drafts.turn()
    pacer = Pacer(WEB)
    showing = asyncio.create_task(
        drafts.deliver(turn, TextDelta("whole"), lambda: bool(board.previews), DONE, pacer=pacer)
    )
    await until(lambda: bool(board.previews))
    pacer.refused(turn.conversation.chat, 0.5, False)
    before = len(board.previews)
    await until(lambda: len(board.previews) >= before + 3)
    assert drafts.texts == []
    await showing
    assert drafts.texts == ["whole"]


async def test_a_preview_on_its_way_arrives_before_the_message(drafts: Stage) -> None:
    board = drafts.board

    def is_renewed() -> bool:
        if board.previews and board.free is None:
            board.free = asyncio.Event()
        return board.drawing.is_set()

    showing = asyncio.create_task(drafts.deliver(await drafts.turn(), TextDelta("text"), is_renewed, DONE))
    await until(board.drawing.is_set)
    await asyncio.sleep(0.05)
    assert drafts.texts == []
    assert board.free is not None
    board.free.set()
    await showing
    assert drafts.texts == ["text"]
    assert board.previews[-1] == (0, "text")


async def test_full_pages_are_messages_and_the_last_one_is_a_preview(drafts: Stage) -> None:
    board = drafts.board
    text = "word " * 80
    seen = lambda: any(number == 1 for number, _ in board.previews)  # noqa: E731
    await drafts.deliver(await drafts.turn(), TextDelta(text), seen, DONE)
    assert [len(text) for text in drafts.texts] == [299, 99]


async def test_without_previews_the_message_is_edited(drafts: Stage) -> None:
    board = drafts.board
    board.failures["draft"] = [OutboundFault.REFUSED]
    half = lambda: drafts.texts == ["half"]  # noqa: E731
    await drafts.deliver(await drafts.turn(), TextDelta("half"), half, TextDelta(" done"), DONE)
    assert drafts.texts == ["half done"]
    assert board.previews == []


async def test_a_server_that_wants_words_in_a_preview(drafts: Stage) -> None:
    board = drafts.board
    board.failures["draft"] = [OutboundFault.REFUSED]
    parts = (lambda: Activity.TEXT in board.signals, TextDelta("half"), lambda: (0, "half") in board.previews, DONE)
    await drafts.deliver(await drafts.turn(), *parts)
    assert drafts.texts == ["half"]


async def test_an_answer_shown_in_place_has_no_preview(drafts: Stage) -> None:
    board = drafts.board
    turn = await drafts.turn()
    turn.pages[0] = await board.send(Target(turn.conversation, True, ""), Page("old", 3), Slot("t", 0))
    await drafts.deliver(turn, lambda: Activity.TEXT in board.signals, TextDelta("new"), DONE)
    assert drafts.texts == ["new"]
    assert board.previews == []


async def test_what_is_being_made_is_told(drafts: Stage) -> None:
    board = drafts.board
    made = lambda: Activity.PHOTO in board.signals  # noqa: E731
    picture = Media("a.ogg", "audio/ogg", b"x")
    await drafts.deliver(await drafts.turn(), Making(Activity.PHOTO), made, picture, DONE)
    assert board.previews == []
    assert drafts.texts == [""]


async def test_how_far_something_is_stands_below_the_text_that_is_there_until_more_comes(stage: Stage) -> None:
    board = stage.board
    waiting = lambda: any("maintenance" in text and "40%" in text for text in stage.texts)  # noqa: E731
    gone = lambda: any(text.startswith("Let me see. Here") and "maintenance" not in text for text in stage.texts)  # noqa: E731
    parts = (
        TextDelta("Let me see."),
        Progress("creation_paused", {}, 0.4),
        waiting,
        TextDelta(" Here it is."),
        gone,
        DONE,
    )
    await stage.deliver(await stage.turn(), *parts)
    assert stage.texts == ["Let me see. Here it is."]
    assert any(page.text.startswith("Let me see.\n\n*") for page in board.pages)


async def test_how_far_something_is_never_makes_a_page_of_its_own(stage: Stage) -> None:
    most = stage.board.capabilities.max_text
    shown = lambda: stage.texts == ["x" * most]  # noqa: E731
    await stage.deliver(await stage.turn(), TextDelta("x" * most), Progress("creation_paused", {}, 0.4), shown, DONE)
    assert stage.texts == ["x" * most]
    assert stage.board.created == 1


@pytest.mark.parametrize("is_one", [True, False])
async def test_a_picture_is_shown_while_it_is_made_where_a_message_can_change_its_picture(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, is_one: bool
) -> None:
    monkeypatch.setattr(delivery_module, "TYPING_AFTER_SECONDS", 0.01)
    board = stage.board
    board.capabilities = replace(ABLE, album=4, album_is_one=is_one, max_file=1000, menus=True, buttons=True)
    half, whole = Media("p.png", "image/png", b"half"), Media("p.png", "image/png", b"whole")
    turn = await stage.turn()
    turn.creations.append("o1")

    def told(part: str) -> Callable[[], bool]:
        return lambda: any(part in text for text in stage.texts)

    begun, further = Progress("making.draw", {"prompt": "a"}, 0.1), Progress("making.draw", {"prompt": "a"}, 0.5, half)
    await stage.deliver(turn, begun, told("10%"), further, told("50%"), whole, DONE)
    assert ((half,) in [page.pictures for page in board.pages]) is is_one
    assert ((whole,) in [page.pictures for page in board.pages]) is is_one


async def test_what_shows_by_itself_is_answered_without_a_word(stage: Stage) -> None:
    delivered = await stage.deliver(await stage.turn(), Finished(Ending.SILENT))
    assert delivered.ending is Ending.SILENT
    assert stage.texts == []


# ---- the richer form


async def test_richer_pages_hold_more(stage: Stage) -> None:
    stage.board.capabilities, stage.board.rich = replace(ABLE, rich=True), True
    await stage.deliver(await stage.turn(), TextDelta("word " * 150), DONE)
    assert [text.split()[:2] for text in stage.texts] == [["rich", "word"]]


async def test_a_form_that_is_refused_costs_nothing(stage: Stage) -> None:
    """Also when some of the answer stands already: it is paged anew, nothing is lost and nothing doubled."""
    board = stage.board
    board.capabilities, board.rich = replace(ABLE, rich=True), True
    words = [f"w{number:03}" for number in range(300)]
    turn = await stage.turn()

    def withdrawn() -> bool:
        board.rich = not stage.texts
        return not board.rich

    await stage.deliver(
        turn, TextDelta(" ".join(words[:280])), withdrawn, TextDelta(f" {' '.join(words[280:])}"), DONE, max_pages=9
    )
    assert " ".join(stage.texts).split() == words
    assert len(stage.texts) == len(turn.pages) == board.created == 5


async def test_a_form_that_is_refused_at_the_end(stage: Stage) -> None:
    stage.board.capabilities = replace(ABLE, rich=True)
    await stage.deliver(await stage.turn(), TextDelta("word " * 150), Finished(Ending.LENGTH), max_pages=9)
    assert " ".join(stage.texts).split().count("word") == 150
    assert say("length") in stage.texts[-1]


async def test_a_preview_in_a_form_that_is_refused(drafts: Stage) -> None:
    board = drafts.board
    board.capabilities = replace(board.capabilities, rich=True)
    seen = lambda: (0, "half") in board.previews  # noqa: E731
    await drafts.deliver(await drafts.turn(), TextDelta("half"), seen, DONE)
    assert drafts.texts == ["half"]
