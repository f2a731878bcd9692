"""The bot keeps to the rules of the space it speaks in: nothing is said that a member's message would go for."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence

import pytest

from core.conversation.mailbox import Admission, Mailbox
from core.message import ConversationKey, Platform
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.moderation.own_words import PIECE, OwnWords, Spot
from core.moderation.rulebook import Policy, RuleBook
from core.parts import Ending, Finished, Notice, Part, Progress, TextDelta
from core.people.community import Community
from core.safety.holding import lawful
from core.settings import Settings
from core.storage.client import Store
from tests.builders import conversation, message
from tests.core.engines import engine
from tests.platforms.openai_server import OpenAIServer

SPACE = "telegram:1:-100"
HERE = Spot(SPACE, ConversationKey(Platform.TELEGRAM, "1", "-100"))
RULES = """
[[rule]]
name = "lures"
words = ["free nitro"]
delete = true

[[rule]]
name = "links"
links = { deny = ["casino.example"] }
mute = "1h"

[[rule]]
name = "only shown"
words = ["lottery"]
flag = true

[[rule]]
name = "newcomers"
links = "any"
first_messages = 2
delete = true

[[rule]]
name = "loud"
caps = { share = 0.7, least = 5 }
lines = 3
delete = true

[[rule]]
name = "quiet"
words = ["raffle"]
shadow = true
delete = true
"""


async def watched(store: Store, rules: str = RULES, *, moderated: bool = True) -> Policy:
    community = Community.of(Settings(), store)
    await community.spaces.change(SPACE, lambda now: now.model_copy(update={"moderated": moderated}))
    await community.policy.books.change(SPACE, lambda _: RuleBook(text=rules))
    return community.policy


def own_words(store: Store) -> OwnWords:
    community = Community.of(Settings(), store)
    return OwnWords(community.policy, community.spaces)


async def test_only_rules_that_take_messages_away_hold_for_the_bot(store: Store) -> None:
    policy = await watched(store)
    look = await own_words(store).look(HERE)
    assert look is not None
    told = [
        "get free n1tro",
        "see https://casino.example/a",
        "a lottery",
        "https://example.org",
        "LOUD\n\n\n",
        "raffle",
    ]
    assert [look(text) for text in told] == ["lures", "links", "", "", "", ""]
    assert look("a " * PIECE + "free nitro" + " b" * PIECE) == "lures"
    await policy.books.change(SPACE, lambda book: book.model_copy(update={"paused_until": time.time() + 60}))
    assert await own_words(store).look(HERE) is None


async def test_where_nothing_is_looked_at_nothing_is_held_back(store: Store) -> None:
    await watched(store, moderated=False)
    assert await own_words(store).look(HERE) is None
    assert await own_words(store).look(Spot("", HERE.conversation)) is None
    await watched(store, '[[rule]]\nname = "x"\nwords = ["y"]')
    assert await own_words(store).look(HERE) is None


async def test_scores_hold_for_the_bot_too(store: Store) -> None:
    await watched(store, '[[rule]]\nname = "insults"\nscore = { toxic = "act" }\ndelete = true')
    look = await own_words(store).look(HERE)
    assert look is not None
    assert look("You are a fucking idiot and everybody hates you, kill yourself") == "insults"
    assert look("The meeting is on Friday at six.") == ""


async def parts(texts: Sequence[str]) -> AsyncGenerator[Part]:
    for text in texts:
        yield TextDelta(text)
        yield Progress("thinking")
    yield Finished(Ending.COMPLETE)


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (("one\ntw", "o\nthree"), ("one\n", "two\n", "three")),
        (("one\n", "b", "ad\nafter\n", "more"), ("one\n", "unsafe_rest")),
        (("so b", "ad"), ("unsafe_answer",)),
        (("b\nad\n",), ("unsafe_answer",)),
    ],
)
async def test_an_answer_is_shown_as_far_as_no_rule_is_against_it(texts: Sequence[str], shown: Sequence[str]) -> None:
    def look(text: str) -> str:
        return "no" if "bad" in text.replace("\n", "") else ""

    found = [part async for part in lawful(look, parts(texts))]
    assert [word for part in found for word in _shown(part)] == [*shown]
    assert found[-1] == Finished(Ending.COMPLETE)
    assert found.count(Progress("thinking")) == len(texts)


def _shown(part: Part) -> list[str]:
    if isinstance(part, TextDelta):
        return [part.text]
    return [part.key] if isinstance(part, Notice) else []


async def test_an_answer_that_a_rule_hits_is_not_shown_in_its_space_alone(store: Store) -> None:
    await watched(store)
    async with OpenAIServer(models=("one",), reply="Sure!\nGet your FREE NITRO here.\nBye.") as server:
        catalog = Catalog([Provider("p", server.url)], [Model("one", "p", "one")])
        told: list[tuple[str, list[str]]] = []
        for space in ("-100", ""):
            asked = message("hi", conversation=conversation(f"-1{space}"), space=space, private=not space)
            mailbox = Mailbox(store, "w", admission=Admission(), keep_days=1)
            await mailbox.post([asked])
            turn = await mailbox.take(asked.conversation)
            assert turn is not None
            async with engine(store, mailbox, models=catalog) as answering:
                found = [part async for part in answering.respond(turn)]
            text = "".join(part.text for part in found if isinstance(part, TextDelta))
            told.append((text, [part.key for part in found if isinstance(part, Notice) and "unsafe" in part.key]))
    assert told == [("", ["unsafe_answer"]), ("Sure!\nGet your FREE NITRO here.\nBye.", [])]
