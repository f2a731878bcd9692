from __future__ import annotations

import pytest

from bots.web_chat import pictographs, playing
from tests.bots.web_chat.world import Visitor, World, found

FILM = bytes(range(256)) * 40


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-", (0, 100)),
        ("bytes=0-0", (0, 1)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-30", (70, 100)),
        ("bytes=-300", (0, 100)),
        ("", None),
        ("bytes=-", None),
        ("bytes=20-10", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=²-", None),
        ("bytes=-1-2", None),
        (f"bytes={'9' * 40}-", None),
    ],
)
def test_parts(header: str, part: tuple[int, int] | None) -> None:
    assert playing.part_of(header, 100) == part


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-1", 0)])
def test_parts_that_are_not_there(header: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"asked|behind"):
        playing.part_of(header, size)


@pytest.mark.parametrize(
    ("mime", "served"),
    [
        ("audio/mpeg", "audio/mpeg"),
        ("Audio/X-WAV; rate=8000", "audio/wav"),
        ("video/mp4", "video/mp4"),
        ("image/png", "image/png"),
        ("image/svg+xml", ""),
        ("video/x-msvideo", ""),
        ("text/html", ""),
        ("", ""),
    ],
)
def test_what_is_played(mime: str, served: str) -> None:
    assert playing.served_as(mime) == served


def test_signs_of_our_own_sentences_become_icons() -> None:
    assert pictographs.parted("🔍 Larger") == ("larger", "Larger")
    assert pictographs.parted("◻️ Square") == ("square", "Square")
    assert pictographs.parted("🗑") == ("delete", "")
    assert pictographs.parted("Model ›") == ("", "Model ›")
    notice = pictographs.drawn("<p>🎨 “🎨 fox”</p>", "/i.svg", is_own=True)
    assert notice == '<p><svg class="icon sign" aria-hidden="true"><use href="/i.svg#paint"></use></svg> “🎨 fox”</p>'
    # What a model begins with is its own.
    assert pictographs.drawn("<p>🎨 Art</p>", "/i.svg", is_own=False) == "<p>🎨 Art</p>"
    assert "#paint" in pictographs.drawn("<p><em>🎨 drawn</em></p>", "/i.svg", is_own=False)


async def uploaded(owner: Visitor, data: bytes, mime: str, name: str) -> str:
    headers = {**owner.signed, "Content-Type": mime, "X-File-Name": name}
    async with owner.http.post("/uploads", data=data, headers=headers) as answer:
        return found(r'value="([0-9a-f]+)"', await answer.text())


async def test_films_play_in_the_page_and_can_be_sought_in(owner: Visitor) -> None:
    blob = await uploaded(owner, FILM, "video/mp4", "sea.mp4")
    async with owner.http.get(f"/blobs/{blob}") as answer:
        assert (answer.status, await answer.read()) == (200, FILM)
        assert answer.headers["Content-Type"] == "video/mp4"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Content-Disposition"].startswith("inline")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    async with owner.http.get(f"/blobs/{blob}", headers={"Range": "bytes=1000-1999"}) as answer:
        assert (answer.status, await answer.read()) == (206, FILM[1000:2000])
        assert answer.headers["Content-Range"] == f"bytes 1000-1999/{len(FILM)}"
    async with owner.http.get(f"/blobs/{blob}", headers={"Range": "bytes=0-9", "If-Range": '"x"'}) as answer:
        assert (answer.status, await answer.read()) == (200, FILM)
    async with owner.http.get(f"/blobs/{blob}", headers={"Range": f"bytes={len(FILM)}-"}) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(FILM)}")


async def test_players_stand_beside_their_downloads(owner: Visitor, world: World) -> None:
    sound = await uploaded(owner, b"ID3", "audio/mpeg", "a.mp3")
    film = await uploaded(owner, FILM, "video/webm", "b.webm")
    other = await uploaded(owner, b"RIFF", "video/x-msvideo", "c.avi")
    conversation = await owner.ask("look", picture=sound)
    await owner.ask("and", conversation, picture=film)
    await owner.ask("and", conversation, picture=other)
    _, html = await owner.get(f"/c/{conversation}")
    assert f'<audio controls preload="metadata" src="/blobs/{sound}" aria-label="a.mp3">' in html
    assert f'<video controls preload="metadata" playsinline src="/blobs/{film}" aria-label="b.webm">' in html
    assert [f'href="/blobs/{blob}" download=' in html for blob in (sound, film, other)] == [True] * 3
    assert f'src="/blobs/{other}"' not in html
    async with owner.http.get(f"/blobs/{other}") as answer:
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment")
