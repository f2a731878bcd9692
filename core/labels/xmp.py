"""A label as an XMP packet (ISO 16684): the one form that pictures, sounds and films all have room for.

It is found by looking for its beginning, as the standard means it to be found; so files that were cut, or of formats
that nobody knows here, are read as well. It is never given to an XML parser: it comes from anybody.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, cast
from xml.sax.saxutils import escape, quoteattr

from core.labels.origin import EDITED, GENERATED, LONGEST, Origin, cleaned

TOOL = "Parley"
MAX_PACKET = 65_536
"""Bytes of a packet that are read."""
MAX_PACKETS = 8
"""Of one file: programs add theirs to what is there."""
MAX_PLACES = 16
"""Where a name may stand in one packet."""
_BEGIN, _END = b"<x:xmpmeta", b"</x:xmpmeta>"
_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_SOURCE = re.compile(r"digitalsourcetype/(\w{1,60})", re.IGNORECASE)
_EDITS = {EDITED.lower(), "compositesynthetic"}
_MADE = {GENERATED.lower(), *_EDITS}
_AIGC = re.compile(r'\{[^{}]{0,2000}"Label"[^{}]{0,2000}\}')
_WRITTEN = re.compile(r"""=\s*+(?:"([^"<>]{0,4000}+)"|'([^'<>]{0,4000}+)')|>([^<]{0,4000}+)<""")
_NAMES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
    "parley": "urn:parley:origin:1",
}


def packet(origin: Origin) -> bytes:
    """The label as a packet."""
    names = "".join(f" xmlns:{prefix}={quoteattr(name)}" for prefix, name in _NAMES.items() if prefix != "rdf")
    values = {
        "Iptc4xmpExt:DigitalSourceType": _SOURCES + origin.source_type,
        "Iptc4xmpExt:AISystemUsed": cleaned(origin.model),
        "xmp:CreatorTool": TOOL,
        "xmp:CreateDate": origin.moment,
        "dc:identifier": cleaned(origin.id),
        "parley:Provider": cleaned(origin.provider),
    }
    written = "".join(f" {name}={quoteattr(value)}" for name, value in values.items() if value)
    aigc = escape(origin.aigc(), {'"': "&quot;"})
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{_NAMES["rdf"]}"><rdf:Description rdf:about=""{names}{written}>'
        f"<TC260:AIGC>{aigc}</TC260:AIGC></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='r'?>"
    ).encode()


def read(data: bytes) -> Origin | None:
    """What a file's packets, or a bare field AIGC, say of it. None: nothing, or that no model made it."""
    for found in _packets(data):
        if origin := _of_packet(found):
            return origin
    return _of_aigc(_bare_aigc(data))


def _packets(data: bytes) -> Iterator[str]:
    at = -1
    for _ in range(MAX_PACKETS):
        at = data.find(_BEGIN, at + 1)
        if at < 0:
            return
        end = data.find(_END, at, at + MAX_PACKET)
        if end >= 0:
            yield data[at:end].decode(errors="replace")


def _of_packet(text: str) -> Origin | None:
    labelled = _of_aigc(_AIGC.search(html.unescape(_value(text, "AIGC"))))
    source = _SOURCE.search(_value(text, "DigitalSourceType"))
    kind = source[1].lower() if source else ""
    if kind not in _MADE and labelled is None:
        return None
    label = labelled or Origin("", producer="")
    return Origin(
        model=_plain(text, "AISystemUsed") or _plain(text, "CreatorTool"),
        provider=_plain(text, "parley:Provider"),
        made_at=_moment(_plain(text, "CreateDate")),
        id=label.id or _plain(text, "dc:identifier"),
        is_edit=kind in _EDITS,
        producer=label.producer,
        surety=label.surety,
    )


def _value(text: str, name: str) -> str:
    """Of an attribute or an element, as it is written."""
    # A few places alone: a text that is made for it has thousands, and looking at all of them takes seconds.
    for place in islice(re.finditer(rf"\b{name}\s*+(?=[=>])", text), MAX_PLACES):
        if found := _WRITTEN.match(text, place.end()):
            return next(filter(None, found.groups()), "")
    return ""


def _plain(text: str, name: str) -> str:
    return cleaned(html.unescape(_value(text, name)[: LONGEST * 6]))


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _bare_aigc(data: bytes) -> re.Match[str] | None:
    at = data.find(b'"ContentProducer"')
    near = data[max(0, at - 2000) : at + 4000].decode("latin-1") if at >= 0 else ""
    return _AIGC.search(near)


def _of_aigc(found: re.Match[str] | None) -> Origin | None:
    try:
        value: object = json.loads(found[0]) if found else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    label = str(fields.get("Label", ""))
    if label not in ("1", "2", "3"):
        return None
    producer, id = (cleaned(str(fields.get(name, ""))) for name in ("ContentProducer", "ProduceID"))
    return Origin("", id=id, producer=producer, surety=label)
