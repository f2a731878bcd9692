"""The methods that send and fetch files, with the real server's rules and refusals."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.platforms.telegram_schema import Upload
from tests.platforms.telegram_text import MAX_CAPTION, Json, Refusal, accepted, bad
from tests.platforms.telegram_world import Chat, World

MAX_UPLOAD = 50_000_000
MAX_DOWNLOAD = 20_000_000
MAX_PHOTO = 10_000_000
PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")
KINDS = ("document", "photo", "voice", "audio", "video", "animation")

Put = Callable[..., Json]
"""Puts a message into a chat: chat, the call's fields, its content."""


class Files:
    """What files a bot sends and fetches. Raises Refusal."""

    def __init__(self, world: World, chat: Callable[[Json], Chat], put: Put) -> None:
        self._world = world
        self._chat = chat
        self._put = put
        self.folder: Path | None = None
        """Where a server of the owner's, run with ``--local``, keeps files; None: it is Telegram's own."""
        self.no_voices: set[int] = set()
        """Private chats of people who take no voice messages."""
        self._albums = itertools.count(1)
        self.uploads = 0
        """Files that came with their bytes."""
        self.by_name: dict[str, Callable[[Json], Any]] = {f"send{kind.title()}": self._sender(kind) for kind in KINDS}
        self.by_name |= {"sendMediaGroup": self._send_album, "getFile": self._get}

    def _sender(self, kind: str) -> Callable[[Json], Json]:
        return lambda fields: self._send(fields, kind)

    def _send(self, fields: Json, kind: str) -> Json:
        chat = self._chat(fields)
        file = self._file(kind, fields[kind])
        if kind == "voice" and chat.id in self.no_voices:
            raise bad("VOICE_MESSAGES_FORBIDDEN")
        text, entities = _caption(fields)
        return self._put(chat, fields, text=text, entities=entities, media={kind: [file] if kind == "photo" else file})

    def _send_album(self, fields: Json) -> list[Json]:
        """All of them or none."""
        chat = self._chat(fields)
        items: list[Json] = fields["media"]
        kinds = {item["type"] for item in items}
        if len(kinds) > 1 and not kinds <= {"photo", "video"}:
            raise bad("can't mix these kinds of media in an album")
        files = [
            self._file(
                item["type"], _named(fields, item["media"]), f"failed to send message #{number} with the error message "
            )
            for number, item in enumerate(items, 1)
        ]
        album = f"album-{next(self._albums)}"
        posts: list[Json] = []
        for item, file in zip(items, files, strict=True):
            text, entities = _caption(item)
            media = {item["type"]: [file] if item["type"] == "photo" else file}
            posts.append(
                self._put(chat, fields, text=text, entities=entities, media=media, extra={"media_group_id": album})
            )
        return posts

    def _file(self, kind: str, given: Any, before: str = "") -> Json:
        if isinstance(given, str):
            # Of another kind, of another bot, or made up: all the same to the server.
            if given not in self._world.files or not given.startswith(f"{kind}-"):
                raise bad(f"{before}wrong file identifier/HTTP URL specified")
            return {"file_id": given, "file_unique_id": f"u{given}", "file_size": len(self._world.files[given][1])}
        if not isinstance(given, Upload):
            raise bad(f"{before}there is no file in the request")
        if not given.data:
            raise bad(f"{before}file must be non-empty")
        if len(given.data) > (MAX_PHOTO if kind == "photo" else MAX_UPLOAD) and self.folder is None:
            raise Refusal(413, "Request Entity Too Large", violation=True)
        if kind == "photo" and not given.data.startswith(PICTURES):
            raise bad(f"{before}IMAGE_PROCESS_FAILED")
        self.uploads += 1
        named = {} if kind == "voice" else {"file_name": given.name}
        return self._world.file(kind, given.data, mime_type=given.mime, **named)

    def _get(self, fields: Json) -> Json:
        file = self._world.files.get(fields["file_id"])
        if file is None:
            raise bad("wrong file_id or the file is temporarily unavailable")
        path, data = file
        answer = {"file_id": fields["file_id"], "file_unique_id": "u", "file_size": len(data)}
        if self.folder is None:
            if len(data) > MAX_DOWNLOAD:
                raise bad("file is too big")
            return answer | {"file_path": path}
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return answer | {"file_path": str(place)}


def _named(fields: Json, media: str) -> Any:
    return fields.get(media.removeprefix("attach://")) if media.startswith("attach://") else media


def _caption(fields: Json) -> tuple[str, list[Json]]:
    if not fields.get("caption"):
        return "", []
    return accepted(fields["caption"], fields.get("caption_entities", ()), MAX_CAPTION)
