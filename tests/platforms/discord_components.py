"""What Discord takes as components of a message or a modal, as far as no description of single fields can tell.

A message has either rows of buttons below its content, or, with the flag :data:`V2`, components and nothing else.
Numbers are Discord's types of components.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tests.platforms.discord_refusals import Json, Refusal, form_error

V2 = 1 << 15
"""The flag of a message that is made of components."""
MAX_PARTS = 40
"""Components of a message in all, nested ones counted."""
MAX_LETTERS = 4000
"""Characters over all texts of a message."""
MAX_ROWS = 5
ROW, BUTTON, SELECT, INPUT = 1, 2, 3, 4
SECTION, TEXT, THUMBNAIL, GALLERY, FILE, SEPARATOR = 9, 10, 11, 12, 13, 14
CONTAINER, LABEL = 17, 18
PICKERS = (5, 6, 7, 8)
"""Selects of users, roles, both, channels."""
SELECTS = (SELECT, *PICKERS)
LINK, PREMIUM = 5, 6
"""Styles of buttons that open something and call nobody."""
IN_CONTAINERS = frozenset({ROW, TEXT, SECTION, GALLERY, SEPARATOR, FILE})
IN_MESSAGES = IN_CONTAINERS | {CONTAINER}
REFERENCE = "attachment://"
ONLY_COMPONENTS = (
    "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
    "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
)
SMALL_PRINT = "-# "


def walk(components: Sequence[Json]) -> Iterator[Json]:
    """Each component, then those in it."""
    for component in components:
        yield component
        yield from walk(_within(component))


def find(components: Sequence[Json], custom_id: str) -> Json:
    """The component that answers to ``custom_id``; LookupError when there is none."""
    there = [c for c in walk(components) if "custom_id" in c]
    for component in there:
        if component["custom_id"] == custom_id:
            return component
    raise LookupError(f"nothing named {custom_id!r} among {[c['custom_id'] for c in there]}")


def words(components: Sequence[Json]) -> str:
    """What a person reads in a message that is made of components: its texts, one after the other, without those that
    are nothing but a line of small print."""
    return "\n".join(text for text in _texts(components) if not _is_small(text))


def small_print(components: Sequence[Json]) -> str:
    """The line that :func:`words` leaves out."""
    return "\n".join(text.removeprefix(SMALL_PRINT) for text in _texts(components) if _is_small(text))


def _texts(components: Sequence[Json]) -> list[str]:
    return [c["content"] for c in walk(components) if c["type"] == TEXT]


def _is_small(text: str) -> bool:
    return text.startswith(SMALL_PRINT) and "\n" not in text


def check_message(components: Sequence[Json], *, is_v2: bool, files: Sequence[str]) -> None:
    """Raises Refusal for components that a message may not have; ``files`` are the names of its attachments.

    What each may hold, and how many of it, is in Discord's description (``discord_schema``).
    """
    everything = list(walk(components))
    if is_v2:
        _check_top(components, IN_MESSAGES)
        _check_size("components", len(everything), 1, MAX_PARTS)
        if len(letters := "".join(c.get("content") or "" for c in everything)) > MAX_LETTERS:
            raise form_error("components", f"{len(letters)} characters of text, must be {MAX_LETTERS} or fewer.")
    elif components:
        _check_top(components, frozenset({ROW}))
        _check_size("components", len(components), 1, MAX_ROWS)
    _check_each(everything)
    for url in _urls(everything):
        if url.startswith(REFERENCE) and url.removeprefix(REFERENCE) not in files:
            raise form_error("components", f"The referenced attachment {url} was not found")


def check_modal(components: Sequence[Json]) -> None:
    """Raises Refusal for components that a modal may not have."""
    _check_size("data.components", len(components), 1, MAX_ROWS)
    for row in (c for c in components if c["type"] == ROW):
        if len(row["components"]) != 1:
            raise form_error("data.components", "A row of a modal holds one text input.")
    _check_each([c for c in walk(components) if c["type"] != ROW])


def shown_files(components: Sequence[Json]) -> set[str]:
    """Names of the attachments that the components show; the others are not to be seen in such a message."""
    return {url.removeprefix(REFERENCE) for url in _urls(walk(components)) if url.startswith(REFERENCE)}


def stored(components: Sequence[Json], attachments: Sequence[Json]) -> list[Json]:
    """As Discord gives them back: numbered, and with the addresses of the attachments that they show."""
    kept = [_copy(component, {a["filename"]: a for a in attachments}) for component in components]
    used = {c["id"] for c in walk(kept) if "id" in c}
    free = (number for number in range(1, 1000) if number not in used)
    for component in walk(kept):
        component.setdefault("id", next(free))
    return kept


def _copy(component: Json, files: dict[str, Json]) -> Json:
    made = {**component}
    for key in ("components", "items"):
        if key in made:
            made[key] = [_copy(item, files) for item in made[key]]
    for key in ("accessory", "component"):
        if key in made:
            made[key] = _copy(made[key], files)
    for key in ("media", "file"):
        shown: Json = made.get(key) or {}
        if file := files.get(str(shown.get("url")).removeprefix(REFERENCE)):
            made[key] = {"url": file["url"], "proxy_url": file["proxy_url"], "attachment_id": file["id"]}
    return made


def _within(component: Json) -> list[Json]:
    single = [component[key] for key in ("accessory", "component") if component.get(key)]
    return [*(component.get("components") or []), *single]


def _urls(components: Iterator[Json] | Sequence[Json]) -> list[str]:
    media: list[Any] = []
    for component in components:
        media += [component.get("media"), component.get("file")]
        items: list[Json] = component.get("items") or []
        media += [item["media"] for item in items]
    return [found["url"] for found in media if found]


def _check_size(where: str, count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        raise form_error(where, f"Must be between {least} and {most} in length.")


def _check_top(components: Sequence[Json], allowed: frozenset[int]) -> None:
    for component in components:
        if component.get("type") not in allowed:
            raise form_error("components", f'Value of field "type" must be one of {sorted(allowed)}.')


def _check_each(everything: Sequence[Json]) -> None:
    for component in everything:
        _check_one(component)
    for key in ("custom_id", "id"):
        names = Counter(c[key] for c in everything if c.get(key))
        if double := [name for name, count in names.items() if count > 1]:
            raise form_error("components", f"Component {key.replace('_', ' ')} cannot be duplicated: {double[0]}")


def _check_one(component: Json) -> None:
    kind: int = component["type"]
    inner: list[Json] = component.get("components") or []
    if kind == ROW and len(inner) > 1 and any(part["type"] in SELECTS for part in inner):
        raise form_error("components", "A select menu has a row of its own.")
    if kind == BUTTON:
        _check_button(component)
    if kind == SELECT:
        _check_select(component)
    if kind == TEXT and not component["content"].strip():
        raise form_error("content", "This field is required", "BASE_TYPE_REQUIRED")
    if kind == FILE and not component["file"]["url"].startswith(REFERENCE):
        raise form_error("file", "Must be an attachment reference.")


def _check_button(button: Json) -> None:
    is_called, is_link = bool(button.get("custom_id")), button["style"] == LINK
    if is_called == (button["style"] in (LINK, PREMIUM)) or is_link != bool(button.get("url")):
        raise form_error("custom_id", "A link has an address and no custom id; other buttons have a custom id.")
    if button["style"] != PREMIUM and not (button.get("label") or button.get("emoji")):
        raise form_error("label", "Must be between 1 and 80 in length.")


def _check_select(select: Json) -> None:
    options: list[Json] = select["options"]
    values = [option["value"] for option in options]
    if len(set(values)) < len(values):
        raise form_error("options", "The specified option value is already used")
    least, most = select.get("min_values", 1), select.get("max_values", 1)
    if least > most or most > len(options) or sum(bool(o.get("default")) for o in options) > most:
        raise form_error("max_values", f"Between {least} and {most} of {len(options)} options.")


def check_mixture(body: Json, *, was_v2: bool) -> bool:
    """Whether the message is made of components after this body; raises Refusal for a mixture of both kinds.

    A plain message may become one of components, with its content taken away; there is no way back.
    """
    is_v2 = was_v2 or bool(int(body.get("flags") or 0) & V2)
    if is_v2 and any(body.get(name) for name in ("content", "embeds", "sticker_ids", "poll")):
        raise form_error("content", *ONLY_COMPONENTS)
    if was_v2 and "flags" in body and not int(body["flags"] or 0) & V2:
        raise Refusal(400, 50035, "Invalid Form Body: flags: IS_COMPONENTS_V2 cannot be removed")
    return is_v2
