from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bots.adapter import Page, Slot, Target
from bots.telegram_bot.api import Api
from bots.telegram_bot.local_files import read_below
from bots.telegram_bot.media import MAX_LOCAL_UPLOAD, kind_of
from bots.telegram_bot.outbound import TelegramOutbound
from bots.telegram_bot.seen import Seen
from core.errors import OutboundError, OutboundFault
from core.message import Attachment, AttachmentKind, ConversationKey, Platform
from core.parts import Media
from core.settings import TelegramSettings
from core.storage.client import Store
from core.storage.shared import Memory
from tests.platforms.openai_audio import OPUS
from tests.platforms.telegram_server import TelegramServer
from tests.platforms.telegram_world import PNG

AT = Target(ConversationKey(Platform.TELEGRAM, "4242", "7"), private=True, question="", asked="")
SLOT = Slot("telegram:4242:7:/1", 0)
OTHER_PNG = PNG + b"other"


@pytest.fixture
def files(api: Api, store: Store, server: TelegramServer) -> TelegramOutbound:
    """An outbound that remembers what it sent."""
    server.world.chat(7)
    return TelegramOutbound(api, Seen(), ids=Memory(store))


async def send(outbound: TelegramOutbound, name: str, mime: str, data: bytes) -> str:
    return await outbound.send_file(AT, name, mime, data, outbound.format(""), SLOT)


def kinds(server: TelegramServer) -> list[str]:
    return [next(iter(post.media)) for post in server.world.shown(7)]


@pytest.mark.parametrize(
    ("mime", "data", "kind"),
    [
        ("image/jpeg", b"\xff\xd8\xff\xe0", "photo"),
        ("image/png", PNG, "photo"),
        ("image/png", PNG + bytes(10_000_000), "document"),
        ("image/gif", b"GIF89a", "animation"),
        ("audio/ogg", OPUS, "voice"),
        ("audio/ogg", b"OggS" + bytes(24) + b"\x01vorbis", "document"),
        ("audio/mpeg", b"ID3", "audio"),
        ("audio/wav", b"RIFF", "document"),
        ("video/mp4", b"....ftyp", "video"),
        ("text/markdown", b"# x", "document"),
    ],
)
async def test_each_file_goes_as_what_it_is(
    mime: str, data: bytes, kind: str, server: TelegramServer, files: TelegramOutbound
) -> None:
    assert kind_of(Media("a", mime, data)) == kind
    await send(files, "a", mime, data)
    assert kinds(server) == [kind]


async def test_what_is_refused_goes_as_a_plain_file(server: TelegramServer, files: TelegramOutbound) -> None:
    server.methods.files.no_voices.add(7)
    await send(files, "a.ogg", "audio/ogg", OPUS)
    await send(files, "a.png", "image/png", b"broken")
    assert kinds(server) == ["document", "document"]


async def test_the_same_bytes_are_uploaded_once(
    server: TelegramServer, files: TelegramOutbound, api: Api, store: Store
) -> None:
    await send(files, "a.png", "image/png", PNG)
    other_process = TelegramOutbound(api, Seen(), ids=Memory(store))
    await send(other_process, "again.png", "image/png", PNG)
    assert server.methods.files.uploads == 1
    assert kinds(server) == ["photo", "photo"]
    # A plain file keeps its name, so another name is another file.
    await send(files, "a.txt", "text/plain", b"x")
    await send(files, "b.txt", "text/plain", b"x")
    assert server.methods.files.uploads == 3


async def test_an_id_that_is_refused_costs_an_upload_only(server: TelegramServer, files: TelegramOutbound) -> None:
    await send(files, "a.ogg", "audio/ogg", OPUS)
    server.world.files.clear()
    await send(files, "a.ogg", "audio/ogg", OPUS)
    assert kinds(server) == ["voice", "voice"]
    # The new id is the one that is known now.
    await send(files, "a.ogg", "audio/ogg", OPUS)
    assert server.methods.files.uploads == 2


async def test_pictures_go_as_an_album(server: TelegramServer, files: TelegramOutbound) -> None:
    pictures = [Media("a.png", "image/png", PNG), Media("b.png", "image/png", OTHER_PNG)]
    ids = await files.send_album(AT, pictures, SLOT)
    posts = server.world.shown(7)
    assert [str(post.id) for post in posts] == ids
    assert len({post.extra["media_group_id"] for post in posts}) == 1
    await files.send_album(AT, pictures[::-1], SLOT)
    assert server.methods.files.uploads == 2
    server.world.files.clear()
    await files.send_album(AT, pictures, SLOT)
    assert server.methods.files.uploads == 4


async def test_an_albums_caption_stands_with_its_first_picture(server: TelegramServer, files: TelegramOutbound) -> None:
    pictures = [Media("a.png", "image/png", PNG), Media("b.png", "image/png", OTHER_PNG)]
    await files.send_album(AT, pictures, SLOT, Page("two cats", 8))
    assert [post.text for post in server.world.shown(7)] == ["two cats", ""]


async def test_a_broken_picture_refuses_its_album(server: TelegramServer, files: TelegramOutbound) -> None:
    pictures = [Media("a.png", "image/png", PNG), Media("b.png", "image/png", b"broken")]
    with pytest.raises(OutboundError) as caught:
        await files.send_album(AT, pictures, SLOT)
    assert caught.value.fault is OutboundFault.REFUSED
    assert not server.world.shown(7)


# ---- a server of one's own


@pytest.fixture
async def own(server: TelegramServer, tmp_path: Path) -> AsyncIterator[TelegramOutbound]:
    """The line to a Bot API server that runs with ``--local``."""
    folder = tmp_path / "server"
    folder.mkdir()
    server.methods.files.folder = folder
    server.world.chat(7)
    settings = {"token": server.token, "api_base": server.url, "local_server": True, "local_files": str(folder)}
    api = Api(TelegramSettings.model_validate(settings))
    yield TelegramOutbound(api, Seen())
    await api.close()


async def fetch(outbound: TelegramOutbound, ref: str, limit: int = 100_000_000) -> bytes:
    return await outbound.fetch(AT.conversation, Attachment(AttachmentKind.DOCUMENT, ref), limit)


async def test_a_server_of_ones_own_takes_and_gives_more(server: TelegramServer, own: TelegramOutbound) -> None:
    assert own.capabilities.max_file == MAX_LOCAL_UPLOAD
    assert own.capabilities.max_download == 0
    large = bytes(20_000_001)
    file = server.world.file("document", large)
    assert await fetch(own, file["file_id"]) == large
    with pytest.raises(OutboundError) as caught:
        await fetch(own, file["file_id"], limit=20_000_000)
    assert caught.value.fault is OutboundFault.REFUSED


@pytest.mark.parametrize("path", ["../secret.env", "link/secret.env", ".", "gone", "a\0b"])
def test_no_path_leads_out_of_the_folder(path: str, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    (tmp_path / "secret.env").write_bytes(b"TOKEN=1")
    (folder / "link").symlink_to(tmp_path)
    for named in (path, str(folder / path)):
        with pytest.raises(Exception, match=r"outside|could not be read") as caught:
            read_below(folder, named, 1000)
        assert str(tmp_path) not in str(caught.value)
