"""The rules of a space look at all that its members write, with a whole Parley."""

from __future__ import annotations

import asyncio

from core.storage.cases import Cases
from tests.end_to_end.conftest import Village
from tests.end_to_end.running import until
from tests.platforms.telegram_moderation import EVERYTHING

GROUP = -100500
LURE = "FREE N\u200bITRO for everybody, claim it now"


def is_gone(place: Village, message: int) -> bool:
    return place.telegram.world.chat(GROUP).posts[message].deleted


async def test_what_a_rule_hits_is_deleted_and_its_author_muted_and_not_answered(place: Village) -> None:
    world, chat = place.telegram.world, place.telegram_chat(GROUP)
    group = world.chat(GROUP)
    group.rights, group.moderators[2] = EVERYTHING, ("can_change_info", "can_restrict_members")
    world.text(GROUP, "/rules@parley_bot preset strict", user=2)
    await until(lambda: any("hold from now on" in text for text in chat.shown), "the rules")
    # So soon as every process has heard of it.
    for number in range(60):
        probe = world.text(GROUP, f"{LURE} {number}", user=7)
        await asyncio.sleep(0.1)
        if is_gone(place, probe):
            break
    asked = len(place.models.requests)
    harmless = world.text(GROUP, "good evening", user=6)
    lure = world.text(GROUP, f"@parley_bot {LURE}", user=5)
    await until(lambda: 5 in group.restricted and group.restricted[5][0].get("can_send_messages") is False, "the mute")
    await until(lambda: is_gone(place, lure), "the deletion")
    assert not is_gone(place, harmless)
    assert len(place.models.requests) == asked
    # What staff writes is let be, and an edit is looked at again.
    quoted = world.text(GROUP, LURE, user=2)
    world.edit(GROUP, harmless, LURE)
    await until(lambda: is_gone(place, harmless), "the deletion of the edited one")
    assert not is_gone(place, quoted)
    _, found = await Cases(place.store, keep_days=9).of(f"telegram:4242:{GROUP}", "5")
    # What others said before is the same: so it may go with it.
    assert {str(case.kind) for case in found} & {"delete", "purge"}
    assert "mute" in {str(case.kind) for case in found}
    assert {case.reason for case in found} == {"This looks like an advert or a scam."}
    assert {case.evidence.text.partition(" ")[2] for case in found} == {LURE}
