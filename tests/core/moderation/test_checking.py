"""Whether an act may be done, where somebody tries what is not meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.access import Right
from core.message import Author, ConversationKey, Platform
from core.moderation.acts import NEEDS, ActKind
from core.moderation.carrying import Acts
from core.people.access import Access, Asker
from core.people.identity import People
from core.people.spaces import Spaces
from core.storage.client import Store
from core.storage.shared import Once
from tests.builders import call
from tests.core.moderation.test_carrying import act
from tests.core.moderation.town import SPACE, SQUARE, Town

GARDEN = replace(SQUARE, chat="11")


async def refusal(
    store: Store, kind: ActKind, account: str = "5", *, asked: ConversationKey = SQUARE, done: ConversationKey = SQUARE
) -> str:
    """Key of the sentence. Who asks may do everything in the square, and nothing elsewhere."""

    async def may(asker: Asker, right: Right) -> bool:
        return asker.conversation == SQUARE

    access = Access(People(store), Spaces(store), (), Once(store), may=may)
    acts = Acts(store, {Platform.DISCORD: Town()}, keep_days=1, access=access)
    asker: Any = call("undo", conversation=asked, author=Author("2", "Mo"), private=False, space=SPACE)
    told = await acts.check(replace(act(kind, account=account), conversation=done), asker)
    return told.key if told else ""


NOBODY = ("6?x", "6#", "../members/6", "../../channels/9", "06", "\uff16", "6\n", "-0", "x", "9" * 40)


@pytest.mark.parametrize("kind", [ActKind.BAN, ActKind.MUTE])
async def test_nobody_is_acted_on_by_what_a_platform_might_read_as_their_number(store: Store, kind: ActKind) -> None:
    """It would be another's rank that is asked for, or nobody's: ``6`` stands above who asks."""
    assert await refusal(store, kind, "6") == "not_above_you"
    assert [await refusal(store, kind, account) for account in NOBODY] == ["account_unknown"] * len(NOBODY)


async def test_a_right_in_one_channel_is_none_to_undo_things_in_another(store: Store) -> None:
    for kind in (ActKind.UNLOCK, ActKind.UNSLOW, ActKind.UNPIN, ActKind.REPOST):
        assert await refusal(store, kind, "", done=GARDEN) == f"lacking.{NEEDS[kind]}"
        assert await refusal(store, kind, "", asked=GARDEN) == ""
    assert await refusal(store, ActKind.UNMUTE, done=GARDEN) == "", "people are in all channels"


async def test_nobody_takes_back_their_own_warning(store: Store) -> None:
    assert await refusal(store, ActKind.UNDO) == ""
    assert await refusal(store, ActKind.UNDO, "2") == "not_yourself"


async def test_who_left_can_be_given_back_what_waits_for_them(store: Store) -> None:
    for kind in (ActKind.UNMUTE, ActKind.UNRESTRICT, ActKind.RELEASE):
        assert await refusal(store, kind, "8") == ""
    assert await refusal(store, ActKind.MUTE, "8") == "act_not_here"
