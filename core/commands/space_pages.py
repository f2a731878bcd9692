"""The settings of a space as a menu that changes in place: its pages, and what its buttons hold. Pure.

A button holds ``.space VERSION`` and what it asks for; the version is that of the settings which the page shows, so
that of two people at once the second is told. Like those of /settings the buttons never reach a mailbox.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, cast

from core.commands.choosing import CLOSE, COLUMNS, LONGEST_COMMAND, MOST_LISTED, find_model, reference
from core.parts import Choice
from core.people import fields
from core.people.fields import BY_NAME, FIELDS, GROUPS, Field, Kind, Terms
from core.people.spaces import SpaceSettings
from core.people.transfer import Step
from core.storage.audit import Difference, Entry
from core.storage.records import Kept
from core.texts import Moment, languages, one_line, say

SPACE = ".space"
LOG, UNDO, IMPORT = "log", "undo", "import"
LOGGED = 10
"""Changes that one page shows."""
LONGEST_NAME = 40
LONGEST_VALUE = 200
ELSEWHERE = ("roles", "grants", "announcements", "log_channel")
"""Fields that have commands of their own."""
_ASKED = re.compile(r"([0-9]{1,12})(?: (?:@([a-z_]+)|!([a-z]+)(?: (\S+))?|([a-z_]+)(?:([=~?])(.*))?))?", re.DOTALL)

Rows = tuple[tuple[Choice, ...], ...]
Page = tuple[str, Rows]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a button asks for; nothing but the version: the first page."""

    version: int
    group: str = ""
    act: str = ""
    """:data:`LOG`, :data:`UNDO` or :data:`IMPORT`."""
    what: str = ""
    """What is acted on."""
    field: Field | None = None
    sign: str = ""
    """``=``: the field is set; ``~``: something is put into its list, or taken out of it; ``?``: its value is asked for
    in a form."""
    value: str = ""


def asked(text: str) -> Asked | None:
    """What stands in a button behind its name; None for one of another version of Parley."""
    found = _ASKED.fullmatch(text)
    if found is None:
        return None
    version, group, act, what, name, sign, value = found.groups(default="")
    if (name and name not in BY_NAME) or (group and group not in GROUPS) or (act and act not in (LOG, UNDO, IMPORT)):
        return None
    return Asked(int(version), group, act, what, BY_NAME.get(name), sign, value)


def front(kept: Kept[SpaceSettings], terms: Terms) -> Page:
    """What was chosen, and what leads on from there."""
    language, begin = terms.language, f"{SPACE} {kept.version}"
    chosen = [field for field in FIELDS if fields.get(kept.value, field) is not None]
    lines = [_line(field, kept.value, terms) for field in chosen] or [say("space_usual", language)]
    groups = [Choice(f"{say(f'group.{group}', language)} ›", f"{begin} @{group}") for group in GROUPS]
    acts = (
        Choice(say("button.space_log", language), f"{begin} !{LOG}"),
        Choice(say("button.space_undo", language), f"{begin} !{UNDO}"),
    )
    text = "\n".join((say("space_head", language), "", *lines))
    return text, (*_rows(groups), acts, (Choice(say("button.close", language), CLOSE),))


def group(name: str, kept: Kept[SpaceSettings], terms: Terms) -> Page:
    """The fields of one group."""
    inside = [field for field in FIELDS if field.group == name]
    among, begin = say(f"group.{name}", terms.language), f"{SPACE} {kept.version}"
    cells = [Choice(f"{field.called(terms.language)} ›", f"{begin} {field.name}", among) for field in inside]
    text = "\n".join((f"**{among}**", "", *(_line(field, kept.value, terms) for field in inside)))
    return text, (*_rows(cells), (_back(begin, terms),))


def page(field: Field, kept: Kept[SpaceSettings], terms: Terms, *, forms: bool = False) -> Page:
    """One field: what it is, and what it can be. ``forms``: a value can be asked for in a form."""
    language, begin = terms.language, f"{SPACE} {kept.version}"
    now = fields.get(kept.value, field)
    cells = _cells(field, now, f"{begin} {field.name}", terms)
    usual = Choice(_marked(say("setting_usual", language), now is None), f"{begin} {field.name}=auto")
    other = (Choice(say("button.other_value", language), f"{begin} {field.name}?"),) if forms else ()
    back = _back(f"{begin} @{field.group}", terms)
    how = say("space_typed", language, name=field.name)
    return "\n".join((_line(field, kept.value, terms), "", how)), (*_rows(cells), (usual, *other, back))


def log(entries: Sequence[Entry], kept: Kept[SpaceSettings], terms: Terms, zone: tzinfo) -> Page:
    """The newest changes."""
    lines = [f"- {told(entry, terms, zone)}" for entry in entries[:LOGGED]]
    head = say("space_log_head" if lines else "space_log_none", terms.language)
    return "\n".join((head, "", *lines)).strip(), ((_back(f"{SPACE} {kept.version}", terms),),)


def told(entry: Entry, terms: Terms, zone: tzinfo) -> str:
    """A change in one line: when, who, what from, what to."""
    when = Moment(datetime.fromtimestamp(entry.at, zone))
    what = "; ".join(_changed(each, terms) for each in entry.differences)
    name = one_line(entry.name, LONGEST_NAME) or entry.actor
    return say("space_log_line", terms.language, when=when, name=name, what=what)


def compared(steps: Sequence[Step], terms: Terms) -> str:
    """What a file would change, a line for each field."""
    return "\n".join(
        f"- {say('space_change', terms.language, field=step.field.called(terms.language), **_both(step, terms))}"
        for step in steps
    )


def value_of(field: Field, sign: str, value: str, settings: SpaceSettings, terms: Terms) -> Any:
    """What a button sets a field to. Raises Refused."""
    if field.kind in (Kind.MODEL, Kind.MODELS):
        # What a button has no room for is named by a digest.
        value = find_model(terms.models, value) or value
    if sign != "~":
        return fields.parse(field, value, terms)
    if field.kind is Kind.TOOLS:
        return _switched(field, value, settings, terms)
    now: tuple[str, ...] = fields.get(settings, field) or ()
    if value in now:
        return tuple(one for one in now if one != value) or None
    added: tuple[str, ...] = (value,) if value in terms.models else fields.parse(field, value, terms) or ()
    if len(now) >= fields.MOST_LISTED:
        raise fields.refusal(field, value, terms)
    return (*now, *added)


def _switched(field: Field, value: str, settings: SpaceSettings, terms: Terms) -> tuple[str, ...] | None:
    """The tools that may be used when one is switched on or off; of all that there are nothing is chosen any more, so
    that later ones are among them. Raises Refused."""
    if value not in terms.tools:
        raise fields.refusal(field, value, terms)
    chosen = fields.get(settings, field) or terms.tools
    left = tuple(name for name in terms.tools if (name in chosen) != (name == value))
    return None if left == terms.tools else left or (fields.NO_TOOLS,)


def _cells(field: Field, now: Any, begin: str, terms: Terms) -> list[Choice]:
    language, called = terms.language, field.called(terms.language)
    room = LONGEST_COMMAND - len(f"{begin}=")
    match field.kind:
        case Kind.CHOICE:
            values = [
                (say(f"field.{field.name}.{choice}", language), choice, choice == now) for choice in field.choices
            ]
        case Kind.SWITCH:
            values = [(say(f"setting_{word}", language), word, now is (word == "on")) for word in ("on", "off")]
        case Kind.LANGUAGE:
            values = [(fields.show(field, code, terms), code, code == now) for code in languages()]
        case Kind.MODEL:
            values = [(name, reference(name, room), name == now) for name in terms.models[:MOST_LISTED]]
        case Kind.PERSONA:
            fitting = [name for name in terms.personas if len(name.encode()) <= room]
            values = [(name, name, name == now) for name in fitting[:MOST_LISTED]]
        case Kind.MODELS:
            listed = terms.models[:MOST_LISTED]
            return [Choice(_marked(n, n in (now or ())), f"{begin}~{reference(n, room)}", called) for n in listed]
        case Kind.TOOLS:
            none, on = now == (fields.NO_TOOLS,), now or terms.tools
            cells = [
                Choice(_marked(fields.tool_called(name, language), name in on), f"{begin}~{name}", called)
                for name in terms.tools[:MOST_LISTED]
            ]
            return [*cells, Choice(_marked(say("setting_off", language), none), f"{begin}={fields.NO_TOOLS}", called)]
        case Kind.CHANNELS:
            ids = dict.fromkeys((*((terms.channel,) if terms.channel else ()), *(now or ())))
            here = say("space_here", language)
            labels = {id: here if id == terms.channel else f"#{id}" for id in ids}
            cells = [Choice(_marked(labels[id], id in (now or ())), f"{begin}~{id}", called) for id in ids]
            return cells[:MOST_LISTED]
        case _:
            values = [
                (_preset(field, text, terms), text, fields.preset(field, text, terms) == now) for text in field.presets
            ]
    return [Choice(_marked(label, is_chosen), f"{begin}={value}", called) for label, value, is_chosen in values]


def _preset(field: Field, text: str, terms: Terms) -> str:
    return fields.show(field, fields.preset(field, text, terms), terms).replace("\\", "")


def _line(field: Field, settings: SpaceSettings, terms: Terms) -> str:
    shown = fields.show(field, fields.get(settings, field), terms)
    return f"- {field.called(terms.language)}: **{_cut(shown)}**"


def _both(step: Step, terms: Terms) -> dict[str, str]:
    before, after = (_cut(fields.show(step.field, value, terms)) for value in (step.before, step.after))
    return {"before": before, "after": after}


def _changed(each: Difference, terms: Terms) -> str:
    """A field that was changed, of those that the table has no row for as well."""
    field = next((field for field in FIELDS if field.path == each.path), None)
    if field is not None:
        step = Step(field, _kept(each.before), _kept(each.after))
        return say("space_change", terms.language, field=field.called(terms.language), **_both(step, terms))
    head, *rest = each.path
    called = say(f"field.{head}", terms.language) if head in ELSEWHERE else head
    name = one_line(" ".join((called, *rest)), LONGEST_NAME)
    before, after = (_plain(value, terms) for value in (each.before, each.after))
    return say("space_change", terms.language, field=name, before=before, after=after)


def _plain(value: Any, terms: Terms) -> str:
    if value is None:
        return say("setting_usual", terms.language)
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    told = (" ".join(map(str, cast("dict[str, Any]", one).values())) if isinstance(one, dict) else one for one in items)
    return one_line(", ".join(map(str, told)), LONGEST_VALUE)


def _kept(value: Any) -> Any:
    """A value of the log, as the settings hold it."""
    found: Any = value
    return tuple(found) if isinstance(value, list) else value


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _rows(cells: Sequence[Choice]) -> Rows:
    return tuple(tuple(cells[at : at + COLUMNS]) for at in range(0, len(cells), COLUMNS))


def _marked(label: str, is_chosen: bool) -> str:
    return f"✓ {label}" if is_chosen else label


def _back(command: str, terms: Terms) -> Choice:
    return Choice(say("button.back", terms.language), command)
