"""The fake's inline mode refuses what the real one refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from telegram.error import BadRequest

from bots.telegram_bot.api import Api
from core.settings import TelegramSettings
from tests.platforms.telegram_inline import Inline
from tests.platforms.telegram_server import TelegramServer

ARTICLE = {"type": "article", "id": "1", "title": "Ask", "input_message_content": {"message_text": "why?"}}
KEYBOARD = {"inline_keyboard": [[{"text": "Answer", "callback_data": "x"}]]}


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer() as server:
        yield server


@pytest.fixture
async def api(server: TelegramServer) -> AsyncIterator[Api]:
    api = Api(TelegramSettings.model_validate({"token": server.token, "api_base": server.url}))
    yield api
    await api.close()


async def sent(server: TelegramServer, api: Api, **more: Any) -> str:
    inline: Inline = server.methods.inline
    query = inline.type(7, "why?")
    await api.call("answerinlinequery", {"inline_query_id": query, "results": [{**ARTICLE, **more}]})
    return inline.send(query)


async def test_a_query_is_answered_once(server: TelegramServer, api: Api) -> None:
    query = server.methods.inline.type(7, "why?")
    fields = {"inline_query_id": query, "results": [ARTICLE]}
    assert await api.call("answerinlinequery", fields) is True
    for again in (fields, {**fields, "inline_query_id": "1"}):
        with pytest.raises(BadRequest, match=r"(?i)query is too old"):
            await api.call("answerinlinequery", again)


@pytest.mark.parametrize(
    "more", [{"title": ""}, {"id": "x" * 65}, {"input_message_content": {"message_text": ""}}, {"thumb_url": "a"}]
)
async def test_wrong_results_are_violations(server: TelegramServer, api: Api, more: dict[str, Any]) -> None:
    query = server.methods.inline.type(7, "why?")
    with pytest.raises(BadRequest):
        await api.call("answerinlinequery", {"inline_query_id": query, "results": [{**ARTICLE, **more}]})
    assert len(server.pardon()) == 1


async def test_without_a_keyboard_no_message_is_named(server: TelegramServer, api: Api) -> None:
    server.world.pending.clear()
    await sent(server, api)
    *_, told = server.world.pending.values()
    assert "inline_message_id" not in told["chosen_inline_result"]
    message = await sent(server, api, reply_markup=KEYBOARD)
    *_, told = server.world.pending.values()
    assert told["chosen_inline_result"]["inline_message_id"] == message


async def test_inline_messages_are_edited_by_their_own_id(server: TelegramServer, api: Api) -> None:
    message = await sent(server, api, reply_markup=KEYBOARD)
    edit = {"inline_message_id": message, "text": "because"}
    assert await api.call("editmessagetext", edit) is True
    assert server.methods.inline.posts[message].text == "because"
    with pytest.raises(BadRequest, match="not modified"):
        await api.call("editmessagetext", edit)
    with pytest.raises(BadRequest, match=r"(?i)message_id_invalid"):
        await api.call("editmessagetext", {**edit, "inline_message_id": "nothing"})
    with pytest.raises(BadRequest):
        await api.call("editmessagetext", {**edit, "chat_id": 7, "message_id": 1})
    assert len(server.pardon()) == 1
