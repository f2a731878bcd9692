"""Newcomers are asked in their group, or alone before they are let in, against the fake Bot API."""

from __future__ import annotations

import pytest

from bots.pacing import Limits, Pacer
from bots.telegram_bot.api import Api
from bots.telegram_bot.asking import Asking
from core.errors import OutboundError, OutboundFault
from core.message import ConversationKey, Platform
from core.moderation.enforcer import Asked, Site
from core.parts import Choice
from tests.platforms.telegram_server import Fault, TelegramServer

GROUP, FORUM, ANN = -100_700, -100_701, 7
ASKED = Asked(str(ANN), "Welcome 👋, are you one?\n\nSay **so**.", [[Choice("Yes", ".join 0123456789abcdef 0")]])


def site(chat: int, thread: str = "") -> Site:
    return Site(ConversationKey(Platform.TELEGRAM, "4242", str(chat), thread), str(chat))


async def test_the_first_line_is_a_mention_and_the_question_goes_away(server: TelegramServer, api: Api) -> None:
    server.world.group(GROUP)
    server.world.group(FORUM, forum=True)
    asking = Asking(api, Pacer(Limits()))
    for where in (site(GROUP), site(FORUM, "1")):
        chat = int(where.space)
        asked = await asking.ask(where, ASKED)
        (post,) = server.world.shown(chat)
        (mention,) = (one for one in post.entities if one["type"] == "text_mention")
        # The waving hand counts as two.
        assert (mention["user"]["id"], mention["offset"], mention["length"]) == (
            ANN,
            0,
            len("Welcome 👋, are you one?") + 1,
        )
        assert post.markup == {"inline_keyboard": [[{"text": "Yes", "callback_data": ".join 0123456789abcdef 0"}]]}
        for _ in range(2):
            await asking.unask(asked)
            assert server.world.shown(chat) == []


async def test_what_may_go_later_is_no_refusal(server: TelegramServer, api: Api) -> None:
    server.world.group(GROUP)
    asking = Asking(api, Pacer(Limits()))
    for fault, meant in ((Fault.FLOOD, OutboundFault.RATE_LIMITED), (Fault.RESET_BEFORE, OutboundFault.TRANSIENT)):
        server.fail("sendMessage", fault, retry_after=60)
        with pytest.raises(OutboundError) as raised:
            await asking.ask(site(GROUP), ASKED)
        assert raised.value.fault is meant
    server.fail("sendMessage", Fault.REFUSE, description="Bad Request: not enough rights to send text messages")
    assert await asking.ask(site(GROUP), ASKED) == ""
    assert await asking.ask(site(GROUP), ASKED)
