from __future__ import annotations

import pytest

from bots.adapter import Capabilities
from bots.web_chat import ids, labels, translate
from bots.web_chat.outbound import WebOutbound
from bots.web_chat.store import File, Press, Role, State, StoredMessage, User
from bots.web_chat.uploads import clean_name, readable, sniff
from core.message import AttachmentKind, CommandCall, Message


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", ("help", "")),
        (" /model  large-2 ", ("model", "large-2")),
        ("/chat two\nlines", ("chat", "two\nlines")),
        ("/admin retry all", ("admin retry", "all")),
        ("/admin explode", ("admin", "explode")),
        ("/nothing", ("", "")),
        ("/etc/hosts", ("", "")),
        ("/Help", ("", "")),
        ("say /help", ("", "")),
        ("", ("", "")),
    ],
)
def test_typed_commands(text: str, command: tuple[str, str]) -> None:
    assert translate.typed_command(text) == command


@pytest.mark.parametrize("is_owner", [True, False])
def test_who_came_in_by_the_one_time_link_is_the_owner(is_owner: bool) -> None:
    user = User("u1", "Ada", is_owner)
    said = translate.to_incoming(user, ids.key_of("u1", "c1"), "/help", message_id="m1", language="en", now=1.0)
    assert said.author.is_owner is is_owner


def test_titles_are_one_line_cut_at_a_word() -> None:
    assert translate.title_of("  a\n\tb ", "x") == "a b"
    assert translate.title_of(" ", "cat.png") == "cat.png"
    title = translate.title_of("word " * 40, "x")
    assert title.endswith("word…")
    assert len(title) <= translate.TITLE_CHARS + 1
    assert len(translate.title_of("字" * 200, "x")) == translate.TITLE_CHARS + 1


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh", "zh_Hans"),
        ("zh-Hans-CN,en;q=0.5", "zh_Hans"),
        ("en-GB,zh;q=0.9", "en"),
        ("fr,zh;q=0.3,en;q=0.1", "zh_Hans"),
        ("fr", "en"),
        ("zh;q=x, ;;,", "en"),
        ("zh;q=0", "en"),
    ],
)
def test_language_is_the_best_we_have(header: str, language: str) -> None:
    assert labels.choose(header) == language


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("a.png", "a.png"),
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("C%3A%5Cx%5Cb.png", "b.png"),
        ("a%00%0A%E2%80%AEgnp.png", "a\ufffdgnp.png"),
        ("%FF", "\ufffd"),
        ("x" * 500, "x" * 100),
        ("", ""),
    ],
)
def test_file_names_are_made_harmless(sent: str, shown: str) -> None:
    assert clean_name(sent) == shown


def test_pictures_are_known_by_their_first_bytes() -> None:
    assert sniff(b"RIFF\0\0\0\0WEBPVP8 ") == "image/webp"
    assert sniff(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert sniff(b"<?xml") == ""
    assert sniff(b"") == ""


@pytest.mark.parametrize(
    ("name", "declared", "kind"),
    [
        ("talk.ogg", "Audio/OGG; codecs=opus", "audio/ogg"),
        ("film.mp4", "video/mp4", "video/mp4"),
        ("a.pdf", "", "application/pdf"),
        ("main.rs", "application/octet-stream", "text/plain"),
        ("not.png", "image/png", ""),
        ("a.bin", "audio/x y", ""),
        ("", "", ""),
    ],
)
def test_other_files_are_known_by_name_and_declared_kind(name: str, declared: str, kind: str) -> None:
    assert readable(name, declared) == kind


def test_each_file_is_read_as_what_it_is() -> None:
    files = [File("b", "a", mime, 5) for mime in ("image/png", "audio/ogg", "video/mp4", "application/pdf")]
    told = translate.to_incoming(
        User("u", "Ann"), ids.key_of("u", "c"), "hi", message_id="1", language="", now=0.0, files=files
    )
    assert isinstance(told, Message)
    assert [a.kind for a in told.attachments] == list(AttachmentKind)


def test_files_come_with_a_typed_command_too() -> None:
    files = [File("b", "a", "image/png", 5)]
    key = ids.key_of("u", "c")
    told = translate.to_incoming(User("u", "Ann"), key, "/explain", message_id="1", language="", now=0.0, files=files)
    assert isinstance(told, CommandCall)
    assert [a.ref for a in told.attachments] == ["b"]


def test_ids_sort_as_messages_are_shown() -> None:
    first, second = ids.new_message_id(ids.QUESTION), "f" * 20 + ids.ASKING
    pages = [ids.answer_id(first, number) for number in (0, 1, 10, 1000)]
    assert sorted([second, *reversed(pages), first]) == [first, *pages, second]
    assert all(ids.is_message_id(page) and ids.question_of(page) == first for page in pages)
    key = ids.key_of("a" * 24, "b" * 24)
    assert ids.parts_of(key) == ("a" * 24, "b" * 24)


def test_messages_survive_being_kept() -> None:
    message = StoredMessage(
        "x", Role.ANSWER, "té\nxt", State.DONE, (File("b", "n", "m", 1),), (Press("Go", "continue"),), "length", True
    )
    assert StoredMessage.from_json(message.to_json()) == message


def test_capabilities() -> None:
    able: Capabilities = WebOutbound.capabilities
    assert able.buttons
    assert able.endings
    assert able.idempotent_sends
    assert not able.drafts
