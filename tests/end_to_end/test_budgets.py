"""A community's budget in a group of Telegram's, through the whole of Parley."""

from __future__ import annotations

from pathlib import Path

from core.storage.client import Store
from tests.end_to_end.conftest import village
from tests.end_to_end.running import until

GROUP, ADMIN, OTHER, OWNER = -100_700, 6, 5, 8
MODELS = """
[budgets]
space = { day_money = 0.066 }
all = { day_money = 0.1 }
told_percent = 5

[[models]]
name = "stub"
provider = "openai"
max_answer = 64
price_answer = 1000.0
"""


async def test_a_budget_is_told_of_refused_and_shown(store: Store, valkey_url: str, tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text(MODELS)
    async with village(store, valkey_url, tmp_path, DISCORD_TOKEN="", PARLEY_OWNERS=f"telegram:{OWNER}") as place:
        chat, world = place.telegram_chat(GROUP), place.telegram.world
        world.chat(GROUP).admins.add(ADMIN)
        admin, owner = place.telegram_chat(ADMIN), place.telegram_chat(OWNER)
        for person in (admin, owner):
            person.say("/start")
        await until(lambda: len(admin.shown) == len(owner.shown) == 1, "greetings")
        chat.say("one two three four five six")
        await until(lambda: any("one two" in text for text in chat.shown), "an answer")
        await until(lambda: len(admin.shown) == 2, "a word to the administrator")
        assert "5 % of this community's budget for paid models today is used." in admin.shown[-1]
        await until(lambda: len(owner.shown) == 2, "a word to the owner")
        assert "5 % of the budget of all for paid models today is used." in owner.shown[-1]
        chat.say("and now?")
        await until(lambda: "This community's budget for paid models today is used up." in chat.shown[-1], "a refusal")
        assert len(place.models.requests) == 1
        world.text(GROUP, "/usage", user=OTHER)
        await until(lambda: "This community, paid models today:" in chat.shown[-1], "how it stands")
        world.text(GROUP, "/admin usage", user=ADMIN)
        await until(lambda: any("By person" in text for text in chat.shown), "who used it")
        assert "Calls of models" in "".join(chat.shown)


async def test_a_servers_owner_is_told_of_its_budget_on_discord(store: Store, valkey_url: str, tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text(MODELS)
    async with village(store, valkey_url, tmp_path, TELEGRAM_TOKEN="") as place:
        chat, world = place.discord_chat(), place.discord.world
        chat.say("one two three four five six")
        private = world.direct(world.alice)
        await until(lambda: len(world.by_bot(private)) == 1, "a word to the owner")
        assert "5 % of this community's budget for paid models today is used." in world.by_bot(private)[0].text
        await until(lambda: any("one two" in text for text in chat.shown), "an answer")
        assert place.discord.violations == []
