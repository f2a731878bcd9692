"""What is done to members is told to their moderators, who take it back from there, with a whole Parley."""

from __future__ import annotations

import asyncio

from core.storage.cases import Cases
from core.storage.marks import Marks
from core.texts import say
from tests.bots.discord_bot.enforced import STAFF
from tests.end_to_end.conftest import Village
from tests.end_to_end.running import until
from tests.end_to_end.test_acts import button, shown
from tests.platforms.discord_permissions import May
from tests.platforms.discord_world import Posted
from tests.platforms.telegram_moderation import EVERYTHING
from tests.platforms.telegram_world import Post

GROUP, LOG = -100500, -100600


async def test_a_log_in_another_group_takes_back_what_was_done_in_the_first(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(GROUP)
    group, log = world.chat(GROUP), world.group(LOG, "Staff")
    group.rights = log.rights = EVERYTHING
    group.moderators[2] = ("can_change_info", "can_restrict_members")
    log.moderators = {2: (), 9: ("can_restrict_members",)}
    world.text(GROUP, f"/modlog@parley_bot {LOG}", user=2)
    await until(lambda: chat.shown[-1:] == [say("log_set")], "the choice")
    world.text(GROUP, "/admin@parley_bot set ladder 2: mute 1h", user=2)
    await until(lambda: "2: mute 1h" in chat.shown[-1], "the ladder")
    said = world.text(GROUP, "buy this", user=5)
    for _ in range(2):
        world.text(GROUP, "/warn@parley_bot spam", user=2, reply_to=said)
    await until(lambda: 5 in group.restricted and group.restricted[5][0].get("can_send_messages") is False, "the mute")

    def told(number: int) -> list[Post]:
        return [post for post in world.shown(LOG) if post.text.startswith(f"#{number} ")]

    await until(lambda: bool(told(3)), "the log")
    assert [len(told(number)) for number in (1, 2, 3)] == [1, 1, 1]
    [muted] = told(3)
    assert say("ladder_reason", count=2) in muted.text
    assert muted.markup is not None
    data = muted.markup["inline_keyboard"][0][0]["callback_data"]
    # An administrator there, and nobody here.
    world.press(LOG, muted.id, data, user=9)
    await until(lambda: say("lacking.mute") in world.texts(LOG), "the refusal")
    world.press(LOG, muted.id, data, user=2)
    await until(lambda: 5 not in group.restricted, "the undoing")
    await until(lambda: bool(told(4)), "that it is told, too")


async def test_a_rule_is_marked_in_the_log_of_a_server(place: Village) -> None:
    discord, world = place.discord, place.discord.world
    guild, held = world.guild["id"], world.permissions
    log = world.add_channel(guild, "staff")
    bob, mo = world.add_user("bob"), world.add_user("mo")
    held.give(guild, world.bot, *STAFF, position=10)
    held.give(guild, mo, May.MODERATE_MEMBERS, May.MANAGE_GUILD, position=5)
    await until(lambda: any(one["name"] == "modlog" for one in world.commands), "the commands")
    discord.slash("modlog", {"channel": log}, world.general, user=mo)
    await shown(place, say("log_set"))
    discord.slash("rules preset", {"name": "strict"}, world.general, user=mo)
    await shown(place, "hold from now on")

    def told() -> list[Posted]:
        return [posted for posted in discord.by_bot(log) if "lures" in posted.text or "`" in posted.text]

    # So soon as every process has heard of the rules.
    for number in range(60):
        discord.say(f"FREE NITRO for everybody, claim it now {number}", world.general, user=bob)
        await asyncio.sleep(0.1)
        if told():
            break
    await until(lambda: bool(told()), "the log")
    first = told()[0]
    discord.press(first.id, button(first, say("button.mark_wrong")), user=bob)
    await until(lambda: any(say("lacking.warn") in one.text for one in discord.by_bot(log)), "the refusal")
    discord.press(first.id, button(first, say("button.mark_wrong")), user=mo)
    space, marks = f"discord:{world.bot}:{guild}", Marks(place.store)
    for _ in range(100):
        if await marks.marks(space):
            break
        await asyncio.sleep(0.05)
    [mark] = await marks.marks(space)
    assert (mark.is_right, mark.by, mark.account) == (False, mo, bob)
    case = await Cases(place.store, keep_days=1).get(space, mark.number)
    assert case is not None
    assert case.rule == mark.rule
    assert discord.violations == []
