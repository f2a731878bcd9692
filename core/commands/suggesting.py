"""What is suggested while an option is typed: from memory, since people type faster than anything can be asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.commands import choosing
from core.commands.choosing import Offer
from core.commands.personas import FIELDS as PERSONA_FIELDS
from core.models.catalog import Catalog
from core.models.settings import SIZES, PictureWork
from core.people.controls import NAMES as CONTROLS
from core.people.fields import BY_NAME as FIELDS_BY_NAME
from core.people.fields import FIELDS, NO_TOOLS, Kind, Terms, preset, show, tool_called, zones
from core.people.personas import shipped
from core.texts import ENGLISH, closest, languages, say

MOST = 25
"""Suggestions that the platform with least room for them shows (Discord)."""
SPOKEN = (
    *("ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko"),
    *("nl", "no", "pl", "pt", "ro", "ru", "sv", "th", "tr", "uk", "vi", "zh_Hans", "zh_Hant"),
)
"""Languages to translate into, by their codes in Unicode's CLDR; others can be typed."""

WORKS: Mapping[str, PictureWork] = {"imagine": "draw", "edit": "edit", "upscale": "upscale"}
"""Commands for which a model of pictures can be chosen, and what it is to do."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value and what it is called."""

    label: str
    value: str


class Suggestions:
    """What there is to suggest for the options of the table that are marked so."""

    def __init__(self, catalog: Catalog, tools: Callable[[], Sequence[str]] = tuple) -> None:
        """``tools`` tells what spaces may choose among (:attr:`core.settings.Settings.tool_names`)."""
        self._catalog = catalog
        self._tools = tools

    @property
    def _models(self) -> tuple[str, ...]:
        return tuple(model.name for model in self._catalog.models)

    def suggest(
        self, command: str, option: str, options: Mapping[str, str], language: str, *, channels: bool = False
    ) -> list[Suggestion]:
        """The best for what is typed so far, those that begin like it first. ``options`` has it, and the others;
        ``channels`` is :attr:`Offer.channels`."""
        offer = Offer.of(self._catalog, buttons=True, channels=channels)
        match command, option:
            case ("chat", "model") | ("model", "name"):
                found = _models(offer)
            case "settings", "name":
                found = [Suggestion(say(f"setting.{name}", language), name) for name in _settings(offer)]
            case "settings", "value":
                found = _values(options.get("name", "").strip().lower(), offer, language)
            case (("persona" | "persona choose" | "persona show" | "persona export"), "name"):
                found = [Suggestion(one.called(language), one.name) for one in shipped().values()]
            case "persona edit", "field":
                found = [Suggestion(name, name) for name in PERSONA_FIELDS]
            case "admin set", "field":
                found = [Suggestion(field.called(language), field.name) for field in FIELDS]
            case "admin set", "value":
                found = _space_values(options, Terms(self._models, tools=tuple(self._tools()), language=language))
            case "sampling", "name":
                found = [Suggestion(name, name) for name in (*CONTROLS, "reset")]
            case (("translate" | "write" | "rewrite" | "ideas" | "quiz" | "summarize" | "catchup"), "language"):
                found = _languages(language)
            case "say", "voice":
                found = [Suggestion(name, name) for name in self._catalog.voices]
            case (("key set" | "key remove"), "provider"):
                found = [Suggestion(name, name) for name in self._catalog.taking_keys]
            case _:
                found = _of_pictures(command, option, self._catalog, language)
        typed = options.get(option, "").strip().lower()
        fitting = [one for one in found if typed in one.label.lower() or typed in one.value.lower()]
        fitting.sort(key=lambda one: not one.label.lower().startswith(typed) and not one.value.startswith(typed))
        return fitting[:MOST]


def _models(offer: Offer) -> list[Suggestion]:
    return [Suggestion(name, name) for name in offer.models]


def _of_pictures(command: str, option: str, catalog: Catalog, language: str) -> list[Suggestion]:
    work = WORKS.get(command)
    if work is None:
        return []
    if option == "model":
        return [Suggestion(model.name, model.name) for model in catalog.of_kind("image") if model.can(work)]
    if option == "size":
        return [Suggestion(say(f"field.image_size.{shape}", language), shape) for shape in SIZES]
    return []


def _settings(offer: Offer) -> list[str]:
    names = ["model"] if offer.models else []
    names += ["language", "buttons", *(["spoken"] if offer.speaks else [])]
    return [*names, *(("answers", "threads") if offer.channels else ())]


def _values(name: str, offer: Offer, language: str) -> list[Suggestion]:
    """Whatever ``choosing.kept_value`` takes."""
    automatic = Suggestion(say("setting_automatic", language), "auto")
    switch = [Suggestion(say(f"setting_{word}", language), word) for word in ("on", "off")]
    if name not in _settings(offer):
        return []
    match name:
        case "model":
            return [automatic, *_models(offer)]
        case "language":
            return [automatic, *(Suggestion(choosing.name_of(code), code) for code in languages())]
        case "answers" | "threads":
            return [Suggestion(say("setting_usual", language), "auto"), *switch]
        case _:
            return switch


def _space_values(options: Mapping[str, str], terms: Terms) -> list[Suggestion]:
    """Of the settings of a space: what can be pressed in their menu as well."""
    field, language = FIELDS_BY_NAME.get(options.get("field", "").strip().lower()), terms.language
    if field is None:
        return []
    match field.kind:
        case Kind.TOOLS:
            return _tools(terms.tools, options.get("value", ""), language)
        case Kind.MODEL | Kind.MODELS:
            values = terms.models
        case Kind.LANGUAGE:
            values = languages()
        case Kind.SWITCH:
            values = ("on", "off")
        case Kind.ZONE:
            values = tuple(sorted(zones().values()))
        case _:
            values = (*field.choices, *field.presets)
    found = [Suggestion(say("setting_usual", language), "auto")]
    return [*found, *(Suggestion(show(field, preset(field, value, terms), terms), value) for value in values)]


def _tools(names: Sequence[str], typed: str, language: str) -> list[Suggestion]:
    """Behind a comma the next one of a list."""
    head = "".join(re.findall(r"[^,，、]*[,，、]\s*", typed.lower().lstrip()))
    if not head:
        first = [Suggestion(say("setting_usual", language), "auto"), Suggestion(say("setting_off", language), NO_TOOLS)]
        return [*first, *(Suggestion(tool_called(name, language), name) for name in names)]
    chosen = [part.strip() for part in re.split("[,，、]", head)]
    left = [name for name in names if name not in chosen]
    return [Suggestion(head + tool_called(name, language), head + name) for name in left]


def _languages(language: str) -> list[Suggestion]:
    """In the asker's own language alone: each other one costs a megabyte to know."""
    from babel import Locale

    inside = closest(language) or ENGLISH
    return [Suggestion(Locale.parse(code).get_display_name(inside) or code, code) for code in SPOKEN]
