"""Inline mode: what is offered while someone types, what a sent result becomes, how its answer is shown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bots.adapter import RESENT, Button, Page, Slot, Target
from bots.telegram_bot.api import Api
from bots.telegram_bot.inline import ASK, InlineMode
from bots.telegram_bot.inline_outbound import InlineOutbound
from bots.telegram_bot.keyboard import PRESS
from bots.telegram_bot.outbound import TelegramOutbound
from bots.telegram_bot.raw import Me
from bots.telegram_bot.translate import UPDATES, to_incoming
from core.conversation.history import Question
from core.errors import OutboundError, OutboundFault
from core.message import INLINE_QUESTION, CommandCall, ConversationKey, Incoming, Platform, Reaction, Verdict
from core.models.catalog import Catalog
from core.settings import ChatSettings, Settings
from core.storage import keys
from core.storage.client import Store
from core.storage.inline import KEPT_SECONDS, InlineQuestion, InlineQuestions
from tests.platforms.telegram_inline import Inline, react
from tests.platforms.telegram_server import TelegramServer
from tests.platforms.telegram_text import part
from tests.platforms.telegram_world import World

ME = Me("4242", "parley_bot")
LONG_NAME = "a-model-whose-name-is-longer-than-the-id-of-any-result-of-telegram-may-be"


def catalog(*names: str) -> Catalog:
    provider = {"name": "p", "base_url": "http://127.0.0.1:1"}
    models = [{"name": name, "provider": "p"} for name in names]
    return Catalog.of(Settings.model_validate({"models": models, "providers": [provider]}))


@pytest.fixture
def inline(server: TelegramServer) -> Inline:
    return server.methods.inline


def mode(api: Api, store: Store, *models: str, **chat: Any) -> InlineMode:
    return InlineMode(api, catalog(*models), InlineQuestions(store), ChatSettings.model_validate(chat))


async def offered(mode: InlineMode, server: TelegramServer, text: str, **person: str) -> dict[str, Any]:
    """What the bot shows for a query."""
    inline = server.methods.inline
    id = inline.type(7, text)
    (update,) = [u for u in server.world.pending.values() if u.get("inline_query", {}).get("id") == id]
    update["inline_query"]["from"] |= person
    await mode.offer(update["inline_query"], ME)
    answer = inline.queries[id].answer
    assert answer is not None
    return answer


def arrived(world: World) -> list[Incoming]:
    """Everything that waits, as it comes in."""
    updates = list(world.pending.values())
    world.pending.clear()
    return to_incoming(updates, ME, 10_000_000)


async def only(mode: InlineMode, world: World) -> CommandCall:
    (value,) = await mode.begun(arrived(world))
    assert isinstance(value, CommandCall)
    return value


# ---- while someone types


async def test_nothing_typed_is_a_hint_and_a_way_to_the_private_chat(
    api: Api, store: Store, server: TelegramServer
) -> None:
    answer = await offered(mode(api, store), server, "  ")
    assert answer["results"] == []
    assert answer["button"]["start_parameter"] == "help"
    assert answer["is_personal"]
    assert await store.redis.keys("parley:inline:*") == []


async def test_a_question_is_offered_in_the_persons_language(api: Api, store: Store, server: TelegramServer) -> None:
    answer = await offered(mode(api, store, "one"), server, "what is a fork?", language_code="zh-hans")
    (result,) = answer["results"]
    assert result["title"] == "提问：what is a fork?"
    assert result["input_message_content"]["message_text"] == "what is a fork?\n…"
    assert answer["cache_time"] <= 60
    assert answer["is_personal"]


async def test_a_long_question_has_a_short_title(api: Api, store: Store, server: TelegramServer) -> None:
    (result,) = (await offered(mode(api, store), server, "why " * 64))["results"]
    assert len(result["title"]) <= 128
    assert result["input_message_content"]["message_text"] == ("why " * 64).strip() + "\n…"


async def test_five_models_at_most_the_default_first(api: Api, store: Store, server: TelegramServer) -> None:
    answer = await offered(mode(api, store, *(f"m{n}" for n in range(8))), server, "who?")
    assert [result["description"] for result in answer["results"]] == [f"Answered by m{n}" for n in range(5)]
    assert len({result["id"] for result in answer["results"]}) == 5


async def test_what_may_not_be_asked_is_told_at_once(api: Api, store: Store, server: TelegramServer) -> None:
    typing = mode(api, store, max_message_chars=100)
    (result,) = (await offered(typing, server, "much too long for that " * 5))["results"]
    assert "100" in result["title"]
    assert "reply_markup" not in result
    assert await store.redis.keys("parley:inline:*") == []


async def test_results_are_shown_although_storage_is_away(
    api: Api, server: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.storage.inline.PATIENCE_SECONDS", 0.05)
    away = Store("unix:///nowhere/parley.sock")
    answer = await offered(mode(api, away, "one"), server, "why?")
    assert len(answer["results"]) == 1
    await away.close()


async def test_an_answer_that_comes_too_late_harms_nothing(api: Api, store: Store, server: TelegramServer) -> None:
    await mode(api, store).offer({"id": "99", "from": server.world.person(7), "query": "why?"}, ME)


# ---- what is sent


async def test_a_sent_result_is_a_question_in_a_conversation_of_its_own(
    api: Api, store: Store, server: TelegramServer, inline: Inline
) -> None:
    typing = mode(api, store, "one", LONG_NAME)
    for number, options in enumerate(({"text": "why?", "model": "one"}, {"text": "why?", "model": LONG_NAME})):
        await offered(typing, server, "why?")
        arrived(server.world)
        message = inline.send(list(inline.queries)[-1], number)
        call = await only(typing, server.world)
        assert call.conversation == ConversationKey(Platform.TELEGRAM, "4242", f"inline-{message}")
        assert call.conversation.inline == message
        assert (call.name, call.options) == ("chat", options)
        assert call.private
        assert call.author.id == "7"


async def test_telling_and_pressing_are_one_delivery(
    api: Api, store: Store, server: TelegramServer, inline: Inline
) -> None:
    typing = mode(api, store, "one")
    await offered(typing, server, "why?")
    arrived(server.world)
    message = inline.send(list(inline.queries)[-1])
    told = await only(typing, server.world)
    inline.press(message, inline.buttons(message)[0]["callback_data"], 7)
    pressed = await only(typing, server.world)
    assert pressed == told
    assert told.update == told.id == INLINE_QUESTION


async def test_the_button_asks_for_who_sent_it_alone(
    api: Api, store: Store, server: TelegramServer, inline: Inline
) -> None:
    typing = mode(api, store, "one", "two")
    inline.feedback = False
    await offered(typing, server, "why?")
    arrived(server.world)
    message = inline.send(list(inline.queries)[-1], 1)
    data = inline.buttons(message)[0]["callback_data"]
    inline.press(message, data, 8)
    # The receiving side says to this that the button does nothing.
    other = await only(typing, server.world)
    assert other.name == ASK
    assert other.id.startswith(PRESS)
    inline.press(message, data, 7)
    assert (await only(typing, server.world)).options == {"text": "why?", "model": "two"}


async def test_a_button_that_is_too_old_asks_nothing(
    api: Api, store: Store, server: TelegramServer, inline: Inline
) -> None:
    typing = mode(api, store, "one")
    inline.feedback = False
    await offered(typing, server, "why?")
    arrived(server.world)
    message = inline.send(list(inline.queries)[-1])
    for key in await store.redis.keys("parley:inline:*"):
        assert 0 < await store.redis.ttl(key) <= KEPT_SECONDS
        await store.redis.delete(key)
    inline.press(message, inline.buttons(message)[0]["callback_data"], 7)
    assert (await only(typing, server.world)).name == ASK


def test_what_a_forged_button_says_is_not_done(server: TelegramServer) -> None:
    for data in ("feedback_", "admin failed", "continue", "forget", ".set model=x", "speak", ""):
        query = {
            "id": "1",
            "from": server.world.person(7),
            "chat_instance": "1",
            "inline_message_id": "A",
            "data": data,
        }
        assert to_incoming([{"update_id": 1, "callback_query": query}], ME, 1) == []


def test_a_result_without_a_message_is_no_question(server: TelegramServer) -> None:
    raw = {"result_id": "one", "from": server.world.person(7), "query": "why?"}
    assert to_incoming([{"update_id": 1, "chosen_inline_result": raw}], ME, 1) == []
    assert {"inline_query", "chosen_inline_result", "message_reaction"} <= set(UPDATES)


async def test_the_same_question_is_named_the_same_and_others_otherwise(store: Store) -> None:
    question = InlineQuestion("7", "why?", "one")
    await InlineQuestions(store).keep("4242", [question])
    assert await InlineQuestions(store).get("4242", question.digest) == question
    assert await InlineQuestions(store).get("1", question.digest) is None
    others = {InlineQuestion("8", "why?", "one"), InlineQuestion("7", "why", "one"), InlineQuestion("7", "why?", "two")}
    assert question.digest not in {other.digest for other in others}
    assert await store.redis.exists(keys.inline_question("4242", question.digest))
    assert len(f"{ASK} {question.digest}".encode()) <= 64


# ---- the answer


@pytest.fixture
def shown(api: Api, outbound: TelegramOutbound) -> InlineOutbound:
    async def asked(conversation: ConversationKey, id: str) -> Question | None:
        assert id == INLINE_QUESTION
        return Question("what is <b> & @who?", "Ada", 0)

    return InlineOutbound(outbound, api, asked)


@pytest.fixture
async def message(api: Api, store: Store, server: TelegramServer, inline: Inline) -> str:
    """One that was sent."""
    await offered(mode(api, store), server, "what is <b> & @who?")
    return inline.send(list(inline.queries)[-1])


def target(message: str) -> Target:
    return Target(ConversationKey(Platform.TELEGRAM, "4242", f"inline-{message}"), True, "", language="en")


async def test_creating_is_an_edit_and_may_be_done_twice(
    shown: InlineOutbound, message: str, inline: Inline, server: TelegramServer
) -> None:
    where, page = target(message), shown.format("It is **a fork**.")
    for _ in range(2):
        assert await shown.send(where, page, Slot("t", 0)) == message
    assert inline.posts[message].text == "what is <b> & @who?\nIt is a fork."
    bold = inline.posts[message].entities[1]
    assert (bold["type"], part(inline.posts[message].text, bold)) == ("bold", "a fork")
    assert await shown.find(where, page, Slot("t", 0), ()) == message
    assert not any(chat.posts for chat in server.world.chats.values())


async def test_there_is_no_second_message(shown: InlineOutbound, message: str, inline: Inline) -> None:
    where, page = target(message), shown.format("more")
    for number in (1, RESENT + 1):
        with pytest.raises(OutboundError) as caught:
            await shown.send(where, page, Slot("t", number))
        assert caught.value.fault is OutboundFault.REFUSED
        assert await shown.find(where, page, Slot("t", number), ()) is None
    assert inline.posts[message].text.endswith("…")


async def test_tables_are_shown_below_the_question(shown: InlineOutbound, message: str, inline: Inline) -> None:
    table = shown.format("| a | b |\n|---|---|\n| 1 | 2 |")
    assert table.rich
    await shown.edit(target(message), message, table)
    assert inline.posts[message].rich.startswith("<blockquote><p>what is &lt;b&gt; &amp; @who?</p></blockquote><table")


@pytest.mark.parametrize("simple", [False, True])
@pytest.mark.parametrize("text", ["word " * 20_000, "😀" * 30_000, "```\n" + "x = 1\n" * 10_000, "a\n\n" * 8_000])
async def test_any_answer_fits(shown: InlineOutbound, message: str, inline: Inline, text: str, simple: bool) -> None:
    page = shown.format(text, simple=simple)
    await shown.edit(target(message), message, page)
    assert inline.posts[message].text.endswith("…")
    assert len(inline.posts[message].text) > 1500


async def test_the_end_has_a_link_to_the_private_chat(
    shown: InlineOutbound, message: str, inline: Inline, server: TelegramServer
) -> None:
    buttons = (Button("Go on", "continue"), Button("Again", "regenerate", 1), Button("Forget", ".forget", 1))
    page = shown.format("so")
    await shown.edit(target(message), message, Page(page.text, page.length, buttons=(Button("Stop", "stop"),)))
    assert [b.get("callback_data") for b in inline.buttons(message)] == ["stop"]
    for _ in range(2):
        await shown.edit(target(message), message, Page(page.text, page.length, buttons=buttons, ending="complete"))
    *row, link = inline.buttons(message)
    assert [button["callback_data"] for button in row] == ["regenerate", "feedback up", "feedback down"]
    assert link == {"text": "Continue in private chat", "url": f"https://t.me/parley_bot?start=inline_{message}"}
    assert len(server.named("getMe")) == 1


async def test_a_deleted_message_is_a_closed_chat(shown: InlineOutbound, message: str, inline: Inline) -> None:
    inline.posts[message].deleted = True
    with pytest.raises(OutboundError) as caught:
        await shown.edit(target(message), message, shown.format("so"))
    assert caught.value.fault is OutboundFault.FORBIDDEN


async def test_what_inline_messages_lack_costs_no_call(
    shown: InlineOutbound, message: str, server: TelegramServer
) -> None:
    calls = len(server.calls)
    where, page = target(message), shown.format("so")
    works = (
        shown.draft(where, Slot("t", 0), page),
        shown.typing(where),
        shown.send_file(where, "a", "text/plain", b"a", page, Slot("t", 1)),
        shown.delete(where, message),
    )
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    assert [e.fault for e in outcomes if isinstance(e, OutboundError)] == [OutboundFault.REFUSED] * 4
    assert len(server.calls) == calls
    able = shown.capabilities
    assert (able.drafts, able.typing_lifetime, able.max_file) == (False, 0.0, 0)
    assert able.edit_interval >= 3


# ---- reactions


def test_reactions_come_in_as_what_a_person_thinks_now(server: TelegramServer) -> None:
    world = server.world
    id = world.text(7, "hello")
    arrived(world)
    react(world, 7, id, "👍", date=1000)
    react(world, 7, id, "💩", date=1001)
    react(world, 7, id, date=1002)
    place = ConversationKey(Platform.TELEGRAM, "4242", "7")
    assert arrived(world) == [
        Reaction(place, str(id), "7", Verdict.UP, 1000.0),
        Reaction(place, str(id), "7", Verdict.DOWN, 1001.0),
        Reaction(place, str(id), "7", Verdict.NONE, 1002.0),
    ]


def test_reactions_that_say_nothing_do_not_come_in(server: TelegramServer) -> None:
    world = server.world
    id = world.text(7, "hello")
    arrived(world)
    react(world, 7, id, "🤔")
    react(world, 7, id, "🤔", "👀")
    assert arrived(world) == []


def test_in_groups_they_come_where_the_bot_is_an_administrator(server: TelegramServer) -> None:
    world = server.world
    group = world.group(-1001, forum=True)
    id = world.text(-1001, "hello", user=8)
    arrived(world)
    react(world, -1001, id, "👍", user=8)
    assert arrived(world) == []
    group.admins.add(4242)
    react(world, -1001, id, "👎", user=8)
    (reaction,) = arrived(world)
    assert isinstance(reaction, Reaction)
    # Which topic it is in, it does not tell.
    assert reaction.conversation == ConversationKey(Platform.TELEGRAM, "4242", "-1001", "1")
    assert (reaction.voter, reaction.verdict) == ("8", Verdict.DOWN)


def test_anonymous_administrators_vote_as_their_group(server: TelegramServer) -> None:
    raw = {
        "chat": {"id": -1001, "type": "supergroup", "title": "Chess"},
        "message_id": 5,
        "actor_chat": {"id": -1001, "type": "supergroup", "title": "Chess"},
        "date": 1000,
        "old_reaction": [],
        "new_reaction": [{"type": "custom_emoji", "custom_emoji_id": "1"}, {"type": "emoji", "emoji": "🎉"}],
    }
    (reaction,) = to_incoming([{"update_id": 1, "message_reaction": raw}], ME, 1)
    assert isinstance(reaction, Reaction)
    assert (reaction.voter, reaction.verdict) == ("-1001", Verdict.UP)
