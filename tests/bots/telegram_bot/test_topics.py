"""Topics of groups and of private chats: what is shown goes where the question stands."""

from __future__ import annotations

import pytest

from bots.adapter import Slot, Target
from bots.telegram_bot.outbound import TelegramOutbound
from bots.telegram_bot.places import GENERAL
from core.message import ConversationKey, Platform
from tests.platforms.telegram_server import TelegramServer

FORUM = -100_600
SLOT = Slot("turn-1", 0)


def target(chat: int, thread: int | str) -> Target:
    return Target(ConversationKey(Platform.TELEGRAM, "4242", str(chat), str(thread)), private=chat > 0, question="")


@pytest.mark.parametrize("chat", [7, FORUM])
async def test_a_topics_answer_and_its_signs_stay_in_it(
    server: TelegramServer, outbound: TelegramOutbound, chat: int
) -> None:
    if chat < 0:
        server.world.group(chat, forum=True)
    thread = server.world.topic(chat, "Openings")
    at = target(chat, thread)
    await outbound.typing(at)
    assert server.calls[-1].fields["message_thread_id"] == thread
    if at.private:
        await outbound.draft(at, SLOT, outbound.format("so f", simple=True))
        assert server.world.chat(chat).drafts[-1].thread == thread
    await outbound.send(at, outbound.format("so far"), SLOT)
    assert server.world.shown(chat)[-1].thread == thread


async def test_the_general_topic_has_a_number_for_actions_alone(
    server: TelegramServer, outbound: TelegramOutbound
) -> None:
    server.world.group(FORUM, forum=True)
    at = target(FORUM, GENERAL)
    await outbound.typing(at)
    assert server.calls[-1].fields["message_thread_id"] == int(GENERAL)
    await outbound.send(at, outbound.format("hello"), SLOT)
    assert "message_thread_id" not in server.calls[-1].fields
    assert server.calls[-1].status == 200
