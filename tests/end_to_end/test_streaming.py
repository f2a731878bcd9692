"""Telegram's own ways of showing an answer as it is written, through the whole of Parley."""

from __future__ import annotations

import re
from collections.abc import Callable

from core.texts import say
from tests.end_to_end.conftest import Village
from tests.end_to_end.running import until

TABLE = "## Openings\n\n| name | first move |\n|---|---|\n| Reti | Nf3 |\n\n" + "and more words " * 200


async def test_a_rich_answer_is_previewed_and_stopped_by_telegrams_own_button(place: Village) -> None:
    place.models.reply = lambda body: TABLE
    place.models.tokens_per_second = 40
    chat, drafts = place.telegram_chat(), place.telegram.world.chat(77).drafts
    chat.say("which openings are there?")
    is_table: Callable[[], bool] = lambda: any("<th>" in draft.rich and draft.can_stop for draft in drafts)  # noqa: E731
    await until(is_table, "a preview with a table and a button")
    assert not drafts[0].can_stop, "a quick answer shows none"
    place.telegram.world.stop(77)
    await until(lambda: bool(chat.shown), "the message")
    place.models.tokens_per_second = 0
    (post,) = place.telegram.world.shown(77)
    assert post.rich.startswith("<h2>Openings</h2><table")
    assert say("stopped") in post.text
    chat.say("go on")
    await until(lambda: "Openings" in chat.shown[-1] and chat.shown[-1].endswith("words"), "the next answer")
    assert len(chat.shown) == 2, "no word about the stop"


async def test_an_old_server_gets_text_by_edits(place: Village) -> None:
    place.telegram.absent |= {"sendRichMessage", "sendRichMessageDraft", "sendMessageDraft"}
    words = [f"w{number:04d}" for number in range(1200)]
    place.models.reply = lambda body: f"# All words\n\n{' '.join(words)}"
    chat = place.telegram_chat()
    for count, rate in ((1, 4000), (2, 0)):
        place.models.tokens_per_second = rate
        chat.say("which words are there?")
        await until(lambda wanted=count: "".join(chat.shown).count(words[-1]) == wanted, "the answer")
        assert re.findall(r"w\d{4}", " ".join(chat.shown)) == words * count
    assert not any(post.rich for post in chat.world.shown(77))
    assert max(map(len, chat.shown)) <= 4096
