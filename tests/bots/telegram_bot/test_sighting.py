"""What the rules of a group look at, from the updates that the fake Bot API gives."""

from __future__ import annotations

from typing import Any

import pytest

from bots.telegram_bot.api import Api
from bots.telegram_bot.looking import Looking
from bots.telegram_bot.raw import Me
from bots.telegram_bot.translate import UPDATES, to_incoming
from core.message import Arrival, CommandCall, Incoming, Message, Movement, Reacted, Reaction, Sighting
from core.people.spaces import USUAL, Spaces, SpaceSettings
from core.storage.client import Store
from tests.bots.telegram_bot.receiving import Kept, Receivers, running, until
from tests.platforms import telegram_moderation
from tests.platforms.telegram_server import Fault, TelegramServer

ME = Me("4242", "parley_bot")
GROUP, OTHER, CHANNEL, STRANGE = -100_700, -100_701, -100_900, -100_901
ANN, BOB = 5, 6
BUTTON = {"inline_keyboard": [[{"text": "Win  here", "url": "https://win.example/b"}]]}


class Club:
    """One group whose rules look at everything, and one without."""

    def __init__(self, server: TelegramServer, api: Api) -> None:
        self.server, self.world = server, server.world
        self.chat, _ = self.world.group(GROUP), self.world.group(OTHER)
        self.looking = Looking(api, self.chosen)

    def chosen(self, group: str) -> SpaceSettings:
        return USUAL.model_copy(update={"moderated": True}) if group == str(GROUP) else USUAL

    async def taken(self) -> list[Incoming]:
        """What came in since the last time."""
        updates = list(self.world.pending.values())
        self.world.pending.clear()
        await self.looking.learn(updates)
        return to_incoming(updates, ME, 10_000_000, self.chosen, self.looking)

    async def sighting(self) -> Sighting:
        (found,) = [value for value in await self.taken() if isinstance(value, Sighting)]
        return found


@pytest.fixture
def club(server: TelegramServer, api: Api) -> Club:
    return Club(server, api)


async def test_everything_is_looked_at_before_it_is_answered(club: Club) -> None:
    first = club.world.text(GROUP, "just talking", user=ANN)
    club.world.text(GROUP, "@parley_bot what is this?", user=ANN, reply_to=first)
    club.world.text(GROUP, "/warn spam", user=BOB)
    club.world.text(OTHER, "@parley_bot hello", user=ANN)
    club.world.text(ANN, "hello")
    kinds = [type(value) for value in await club.taken()]
    assert kinds == [Sighting, Sighting, Message, Sighting, CommandCall, Message, Message]


async def test_what_is_told_of_a_message(club: Club) -> None:
    text = "@Ann @ann look at www.a.example and here"
    entities: list[dict[str, Any]] = [
        {"type": "mention", "offset": 0, "length": 4},
        {"type": "mention", "offset": 5, "length": 4},
        {"type": "url", "offset": 18, "length": 13},
        {"type": "text_link", "offset": 36, "length": 4, "url": "https://hidden.example/x"},
        {"type": "text_mention", "offset": 10, "length": 4, "user": club.world.person(9)},
    ]
    id = club.world.text(GROUP, text, user=ANN, entities=entities, reply_markup=BUTTON)
    seen = await club.sighting()
    assert (seen.id, seen.space, seen.author.id, seen.text) == (str(id), str(GROUP), str(ANN), f"{text}\nWin here")
    assert seen.links == ("www.a.example", "https://hidden.example/x", "https://win.example/b")
    assert (seen.mentions, seen.forwarded, seen.edited, seen.is_staff) == (2, False, False, False)
    club.world.edit(GROUP, id, "buy")
    edited = await club.sighting()
    assert (edited.text, edited.edited, edited.id) == ("buy\nWin here", True, str(id))


async def test_words_stand_in_more_than_texts(club: Club) -> None:
    user = {"type": "user", "date": 1, "sender_user": club.world.person(8)}
    club.world.photo(GROUP, "cheap", user=ANN, extra={"forward_origin": user, "media_group_id": "77"})
    photo = await club.sighting()
    assert (photo.text, photo.forwarded, photo.album, len(photo.attachments)) == ("cheap", True, "77", 1)
    club.world.text(GROUP, "", user=ANN, contact={"phone_number": "+1555", "first_name": "Best rates"})
    contact = await club.sighting()
    assert contact.unsupported == "contact"
    assert "Best rates" in contact.text
    club.world.sticker(GROUP, user=ANN)
    assert (await club.sighting()).unsupported == "sticker"
    elsewhere = {"origin": user, "message_id": 3, "chat": club.world.group(STRANGE).to_json()}
    club.world.text(GROUP, "see", user=ANN, external_reply=elsewhere, quote={"text": "crypto now", "position": 0})
    assert (await club.sighting()).text == "see\ncrypto now"
    rich = {"blocks": [{"type": "paragraph", "text": {"type": "url", "text": "x", "url": "https://r.example"}}]}
    club.world.text(GROUP, "", user=ANN, rich_message=rich)
    assert (await club.sighting()).links == ("https://r.example",)


async def test_bots_our_own_and_the_groups_notes_are_not_looked_at(club: Club) -> None:
    club.world.text(GROUP, "beep", user=8, is_bot=True)
    club.world.text(GROUP, "an answer", user=ANN, via_bot=club.server.me)
    club.world.text(GROUP, "", user=ANN, new_chat_title="Chess")
    moving = club.world.text(GROUP, "", user=ANN, location={"latitude": 1.0, "longitude": 1.0, "live_period": 60})
    club.world.edit(GROUP, moving, "")
    found = [value for value in await club.taken() if isinstance(value, Sighting)]
    assert [value.unsupported for value in found] == ["location"]


async def test_only_the_group_itself_and_its_own_channel_are_staff(club: Club) -> None:
    """Anybody can write as a channel of theirs, and call it like the group's."""
    for chat in (CHANNEL, STRANGE):
        club.world.channel(chat, "News")
    club.chat.linked = CHANNEL
    post = club.world.text(CHANNEL, "news")
    strange = club.world.text(STRANGE, "news")
    club.world.pending.clear()
    club.world.forwarded(GROUP, CHANNEL, post)
    club.world.forwarded(GROUP, STRANGE, strange)
    club.world.text(GROUP, "I say", user=1087968824, is_bot=True, sender_chat=club.chat.to_json())
    club.world.text(GROUP, "me too", user=136817688, sender_chat=club.world.chat(STRANGE).to_json())
    found = [value for value in await club.taken() if isinstance(value, Sighting)]
    assert [(value.author.id, value.is_staff) for value in found] == [
        (str(CHANNEL), True),
        (str(STRANGE), False),
        (str(GROUP), True),
        (str(STRANGE), False),
    ]
    assert not any(value.forwarded for value in found)
    assert len(club.server.named("getChat")) == 1


async def test_administrators_are_staff_and_asked_for_once_a_minute(club: Club) -> None:
    club.chat.moderators[BOB] = ("can_pin_messages",)
    club.world.text(GROUP, "I say", user=BOB)
    club.world.text(GROUP, "me too", user=ANN)
    club.world.text(OTHER, "and I", user=ANN)
    found = [value for value in await club.taken() if isinstance(value, Sighting)]
    assert [value.is_staff for value in found] == [True, False]
    assert len(club.server.named("getChatAdministrators")) == 1
    club.server.fail("getChatAdministrators", Fault.BAD_GATEWAY)
    club.world.text(GROUP, "again", user=BOB)
    assert (await club.sighting()).is_staff


async def test_while_nobody_tells_a_channel_is_a_strangers(club: Club) -> None:
    club.chat.linked = CHANNEL
    post = club.world.text(club.world.channel(CHANNEL).id, "news")
    club.world.pending.clear()
    club.server.fail("getChat", Fault.BAD_GATEWAY)
    club.world.forwarded(GROUP, CHANNEL, post)
    assert not (await club.sighting()).is_staff


async def test_who_comes_and_goes_is_told_once(club: Club) -> None:
    telegram_moderation.join(club.world, GROUP, ANN, told="both")
    telegram_moderation.join(club.world, GROUP, BOB, by=ANN, told="message")
    telegram_moderation.leave(club.world, GROUP, BOB, by=ANN)
    telegram_moderation.join(club.world, OTHER, BOB, told="both")
    telegram_moderation.join(club.world, GROUP, 4242, told="message")
    found = await club.taken()
    assert [(a.author.id, a.movement, a.by) for a in found if isinstance(a, Arrival)] == [
        (str(ANN), Movement.JOINED, ""),
        (str(BOB), Movement.JOINED, str(ANN)),
        (str(BOB), Movement.LEFT, str(ANN)),
    ]
    assert len(found) == 3


async def test_who_is_restricted_or_promoted_did_not_come(club: Club) -> None:
    telegram_moderation.join(club.world, GROUP, ANN)
    await club.taken()
    club.chat.restricted[ANN] = dict.fromkeys(telegram_moderation.PERMISSIONS, False), 0
    telegram_moderation.leave(club.world, GROUP, ANN)
    telegram_moderation.join(club.world, GROUP, ANN)
    movements = [value.movement for value in await club.taken() if isinstance(value, Arrival)]
    assert movements == [Movement.LEFT, Movement.JOINED]
    same = telegram_moderation.standing(club.chat, ANN)
    change = {"chat": club.chat.to_json(), "from": club.world.person(1), "date": 1}
    club.world.push("chat_member", change | {"old_chat_member": same, "new_chat_member": same})
    assert await club.taken() == []


async def test_who_asks_to_be_let_in_can_be_asked(club: Club) -> None:
    telegram_moderation.ask(club.world, GROUP, BOB, "I sell things")
    telegram_moderation.ask(club.world, OTHER, BOB)
    (asked,) = await club.taken()
    assert isinstance(asked, Arrival)
    assert (asked.movement, asked.words, asked.private_chat) == (Movement.ASKED, "I sell things", str(BOB))


async def test_reactions_are_seen_and_counted(club: Club) -> None:
    id = club.world.text(GROUP, "hello", user=ANN)
    await club.taken()
    telegram_moderation.react(club.world, GROUP, id, BOB, "👍", "🔥")
    telegram_moderation.react(club.world, GROUP, id, BOB, "🔥")
    found = await club.taken()
    reacted = [(one.emoji, one.added, one.message_id) for one in found if isinstance(one, Reacted)]
    assert reacted == [("👍", True, str(id)), ("🔥", True, str(id)), ("👍", False, str(id))]
    assert len({one.update for one in found if isinstance(one, Reacted)}) == 3
    assert len([one for one in found if isinstance(one, Reaction)]) == 2


def test_what_comes_only_by_name_is_asked_for() -> None:
    assert {"chat_member", "chat_join_request", "message_reaction"} < set(UPDATES)
    assert len(set(UPDATES)) == len(UPDATES)


async def test_a_receiver_hands_them_over(receiver: Receivers, server: TelegramServer, store: Store) -> None:
    server.world.group(GROUP)
    await Spaces(store).change(f"telegram:4242:{GROUP}", lambda space: space.model_copy(update={"moderated": True}))
    inbox = Kept()
    async with running(receiver(), inbox):
        server.world.text(GROUP, "@parley_bot hi", user=ANN)
        await until(lambda: inbox.all)
    assert [type(value) for value in inbox.all] == [Sighting, Message]
