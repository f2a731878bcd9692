"""Pieces of albums go together: each is a message of its own, and the words stand below one of them. In memory."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from core.message import ConversationKey, Sighting
from core.moderation.acts import Act, ActKind
from core.moderation.checking import ON_WORDS

MOST_ALBUMS = 1000
"""Whose pieces came last."""
MOST_PIECES = 20
"""Of one album; Telegram's have ten."""


@dataclass(slots=True)
class _Album:
    left: list[str] = field(default_factory=list[str])
    """Ids of the pieces that nobody takes away."""
    taken: set[str] = field(default_factory=set[str])
    act: Act | None = None
    """By which the first of them is taken away."""


class Albums:
    """Those that this process saw of late. A space is received by one process at a time."""

    def __init__(self) -> None:
        self._albums: OrderedDict[tuple[ConversationKey, str], _Album] = OrderedDict()

    def saw(self, said: Sighting, acts: Sequence[Act]) -> None:
        """Notes a piece, with what is done about it."""
        if not said.album:
            return
        album = self._albums.setdefault((said.conversation, said.album), _Album())
        self._albums.move_to_end((said.conversation, said.album))
        if len(self._albums) > MOST_ALBUMS:
            self._albums.popitem(last=False)
        taking = (act for act in acts if act.kind in ON_WORDS and act.conversation == said.conversation)
        act = next((act for act in taking if said.id in act.messages), None)
        if act is not None:
            self._take(album, act.messages)
            album.act = album.act or act
        elif said.id not in album.taken and said.id not in album.left and len(album.left) < MOST_PIECES:
            album.left.append(said.id)

    def goes(self, said: Sighting) -> bool:
        """Whether a piece of its album is taken away, so that it goes as well."""
        album = self._albums.get((said.conversation, said.album))
        return album is not None and album.act is not None

    def rest(self, said: Iterable[Sighting]) -> list[Act]:
        """What takes away the other pieces of the albums that these are of, where one is taken away; the same until it
        is :meth:`done`."""
        albums = {(one.conversation, one.album): self._albums.get((one.conversation, one.album)) for one in said}
        return [_like(album.act, album.left) for album in albums.values() if album and album.act and album.left]

    def done(self, said: Iterable[Sighting], acts: Iterable[Act]) -> None:
        """These acts are written down."""
        ids = [id for act in acts for id in act.messages]
        for one in said:
            if (album := self._albums.get((one.conversation, one.album))) is not None:
                self._take(album, [id for id in ids if id in album.left])

    def _take(self, album: _Album, ids: Iterable[str]) -> None:
        album.taken.update(ids)
        album.left = [id for id in album.left if id not in album.taken]


def _like(act: Act, ids: Sequence[str]) -> Act:
    """No further strike is given: it is one slip."""
    text = "\t".join((act.id, "album", *ids))
    return replace(
        act,
        id="rule:" + hashlib.sha256(text.encode()).hexdigest()[:32],
        kind=ActKind.DELETE if len(ids) == 1 else ActKind.PURGE,
        messages=tuple(ids),
        authors={},
        strikes=0,
    )
