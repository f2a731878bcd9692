"""Answers with files, through delivery to Telegram."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest

from bots.delivery import Delivery
from bots.pacing import WEB, Pacer
from bots.showing import Journal
from bots.telegram_bot.outbound import TelegramOutbound
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.errors import LeaseLost
from core.message import ConversationKey, Platform
from core.parts import Ending, Finished, Media, Part, TextDelta
from core.storage.client import Store
from tests.builders import message
from tests.platforms.telegram_server import TelegramServer
from tests.platforms.telegram_world import PNG

DONE = Finished(Ending.COMPLETE)
CHAT = ConversationKey(Platform.TELEGRAM, "4242", "77")


@pytest.fixture
def mailbox(store: Store) -> Mailbox:
    return Mailbox(store, "w", Admission(5), keep_days=1)


@pytest.fixture
async def turn(mailbox: Mailbox, server: TelegramServer) -> Turn:
    asked = message("Draw!", conversation=CHAT, id=str(server.world.text(77, "Draw!")))
    await mailbox.post([asked])
    turn = await mailbox.take(CHAT)
    assert turn is not None
    return turn


class Dying:
    """Its process dies as soon as a message is there."""

    def __init__(self, journal: Journal) -> None:
        self.about_to_create = journal.about_to_create
        self.taking_back = journal.taking_back
        self.recent = journal.recent

    async def created(self, turn: Turn, page: int, message_id: str) -> None:
        raise LeaseLost("killed")


async def deliver(turn: Turn, outbound: TelegramOutbound, journal: Journal, *parts: Part) -> None:
    async def answer() -> AsyncGenerator[Part]:
        for part in (*parts, DONE):
            yield part

    show = Delivery({Platform.TELEGRAM: outbound}, {Platform.TELEGRAM: Pacer(WEB)}, journal, max_pages=3)
    await show(turn, answer())


def pictures(count: int) -> list[Media]:
    return [Media(f"{n}.png", "image/png", PNG + bytes([n])) for n in range(count)]


def albums(server: TelegramServer) -> Sequence[str]:
    return [post.extra.get("media_group_id", "") for post in server.world.shown(77) if post.media]


async def test_pictures_of_an_answer_are_one_album(
    server: TelegramServer, outbound: TelegramOutbound, mailbox: Mailbox, turn: Turn
) -> None:
    await deliver(turn, outbound, mailbox, TextDelta("Here:"), *pictures(3))
    assert len(albums(server)) == 3
    assert len(set(albums(server))) == 1
    # Each of its messages stands for the answer.
    assert sorted(turn.pages.values()) == sorted(str(post.id) for post in server.world.shown(77))


async def test_eleven_pictures_are_an_album_and_one_more(
    server: TelegramServer, outbound: TelegramOutbound, mailbox: Mailbox, turn: Turn
) -> None:
    await deliver(turn, outbound, mailbox, *pictures(11))
    assert [albums(server).count(album) for album in dict.fromkeys(albums(server))] == [10, 1]


async def test_a_picture_that_is_none_does_not_take_the_others_along(
    server: TelegramServer, outbound: TelegramOutbound, mailbox: Mailbox, turn: Turn
) -> None:
    await deliver(turn, outbound, mailbox, *pictures(2), Media("bad.png", "image/png", b"broken"))
    assert [next(iter(post.media)) for post in server.world.shown(77)] == ["photo", "photo", "document"]


async def test_an_album_that_was_not_recorded_is_found_again(
    server: TelegramServer, outbound: TelegramOutbound, mailbox: Mailbox, turn: Turn
) -> None:
    with pytest.raises(LeaseLost):
        await deliver(turn, outbound, Dying(mailbox), *pictures(3))
    assert len(albums(server)) == 3
    successor = replace(turn, interrupted=asyncio.Event())
    await deliver(successor, outbound, mailbox, *pictures(3))
    assert len(albums(server)) == 3
    assert sorted(successor.pages.values()) == sorted(str(post.id) for post in server.world.shown(77))


async def test_a_file_that_is_too_large_is_told_before_it_is_sent(
    server: TelegramServer, outbound: TelegramOutbound, mailbox: Mailbox, turn: Turn
) -> None:
    await deliver(turn, outbound, mailbox, TextDelta("Here:"), Media("film.mp4", "video/mp4", bytes(50_000_001)))
    assert server.world.texts(77) == ["Here:", "film.mp4 is too large to be sent here: 50 MB, at most 50 MB."]
    assert not server.methods.files.uploads
