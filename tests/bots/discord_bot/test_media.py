"""Files from and to Discord over the wire: addresses that end, voice messages and where they are not taken."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from bots.discord_bot import media
from bots.discord_bot.media import Files, Voices
from bots.discord_bot.rest import Rest
from core.errors import OutboundError, OutboundFault
from core.message import Attachment, AttachmentKind
from tests.platforms.discord_files import signed
from tests.platforms.discord_permissions import May
from tests.platforms.discord_server import TOKEN, FakeDiscord
from tests.platforms.opus import opus

SOUND = opus([40] * 100)


@pytest.fixture
async def rest(discord: FakeDiscord) -> AsyncGenerator[Rest]:
    rest = Rest(discord.api_base, TOKEN)
    yield rest
    await rest.close()


def kept(discord: FakeDiscord, seconds: float) -> Attachment:
    """A file whose address ends so many seconds from now."""
    file = discord.world.store_file(discord.world.general, "a.ogg", "audio/ogg", SOUND, discord.cdn)
    return Attachment(AttachmentKind.AUDIO, signed(file["url"].partition("?")[0], seconds))


@pytest.mark.parametrize(("seconds", "calls"), [(86_400.0, 0), (5.0, 1), (-100_000.0, 1)])
async def test_an_address_is_asked_for_anew_where_it_ends(
    discord: FakeDiscord, rest: Rest, seconds: float, calls: int
) -> None:
    files = Files(rest, discord.cdn)
    assert await files.fetch(kept(discord, seconds), len(SOUND)) == SOUND
    assert len(discord.wire.made("POST /attachments/refresh-urls")) == calls


async def test_an_end_that_makes_no_sense_is_none(discord: FakeDiscord, rest: Rest) -> None:
    bare = kept(discord, 0.0).ref.partition("?")[0]
    for end in ("soon", "f" * 400):
        with pytest.raises(OutboundError) as caught:
            await Files(rest, discord.cdn).fetch(Attachment(AttachmentKind.AUDIO, f"{bare}-none?ex={end}"), 10)
        assert caught.value.fault is OutboundFault.GONE
    assert not discord.calls


async def test_a_file_that_is_gone_is_gone(discord: FakeDiscord, rest: Rest) -> None:
    files = Files(rest, discord.cdn)
    attachment = kept(discord, -1.0)
    discord.world.files.clear()
    with pytest.raises(OutboundError) as caught:
        await files.fetch(attachment, len(SOUND))
    assert caught.value.fault is OutboundFault.GONE


async def test_nothing_is_asked_for_what_is_too_large_or_not_discords(discord: FakeDiscord, rest: Rest) -> None:
    files = Files(rest, discord.cdn)
    old = kept(discord, -1.0)
    for attachment in (
        Attachment(AttachmentKind.AUDIO, old.ref, size=len(SOUND)),
        Attachment(AttachmentKind.AUDIO, old.ref.replace("127.0.0.1", "localhost")),
    ):
        with pytest.raises(OutboundError) as caught:
            await files.fetch(attachment, len(SOUND) - 1)
        assert caught.value.fault is OutboundFault.REFUSED
    assert not discord.calls


async def test_voice_messages_are_tried_again_after_a_while(
    discord: FakeDiscord, rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, voices = discord.world, Voices(rest)
    world.permissions.overwrite(world.general, world.guild["id"], deny=May.SEND_VOICE_MESSAGES)
    for _ in range(2):
        assert await voices.send(world.general, {}, SOUND) is None
    assert len(discord.calls) == 1
    other = world.add_channel(world.guild["id"], "elsewhere")
    assert await voices.send(other, {}, SOUND) == discord.by_bot(other)[0].id
    world.permissions.overwrite(world.general, world.guild["id"])
    assert await voices.send(world.general, {}, SOUND) is None
    monkeypatch.setattr(media, "VOICELESS_SECONDS", 0.0)
    later = Voices(rest)
    world.permissions.overwrite(other, world.guild["id"], deny=May.SEND_VOICE_MESSAGES)
    assert await later.send(other, {}, SOUND) is None
    world.permissions.overwrite(other, world.guild["id"])
    assert await later.send(other, {}, SOUND)


async def test_a_limit_is_no_reason_for_a_file(discord: FakeDiscord, rest: Rest) -> None:
    discord.fail("429", "POST /channels")
    with pytest.raises(OutboundError) as caught:
        await Voices(rest).send(discord.world.general, {}, SOUND)
    assert caught.value.fault is OutboundFault.RATE_LIMITED
