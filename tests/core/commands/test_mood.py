"""/mood and /privacy mood, as the engine answers them."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence

import pytest
from PIL import Image

from core.access import Right
from core.commands.table import meant
from core.conversation.mailbox import Admission, Mailbox
from core.conversation.turn import Turn
from core.mood import chart
from core.parts import Media, Notice, Part, TextDelta
from core.people.access import Asker
from core.people.community import Community
from core.settings import Settings
from core.storage.client import Store
from core.storage.mood import Heard, MoodCells
from core.texts import say
from tests.builders import ADA, call, conversation
from tests.core.engines import engine

SPACE = "telegram:1:-100"


class Place:
    """A group whose moderators ask."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.community = Community.of(Settings(), store)
        self.cells = MoodCells(store)

    async def counts(self, people: int) -> None:
        await self.community.spaces.change(SPACE, lambda now: now.model_copy(update={"mood": True, "moderated": True}))
        await self.cells.told(SPACE)
        await self.cells.count(
            [Heard(SPACE, "-100", f"p{n}", f"m{n}", time.time(), ("high",), ("pizza",)) for n in range(people)]
        )

    async def asks(self, command: str, text: str = "", *, may: bool = True, space: str = "-100") -> list[Part]:
        name, rest = meant(command, text)
        options = {"text": rest} if rest else {}
        asked = call(
            name, conversation=conversation("-100"), space=space, private=not space, author=ADA, options=options
        )

        async def may_warn(asked: Asker, right: Right) -> bool:
            return may

        mailbox = Mailbox(self.store, "w", admission=Admission(), keep_days=1)
        async with engine(self.store, mailbox, may=may_warn) as answering:
            return [part async for part in answering.respond(Turn(asked.conversation, "1", "1", asked))][:-1]


def words(parts: Sequence[Part]) -> str:
    shown = (part.text if isinstance(part, TextDelta) else "" for part in parts)
    notices = (say(part.key, **part.values) for part in parts if isinstance(part, Notice))
    return "\n".join((*filter(None, shown), *notices))


@pytest.fixture
def place(store: Store) -> Place:
    return Place(store)


async def test_moderators_see_a_chart_and_topics(place: Place) -> None:
    await place.counts(7)
    for text in ("", "2 channel=here", "90"):
        parts = await place.asks("mood", text)
        told = words(parts)
        assert "about 5;" in told
        assert "glad: 100 %" in told
        assert "`pizza`" in told
        (media,) = [part for part in parts if isinstance(part, Media)]
        assert Image.open(io.BytesIO(media.data)).size == (chart.WIDTH, chart.HEIGHT)
        assert "about 5 messages" in media.description


async def test_what_few_said_is_not_shown(place: Place) -> None:
    await place.counts(4)
    assert "at least 5 people" in words(await place.asks("mood"))


async def test_others_and_wrong_words_get_a_sentence(place: Place) -> None:
    assert "switches it on" in words(await place.asks("mood"))
    await place.counts(7)
    for text in ("days=0", "days=-3", "days=999", "days=²"):
        assert "1 to 90" in words(await place.asks("mood", text))
    assert "no channel of this space" in words(await place.asks("mood", "7 -77"))
    assert words(await place.asks("mood", may=False)) == say("lacking.warn")
    assert "for groups" in words(await place.asks("mood", space=""))


async def test_everybody_can_have_their_messages_left_out(place: Place) -> None:
    await place.counts(7)
    assert say("privacy.mood") in words(await place.asks("privacy"))
    assert say("privacy_mood_in") in words(await place.asks("privacy", "mood"))
    assert say("privacy_mood_out") in words(await place.asks("privacy", "mood off"))
    person = await Community.of(Settings(), place.store).people.of(f"telegram:{ADA.id}")
    assert person.is_out_of_mood
    assert words(await place.asks("privacy", "mood maybe")) == say("privacy_mood_how")
    await place.asks("privacy", "mood on")
    assert not (await Community.of(Settings(), place.store).people.of(f"telegram:{ADA.id}")).is_out_of_mood
