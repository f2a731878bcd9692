"""What has been read of an answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from bots.growing import GrowingAnswer
from core.conversation.turn import Turn
from core.parts import Choice, Ending, Finished, Menu, Part, TextDelta
from tests.builders import message


async def test_what_stands_in_place_of_a_menu_is_shown_and_no_part_of_the_answer() -> None:
    async def parts() -> AsyncGenerator[Part]:
        yield TextDelta("```\ncode")
        yield Menu(((Choice("First", "pick 1"),),), "Say `/pick 1`.")
        yield Finished(Ending.COMPLETE)

    asked = message("two of them")
    answer = GrowingAnswer(Turn(asked.conversation, "1", "1", asked))
    await answer.read(parts())
    assert answer.text == "```\ncode", "what is picked of it later is the model's words alone"
    assert answer.whole(Ending.COMPLETE) == "```\ncode\n```\n\nSay `/pick 1`."
    assert answer.has_more, "who takes it over has more to show than its text"
