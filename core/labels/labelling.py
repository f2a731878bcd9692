"""Labels on files of every kind: what is made says so by itself, wherever it is passed on to.

So the EU's AI Act (Article 50: marked in a machine-readable form) and China's GB 45438-2025 ask for it.
"""

from __future__ import annotations

from core.labels import films, pictures, sounds, xmp
from core.labels.origin import Origin

_KINDS = {"image": pictures.put, "audio": sounds.put, "video": films.put}


def labelled(data: bytes, mime: str, origin: Origin) -> bytes:
    """The file with its label: pixels and samples stay as they are. A file without room for one is left alone.

    Raises ValueError for a picture, sound or film that is broken.
    """
    put = _KINDS.get(mime.partition("/")[0])
    return put(data, origin) if put else data


def read(data: bytes) -> Origin | None:
    """What a file says of where it comes from, in a label of ours or of others; None where it says nothing.

    Anybody can write a label, and take one out.
    """
    return xmp.read(data)
