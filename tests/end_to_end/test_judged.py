"""A model judges what members write, and proposes what a moderator decides, with a whole Parley."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.moderation.rulebook import RuleBook, RuleBooks
from core.people.spaces import Spaces
from core.storage.cases import Cases
from core.storage.client import Store
from core.texts import say
from tests.core.tools.loops import asks, outputs
from tests.end_to_end.conftest import Village, village
from tests.end_to_end.running import until
from tests.platforms.openai_server import Asks
from tests.platforms.telegram_moderation import EVERYTHING

GROUP = -100500
SPACE = f"telegram:4242:{GROUP}"
SETTINGS = """
[tools]
use = ["propose_act"]
"""
RULES = """
[[rule]]
name = "insults"
judge = "Nobody is insulted."
delete = true

[[rule]]
name = "lures"
words = "free nitro"
delete = true
"""


@pytest.fixture
async def court(store: Store, valkey_url: str, tmp_path: Path) -> AsyncIterator[Village]:
    (tmp_path / "parley.toml").write_text(SETTINGS)
    await Spaces(store).change(SPACE, lambda now: now.model_copy(update={"moderated": True}))
    await RuleBooks(store).change(SPACE, lambda _: RuleBook(text=RULES))
    async with village(store, valkey_url, tmp_path) as running:
        yield running


def reply(body: dict[str, Any]) -> str | Asks:
    """Judges, answers, and proposes whenever it has the tool."""
    said = [str(each["content"]) for each in body["messages"]]
    if "You are the judge" in said[0]:
        verdict = "breaks" if re.search(r"The message:\n=== text \w+\nyou fool\n", said[-1]) else "fine"
        return f'{{"verdict": "{verdict}", "reason": "An insult.", "confidence": 0.9}}'
    if outputs(body):
        return "As you like."
    return asks("propose_act", act="mute", duration="1h", reason="spam") if body.get("tools") else "Get FREE NITRO"


def button(place: Village, label: str) -> tuple[int, str] | None:
    """The newest with this label: its message and what it sends."""
    for post in reversed(place.telegram.world.shown(GROUP)):
        for row in post.markup["inline_keyboard"] if post.markup else ():
            for cell in row:
                if cell["text"] == label:
                    return post.id, str(cell["callback_data"])
    return None


async def test_a_message_is_judged_and_the_bot_keeps_to_the_rules_itself(court: Village) -> None:
    world, chat = court.telegram.world, court.telegram_chat(GROUP)
    world.chat(GROUP).rights = EVERYTHING
    court.models.reply = reply
    harmless, insult = world.text(GROUP, "good evening", user=6), world.text(GROUP, "you fool", user=5)
    await until(lambda: world.chat(GROUP).posts[insult].deleted, "the deletion")
    _, [case] = await Cases(court.store, keep_days=9).of(SPACE, "5")
    assert (str(case.kind), case.rule, case.actor) == ("delete", "insults", "automod")
    assert not world.chat(GROUP).posts[harmless].deleted
    world.text(GROUP, "@parley_bot what is for free?", user=6)
    await until(lambda: any(say("unsafe_answer") in text for text in chat.shown), "the sentence in its place")
    assert not any("NITRO" in text for text in chat.shown)


async def test_a_proposal_is_carried_out_by_the_press_of_who_asked(court: Village) -> None:
    world, chat = court.telegram.world, court.telegram_chat(GROUP)
    group = world.chat(GROUP)
    group.rights, group.moderators[2] = EVERYTHING, ("can_restrict_members",)
    court.models.reply = reply
    said = world.text(GROUP, "buy this", user=5)
    world.text(GROUP, "@parley_bot mute him for an hour", user=2, reply_to=said)
    await until(lambda: button(court, say("button.confirm")) is not None, "the button")
    found = button(court, say("button.confirm"))
    assert found is not None
    world.press(GROUP, *found, user=6)
    await until(lambda: any(say("confirm_not_yours") in text for text in chat.shown), "the refusal")
    assert 5 not in group.restricted
    world.press(GROUP, *found, user=2)
    await until(lambda: 5 in group.restricted, "the mute")
    assert group.restricted[5][0]["can_send_messages"] is False
    assert abs(group.restricted[5][1] - time.time() - 3600) < 60
    _, [case] = await Cases(court.store, keep_days=9).of(SPACE, "5")
    assert (case.actor, case.rule, case.reason) == ("2", "", "spam")


async def test_of_an_album_all_goes(court: Village) -> None:
    world = court.telegram.world
    world.group(GROUP).rights = EVERYTHING
    court.models.reply = reply
    pieces = world.album(GROUP, "", "get FREE NITRO", "", user=5)
    await until(lambda: all(world.chat(GROUP).posts[id].deleted for id in pieces), "the deletion")
    cases = Cases(court.store, keep_days=9)
    found = [case for case in (await cases.of(SPACE, "5"))[1] if str(case.kind) in ("delete", "purge")]
    assert sorted(id for case in found for id in case.messages) == sorted(map(str, pieces))
    assert len(found) <= len(pieces)
