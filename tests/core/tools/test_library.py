"""A model searches what the space had Parley learn, and never what is another one's."""

from __future__ import annotations

from core.conversation.turn import Turn
from core.knowledge.documents import person_scope, space_scope
from core.people.identity import Person
from core.storage.client import Store
from core.tools.library import library
from core.tools.tool import Caller, Output
from tests.builders import conversation, message
from tests.core.knowledge.rooms import draft, passages
from tests.core.tools.loops import everything


def turn(space: str = "") -> Turn:
    there = conversation(space or "77")
    incoming = message("x", conversation=there, space=space, private=not space)
    return Turn(there, "1", "f", incoming, person=Person(id="p7"))


async def test_it_searches_the_documents_of_who_asks_where(store: Store) -> None:
    async with passages(store) as learned:
        here = turn("-100")
        name = f"{here.conversation.platform}:{here.conversation.bot}:-100"
        await learned.add(space_scope(name), draft("Opening hours", "The shop opens at nine.", "Ask for Ada."))
        await learned.add(person_scope("p7"), draft("Diary", "The shop is where I met Bob."))
        tool = library(learned)
        assert tool.is_there is not None

        async def found(asking: Turn, query: str) -> str:
            parts = [part async for part in tool.run({"query": query}, Caller(asking, everything))]
            return "\n".join(part.text for part in parts if isinstance(part, Output))

        assert (await found(here, "When does the shop open?")).startswith("[Opening hours · page 1]\nThe shop opens")
        assert "Bob" not in await found(here, "Where is the shop, and who is Bob?")
        assert "met Bob" in await found(turn(), "Bob shop")
        assert await found(turn("-200"), "shop") == "Nothing was found."
        assert [await tool.is_there(each) for each in (here, turn(), turn("-200"))] == [True, True, False]
