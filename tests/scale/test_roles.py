"""Roles where the receiver, which decides on presses, and the worker, which changes roles, are different processes."""

from __future__ import annotations

from pathlib import Path

from core.texts import say
from tests.end_to_end.running import until
from tests.platforms.discord_components import walk
from tests.platforms.discord_permissions import May
from tests.platforms.discord_world import LOADING, Interaction
from tests.scale.fleet import fleet

ALONE = {"TELEGRAM_TOKEN": ""}


async def test_a_role_that_was_taken_holds_where_presses_are_decided(tmp_path: Path) -> None:
    async with fleet(tmp_path) as town:
        await town.start("receiver", "receive", "discord", **ALONE)
        await town.start("worker", "work", **ALONE)
        world, guild = town.discord.world, town.discord.world.guild["id"]
        room, mo = world.add_channel(guild, "roles"), world.add_user("mo")
        world.permissions.give(guild, mo, May.MANAGE_GUILD)
        await until(lambda: any(one["name"] == "admin" for one in world.commands), "the commands")

        async def said(made: Interaction) -> str:
            await until(
                lambda: bool(made.original) and not world.find(made.original).data["flags"] & LOADING, "an answer"
            )
            return world.find(made.original).text

        page = town.discord.slash("settings", {}, room, user=mo)
        assert say("settings_head") in await said(page)
        switch = [".set buttons=0", ".set buttons=1"]

        def press() -> Interaction:
            parts = walk(world.find(page.original).data["components"])
            shown = {part.get("custom_id") for part in parts}
            return town.discord.press(page.original, next(one for one in switch if one in shown), user=mo)

        before = press()
        await until(lambda: bool(before.answered), "the press is answered")
        assert say("admins_only") not in str(before.callback)
        taken = town.discord.slash("admin role", {"user": mo, "role": "member"}, room, user=world.alice)
        assert await said(taken) == say("role_set", name="`Mo`", role=say("role.member"))
        pressed: list[Interaction] = []

        def is_refused() -> bool:
            if not pressed or pressed[-1].answered:
                if pressed and say("admins_only") in str(pressed[-1].callback):
                    return True
                pressed.append(press())
            return False

        await until(is_refused, "the receiver has heard of it")
        assert town.discord.violations == []
