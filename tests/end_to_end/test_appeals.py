"""Who was silenced or shut out asks once more, and another moderator decides, with a whole Parley."""

from __future__ import annotations

import re

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


async def test_an_appeal_on_telegram_is_decided_in_the_moderators_group(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(GROUP)
    group, log = world.chat(GROUP), world.group(LOG, "Staff")
    group.rights = log.rights = EVERYTHING
    group.moderators |= {2: ("can_change_info", "can_restrict_members"), 4: ("can_restrict_members",)}
    log.moderators = {2: (), 4: (), 9: ("can_restrict_members",)}
    world.text(5, "/start")
    world.text(GROUP, f"/reports@parley_bot {LOG}", user=2)
    await until(lambda: chat.shown[-1:] == [say("reports_set")], "the choice")
    said = world.text(GROUP, "buy this", user=5)
    world.text(GROUP, "/mute@parley_bot 1h spam", user=2, reply_to=said)
    await until(lambda: 5 in group.restricted and "/appeal" in world.texts(5)[-1], "the mute, told")
    found = re.search(r"/appeal (\w+)", world.texts(5)[-1])
    assert found is not None
    world.text(5, f"/appeal {found[1]} it was my brother")

    def told() -> list[Post]:
        return [post for post in world.shown(LOG) if "it was my brother" in post.text and post.markup]

    await until(lambda: bool(told()), "the appeal")
    assert say("appeal_made", number="1") in world.texts(5)
    [appeal] = told()
    assert appeal.markup is not None
    accept, keep = (each["callback_data"] for each in appeal.markup["inline_keyboard"][0])
    # An administrator there, and nobody here; and who acted.
    world.press(LOG, appeal.id, accept, user=9)
    await until(lambda: say("lacking.mute") in world.texts(LOG), "the refusal")
    world.press(LOG, appeal.id, keep, user=2)
    await until(lambda: say("appeal_not_alone") in world.texts(LOG), "the other refusal")
    world.press(LOG, appeal.id, accept, user=4)
    await until(lambda: 5 not in group.restricted, "the undoing")
    await until(lambda: say("appeal_is.accepted") in world.texts(5)[-1], "the word to them")


async def test_who_is_banned_from_a_server_appeals_in_the_direct_message_of_its_bot(place: Village) -> None:
    discord, world = place.discord, place.discord.world
    guild, held = world.guild["id"], world.permissions
    log = world.add_channel(guild, "staff")
    bob, mo, eve = world.add_user("bob"), world.add_user("mo"), world.add_user("eve")
    held.give(guild, world.bot, *STAFF, position=10)
    held.give(guild, mo, May.BAN_MEMBERS, May.MANAGE_GUILD, position=5)
    held.give(guild, eve, May.BAN_MEMBERS, position=5)
    await until(lambda: any(one["name"] == "appeal" for one in world.commands), "the commands")
    discord.slash("reports", {"channel": log}, world.general, user=mo)
    await shown(place, say("reports_set"))
    discord.slash("ban", {"user": bob, "reason": "spam"}, world.general, user=mo)
    asked = await shown(place, "About to do this")
    discord.press(asked.id, button(asked, say("button.confirm")), user=mo)
    direct = world.direct(bob)

    def words() -> list[Posted]:
        return [posted for posted in discord.by_bot(direct) if "/appeal" in posted.text]

    await until(lambda: bool(words()), "the word before the ban")
    found = re.search(r"/appeal (\w+)", words()[0].text)
    assert found is not None
    discord.slash("appeal", {"words": f"{found[1]} sorry"}, direct, user=bob)
    await until(lambda: any("`sorry`" in one.text for one in discord.by_bot(log)), "the appeal")
    [appeal] = [one for one in discord.by_bot(log) if "`sorry`" in one.text]
    discord.press(appeal.id, button(appeal, say("button.appeal_accept")), user=eve)
    await until(lambda: (guild, bob) not in world.bans, "the undoing")
