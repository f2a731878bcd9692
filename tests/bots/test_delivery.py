"""Delivery to a platform that does what a test wants, over the real mailbox."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import pytest

from bots import delivery as delivery_module
from bots.adapter import Capabilities, Page, Slot, Target
from bots.delivery import Delivery
from bots.pacing import WEB, Pacer
from core.conversation.mailbox import Admission, Mailbox, Turn
from core.errors import LeaseLost, OutboundError, OutboundFault, StorageError
from core.message import Attachment, Author, ConversationKey, Platform
from core.parts import Ending, Finished, Notice, Part, TextDelta
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

    def _may_fail(self, method: str) -> None:
        if waiting := self.failures.get(method):
            raise OutboundError(waiting.pop(0), method)

    def format(self, markdown: str) -> Page:
        return Page(markdown, len(markdown))

    def mark(self, target: Target) -> str:
        return "1"

    async def send(self, target: Target, page: Page, slot: Slot) -> str:
        self._may_fail("send")
        self.created += 1
        self.shown[f"m{self.created}"] = page.text
        return f"m{self.created}"

    async def find(self, target: Target, page: Page, slot: Slot, known: Sequence[str]) -> str | None:
        self._may_fail("find")
        self.known = known
        return None

    async def edit(self, target: Target, message_id: str, page: Page) -> None:
        self._may_fail("edit")
        self.shown[message_id] = page.text

    async def draft(self, target: Target, slot: Slot, page: Page) -> None: ...

    async def typing(self, target: Target) -> None: ...

    async def send_file(self, target: Target, name: str, mime: str, data: bytes, caption: Page, slot: Slot) -> str:
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

    async def deliver(self, turn: Turn, *parts: Part | Exception, max_pages: int = 3) -> Delivered:
        async def answer() -> AsyncGenerator[Part]:
            for part in parts:
                if isinstance(part, Exception):
                    raise part
                yield part

        pacers = {Platform.TELEGRAM: Pacer(WEB)}
        show = Delivery({Platform.TELEGRAM: self.board}, pacers, self.mailbox, max_pages=max_pages)
        return await show(turn, answer())

    @property
    def texts(self) -> list[str]:
        return list(self.board.shown.values())


@pytest.fixture
def stage(store: Store, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(delivery_module, "RETRY_SECONDS", (0.01,))
    return Stage(store)


DONE = Finished(Ending.COMPLETE)


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
