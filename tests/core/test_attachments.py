from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from core.attachments import LONGEST_HEARD, Attachments
from core.conversation.attached import Attached, Kind
from core.conversation.history import History
from core.conversation.readings import Readings
from core.errors import OutboundError, OutboundFault
from core.message import Attachment, AttachmentKind, ConversationKey, Message, Platform
from core.models.breaker import Breaker
from core.models.budget import Amounts
from core.models.catalog import Catalog
from core.models.model import Model, Provider
from core.models.openai_api import OpenAIApi
from core.models.paying import Payer, Reservation
from core.models.router import Router
from core.models.settings import RoutingSettings
from core.models.transcription import Transcriber
from core.parts import Notice, Usage
from core.settings import ChatSettings
from core.storage.client import Store
from core.texts import Amount
from tests.builders import message
from tests.core.files import pdf
from tests.core.models.pictures import JPEG
from tests.platforms.openai_server import Fault, OpenAIServer

WHISPER = Model("whisper", "p", "whisper", kind="transcription", price_minute=6000)
VOICE = Attachment(AttachmentKind.AUDIO, "voice", "", "audio/ogg", 100, 30)
SONG = Attachment(AttachmentKind.AUDIO, "song", "song.mp3", "audio/mpeg", 100, 30)
MENU = Attachment(AttachmentKind.DOCUMENT, "menu", "menu.pdf", "application/pdf", 100)
NOTES = Attachment(AttachmentKind.DOCUMENT, "notes", "notes.txt", "text/plain", 100)


@dataclass
class Shelf:
    """Where files lie."""

    server: OpenAIServer
    store: Store
    files: dict[str, bytes | OutboundFault] = field(default_factory=dict[str, bytes | OutboundFault])
    fetched: list[str] = field(default_factory=list[str])
    download_limit: int = 0
    routers: list[Router] = field(default_factory=list[Router])

    async def fetch(self, conversation: ConversationKey, attachment: Attachment, limit: int) -> bytes:
        self.fetched.append(attachment.ref)
        found = self.files[attachment.ref]
        if isinstance(found, OutboundFault):
            raise OutboundError(found, "refused")
        return found

    def reader(self, *models: Model, **settings: int) -> Attachments:
        """As a process of its own has it."""
        catalog = Catalog([Provider("p", self.server.url)], models)
        router = Router(catalog, RoutingSettings(), Breaker(5, 20), OpenAIApi)
        self.routers.append(router)
        return Attachments(
            ChatSettings.model_validate(settings),
            History(self.store, keep_days=1, max_messages=100),
            Readings(self.store),
            Transcriber(catalog, router),
            self.fetch,
            dict.fromkeys(Platform, self.download_limit),
        )


class Till:
    """A purse that holds whatever is asked of it."""

    def __init__(self) -> None:
        self.amounts: list[Amounts] = []
        """What was set aside, and what was paid."""

    async def reserve(
        self, payer: Payer, model: Model, most: Amounts, least: Amounts, *, seconds: float, sparing: bool = False
    ) -> Reservation:
        self.amounts.append(most)
        return Reservation("1", payer, model, most)

    async def settle(self, reservation: Reservation, took: Amounts, usage: Usage) -> tuple[Notice, ...]:
        self.amounts.append(took)
        return ()

    async def give_back(self, reservation: Reservation) -> None:
        self.amounts.append(Amounts())


@pytest.fixture
async def shelf(store: Store) -> AsyncIterator[Shelf]:
    async with OpenAIServer() as server:
        shelf = Shelf(server, store)
        shelf.files = {"voice": b"OggS", "song": b"ID3", "menu": pdf(["Bread"] * 3), "notes": b"remember"}
        yield shelf
        for router in shelf.routers:
            await router.aclose()


def sent(*attachments: Attachment, text: str = "", private: bool = True, id: str = "1") -> Message:
    return message(text, id, attachments=attachments, private=private)


async def test_a_recording_without_words_is_the_question(shelf: Shelf) -> None:
    read = await shelf.reader(WHISPER).read(sent(VOICE), tokens=1000, space="s")
    assert (read.text, read.files, read.notices) == ("What is the tallest mountain?", (), ())


async def test_a_recording_beside_words_is_a_file(shelf: Shelf) -> None:
    read = await shelf.reader(WHISPER).read(sent(SONG, text="Who sings?"), tokens=1000, space="s")
    assert read.text == "Who sings?"
    assert read.files == (Attached(Kind.RECORDING, "song.mp3", "What is the tallest mountain?"),)


async def test_a_recording_that_is_replied_to_is_a_file(shelf: Shelf) -> None:
    read = await shelf.reader(WHISPER).read(sent(replace(SONG, quoted=True)), tokens=1000, space="s")
    assert read.text == ""
    assert [file.name for file in read.files] == ["song.mp3"]


async def test_a_group_sees_what_was_heard(shelf: Shelf) -> None:
    shelf.server.audio.transcript = "*so* [this](x) " * 100
    read = await shelf.reader(WHISPER).read(sent(VOICE, private=False), tokens=1000, space="s")
    (notice,) = read.notices
    heard = str(notice.values["text"])
    assert notice.key == "heard"
    assert heard.startswith(r"\*so\* \[this\](x) ")
    assert len(heard.replace("\\", "")) <= LONGEST_HEARD


async def test_the_language_of_a_recording_is_told_where_the_model_tells_it(shelf: Shelf) -> None:
    shelf.server.audio.language = "german"
    for _ in range(2):
        read = await shelf.reader(WHISPER).read(sent(VOICE, private=False), tokens=1000, space="s")
        assert [(notice.key, notice.values.get("language")) for notice in read.notices] == [("heard_in", "de")]
    assert len(shelf.server.audio.heard) == 1, "it is kept with the text"


async def test_a_recording_is_as_long_as_it_is_whatever_its_sender_says(shelf: Shelf) -> None:
    hours = (10 * 3600 * 48_000).to_bytes(8, "little")
    output = io.BytesIO()
    with wave.open(output, "wb") as file:
        file.setparams((1, 1, 10, 0, "NONE", ""))
        file.writeframes(bytes(7000))
    for data, key in (
        (b"OggS\0\0" + hours + b"OpusHead" + bytes(90), "recording_too_long"),
        (output.getvalue(), "recording_too_long"),
        ((b"\xff\xfb\x10\xc4" + bytes(100)) * 30_000, "recording_too_long"),
        (b"", "nothing_heard"),
    ):
        shelf.files["voice"] = data
        read = await shelf.reader(WHISPER).read(sent(VOICE), tokens=1000, space="s")
        assert [notice.key for notice in read.notices] == [key]
    assert not shelf.server.audio.heard


async def test_who_declares_a_recording_shorter_than_it_is_pays_for_all_of_it(shelf: Shelf) -> None:
    output = io.BytesIO()
    with wave.open(output, "wb") as file:
        file.setparams((1, 1, 100, 0, "NONE", ""))
        file.writeframes(bytes(9000))
    shelf.files["voice"] = output.getvalue()
    reader, till = shelf.reader(WHISPER), Till()
    shelf.routers[-1].purse = till
    await reader.read(sent(replace(VOICE, seconds=1)), tokens=1000, space="s")
    assert [(amounts.money, amounts.seconds) for amounts in till.amounts] == [(9000, 90), (9000, 90)]


async def test_nothing_is_heard_or_read_twice(shelf: Shelf) -> None:
    for _ in range(2):
        # The second is another process, after the first one died; the platform gives the file another name by then.
        again = Attachment(AttachmentKind.AUDIO, "voice", "", "audio/ogg", 100, 30)
        read = await shelf.reader(WHISPER).read(sent(again, MENU), tokens=1000, space="s")
        assert len(read.readings) == 2
    assert shelf.fetched == ["voice", "menu"]
    assert len(shelf.server.audio.heard) == 1


def megabytes(number: float) -> Amount:
    return Amount(number, "megabyte")


@pytest.mark.parametrize(
    ("attachment", "settings", "key", "values"),
    [
        (VOICE, {"max_recording_seconds": 20}, "recording_too_long", {"found": "0:30", "allowed": "0:20"}),
        (
            Attachment(AttachmentKind.VIDEO, "voice", size=20_000_001),
            {},
            "file_too_large",
            {"found": megabytes(20.000001), "allowed": megabytes(20)},
        ),
        (
            Attachment(AttachmentKind.DOCUMENT, "menu", "a.pdf", "", 2_000_000),
            {"max_document_bytes": 1_000_000},
            "file_too_large",
            {"found": megabytes(2), "allowed": megabytes(1)},
        ),
        (Attachment(AttachmentKind.DOCUMENT, "menu", "a.exe", "application/x-dosexec"), {}, "file_unsupported", {}),
    ],
)
async def test_limits_are_told_before_anything_is_fetched(
    shelf: Shelf, attachment: Attachment, settings: dict[str, int], key: str, values: dict[str, str | Amount]
) -> None:
    read = await shelf.reader(WHISPER, **settings).read(sent(attachment), tokens=1000, space="s")
    assert read.notices == (Notice(key, values),)
    assert read.is_empty
    assert not shelf.fetched


async def test_the_platform_may_give_out_less_than_settings_allow(shelf: Shelf) -> None:
    shelf.download_limit = 20_000_000
    large = Attachment(AttachmentKind.AUDIO, "voice", size=30_000_000)
    read = await shelf.reader(WHISPER, max_recording_bytes=50_000_000).read(sent(large), tokens=1000, space="s")
    assert read.notices == (Notice("file_too_large", {"found": megabytes(30), "allowed": megabytes(20)}),)


async def test_without_a_model_nothing_is_spent(shelf: Shelf) -> None:
    read = await shelf.reader(Model("chat", "p", "stub")).read(sent(VOICE), tokens=1000, space="s")
    assert read.notices == (Notice("no_transcription"),)
    assert not shelf.fetched


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (OutboundFault.GONE, "file_gone"),
        (OutboundFault.TRANSIENT, "file_gone"),
        (OutboundFault.REFUSED, "file_too_large"),
    ],
)
async def test_a_file_that_cannot_be_fetched_is_told(shelf: Shelf, fault: OutboundFault, key: str) -> None:
    shelf.files["notes"] = fault
    read = await shelf.reader().read(sent(NOTES, text="hi"), tokens=1000, space="s")
    assert [notice.key for notice in read.notices] == [key]
    assert read.text == "hi"


@pytest.mark.parametrize(("fault", "key"), [(Fault.UNAUTHORISED, "not_heard"), (Fault.EMPTY, "nothing_heard")])
async def test_a_recording_that_gives_no_words_is_told(shelf: Shelf, fault: Fault, key: str) -> None:
    shelf.server.audio.fail(fault)
    read = await shelf.reader(WHISPER).read(sent(VOICE), tokens=1000, space="s")
    assert read.notices == (Notice(key),)
    assert not read.readings


@pytest.mark.parametrize(("told", "allowed"), [("90", "1:30"), ("?", "10:00"), ("9" * 50, "10:00")])
async def test_a_recording_that_is_too_long_for_its_server_is_told(shelf: Shelf, told: str, allowed: str) -> None:
    shelf.server.audio.longest_seconds = told
    read = await shelf.reader(WHISPER).read(sent(VOICE), tokens=1000, space="s")
    assert read.notices == (Notice("recording_longer", {"allowed": allowed}),)


async def test_what_is_left_out_of_a_document_is_told(shelf: Shelf) -> None:
    reader = shelf.reader(max_document_pages=2)
    read = await reader.read(sent(MENU), tokens=1000, space="s")
    assert read.files[0].text == "Bread\n\nBread"
    assert read.notices == (Notice("document_pages", {"name": "menu.pdf", "read": 2, "pages": 3}),)
    shelf.files["notes"] = b"word " * 1000
    read = await reader.read(sent(NOTES, id="2"), tokens=100, space="s")
    assert len(read.files[0].text) < 500
    assert read.notices == (Notice("document_long", {"name": "notes.txt"}),)


async def test_a_broken_file_does_not_take_the_others_along(shelf: Shelf) -> None:
    shelf.files["menu"] = b"%PDF-1.4 broken"
    read = await shelf.reader().read(sent(MENU, NOTES), tokens=1000, space="s")
    assert [file.text for file in read.files] == ["remember"]
    assert read.notices == (Notice("document_broken", {"name": "menu.pdf"}),)


async def test_the_same_trouble_is_told_once(shelf: Shelf) -> None:
    read = await shelf.reader().read(sent(*[VOICE] * 5), tokens=1000, space="s")
    assert read.notices == (Notice("no_transcription"),)


async def test_pictures_come_along(shelf: Shelf) -> None:
    shelf.files["photo"] = JPEG
    photo = Attachment(AttachmentKind.IMAGE, "photo", "photo.jpg", "image/jpeg", len(JPEG))
    read = await shelf.reader().read(sent(photo, NOTES), tokens=1000, space="s")
    assert len(read.images) == 1
    assert [file.name for file in read.files] == ["notes.txt"]
