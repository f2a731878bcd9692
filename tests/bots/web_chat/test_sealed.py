"""The web chat where what people say is sealed, and what it keeps of a command with a secret in it."""

from __future__ import annotations

from core.message import CommandCall
from core.storage.client import Store
from core.storage.sealing import Sealing, new_key, parse_keys
from core.storage.texts import Texts
from tests.bots.web_chat.world import open_world
from tests.core.storage.dump import everything

WORD = "aardvark"
THEIRS = "sk-proj-abcdefghijklmnopqrstuvwx1234"


async def test_pages_show_what_redis_cannot_tell(store: Store, valkey_url: str) -> None:
    sealed = Store(valkey_url, Texts(Sealing(parse_keys(new_key())), seals=True))
    async with open_world(sealed) as world, world.browser() as owner:
        await owner.enter()
        conversation = await owner.ask(f"what is an {WORD}?")
        await world.inbox.settled()
        _, html = await owner.get(f"/c/{conversation}")
        assert html.count(WORD) >= 4
        assert [line for line in await everything(store) if WORD in line] == []
        # Without sealing it is still read; without the key there is something in its place.
        async with open_world(store) as other:
            _, html = await owner.get(f"/c/{conversation}")
            assert WORD in html
            assert other is not world
    await sealed.close()


async def test_a_typed_key_is_neither_shown_nor_kept(store: Store) -> None:
    async with open_world(store) as world, world.browser() as owner:
        await owner.enter()
        conversation = await owner.ask(f"/key set openai {THEIRS}")
        (call,) = world.inbox.came
        assert isinstance(call, CommandCall)
        assert (call.name, call.options["text"]) == ("key set", f"openai {THEIRS}")
        _, html = await owner.get(f"/c/{conversation}")
        assert THEIRS not in html
        assert "••••" in html
        assert [line for line in await everything(store) if THEIRS in line] == []
