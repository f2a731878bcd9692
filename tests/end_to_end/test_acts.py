"""A moderator's commands on a Discord server, with a whole Parley: asked about, done, taken back."""

from __future__ import annotations

from core.storage.cases import Cases
from core.texts import say
from tests.bots.discord_bot.enforced import STAFF
from tests.end_to_end.conftest import Village
from tests.end_to_end.running import until
from tests.platforms.discord_components import walk
from tests.platforms.discord_permissions import May
from tests.platforms.discord_world import Posted


async def shown(place: Village, words: str) -> Posted:
    """What the bot says in the channel, once it does."""
    discord = place.discord

    def found() -> list[Posted]:
        return [one for one in discord.by_bot(discord.world.general) if words in one.text]

    await until(lambda: bool(found()), words)
    return found()[-1]


def button(posted: Posted, label: str) -> str:
    return next(one["custom_id"] for one in walk(posted.data["components"]) if one.get("label") == label)


async def test_a_ban_is_asked_about_done_and_taken_back(place: Village) -> None:
    discord, world = place.discord, place.discord.world
    guild, held = world.guild["id"], world.permissions
    bob, mo = world.add_user("bob"), world.add_user("mo")
    held.give(guild, world.bot, *STAFF, position=10)
    held.give(guild, mo, May.BAN_MEMBERS, May.MODERATE_MEMBERS, position=5)
    await until(lambda: any(one["name"] == "ban" for one in world.commands), "the commands")
    discord.slash("ban", {"user": bob}, world.general, user=bob)
    await shown(place, say("lacking.ban"))
    discord.slash("ban", {"user": bob, "for": "7d", "reason": "spam"}, world.general, user=mo)
    plan = await shown(place, "About to do this")
    assert (guild, bob) not in world.bans
    confirm = button(plan, say("button.confirm"))
    discord.press(plan.id, confirm, user=bob)
    await shown(place, say("confirm_not_yours"))
    discord.press(plan.id, confirm, user=mo)
    done = await shown(place, "is banned")
    assert (guild, bob) in world.bans
    [told] = [posted.text for posted in discord.by_bot(world.direct(bob))]
    assert say("act_told_reason", reason="`spam`") in told
    discord.press(done.id, button(done, say("button.undo_act")), user=mo)
    await until(lambda: (guild, bob) not in world.bans, "the undoing")
    await shown(place, "is not banned")
    cases = await Cases(place.store, keep_days=1).latest(f"discord:{world.bot}:{guild}")
    assert [(case.kind, case.state) for case in cases] == [("unban", "done"), ("ban", "undone")]
    assert discord.violations == []
