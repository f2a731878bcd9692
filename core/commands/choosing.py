"""What can be chosen for a conversation: the settings page, in words and as a menu that changes in place.

Pure: who may choose is decided by the caller. The menu's buttons begin with a dot, which no command does: they are for
the page itself and never reach a conversation's mailbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

from core.conversation.preferences import ALWAYS, MENTIONS, OFF, ON, Preferences
from core.message import CommandCall, Platform
from core.models.catalog import Catalog
from core.parts import Choice, Menu
from core.people.choices import allowed_models
from core.people.naming import looks
from core.people.spaces import USUAL, SpaceSettings
from core.texts import closest, languages, one_line, say

SET, CLOSE = ".set", ".close"
LONGEST_COMMAND = 64
"""Bytes of a button's command on the narrowest platform (Telegram)."""
MOST_LISTED = 40
"""Models in one menu; more can be chosen by /model."""
COLUMNS = 2
LONGEST_SHOWN = 60
AUTOMATIC = ("auto", "default")


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is to choose from, and what holds where nobody chose."""

    models: tuple[str, ...]
    model: str
    """The default; empty when there is none."""
    buttons: bool | None
    """None where answers have none to switch off."""
    speaks: bool
    """Answers can be read aloud."""
    channels: bool = False
    """It is a channel in which the bot may answer always, or in threads."""
    personas: tuple[tuple[str, str], ...] = ()
    """Names of those there are, each with what it is shown as; the first is the one where nobody chose."""

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        *,
        buttons: bool | None,
        channels: bool = False,
        space: SpaceSettings = USUAL,
        personas: tuple[tuple[str, str], ...] = (),
    ) -> Offer:
        """In a space that allows some models these alone."""
        names = allowed_models([model.name for model in catalog.models], space)
        default = catalog.default.name if catalog.default else ""
        model = default if default in names else next(iter(names), "")
        return cls(names, model, buttons, catalog.has("speech"), channels, personas)

    def model_of(self, preferences: Preferences) -> str:
        """The model that answers: a choice may outlive its model."""
        return preferences.model if preferences.model in self.models else self.model

    def persona_of(self, preferences: Preferences) -> tuple[str, str]:
        """Who answers, as :attr:`personas` has it: a choice may outlive its persona."""
        name = find_persona(self.personas, preferences.persona)
        return next((one for one in self.personas if one[0] == name), self.personas[0])

    def buttons_of(self, preferences: Preferences) -> bool:
        return bool(self.buttons if preferences.buttons is None else preferences.buttons)


def kept_value(name: str, value: str, offer: Offer, language: str) -> str | None:
    """A choice as it is kept; empty for what holds where nobody chose, None for what is not there to choose."""
    wanted = value.strip()
    match name:
        case "model":
            return "" if wanted.lower() in AUTOMATIC else find_model(offer.models, wanted)
        case "language":
            return "" if wanted.lower() in AUTOMATIC else closest(wanted) or None
        case "persona" if offer.personas:
            return "" if wanted.lower() in AUTOMATIC else find_persona(offer.personas, wanted)
        case "buttons" if offer.buttons is not None:
            return _kept_switch(wanted, language)
        case "spoken" if offer.speaks:
            return _kept_switch(wanted, language)
        case "threads" if offer.channels:
            return "" if wanted.lower() in AUTOMATIC else _kept_switch(wanted, language)
        case "answers" if offer.channels:
            if wanted.lower() in (ALWAYS, MENTIONS, *AUTOMATIC):
                return "" if wanted.lower() in AUTOMATIC else wanted.lower()
            return {ON: ALWAYS, OFF: MENTIONS}.get(_kept_switch(wanted, language) or "")
        case _:
            return None


def is_channel(call: CommandCall) -> bool:
    """Whether a call comes from where :attr:`Offer.channels` holds."""
    return call.conversation.platform is Platform.DISCORD and bool(call.space)


def _kept_switch(wanted: str, language: str) -> str | None:
    words = {"on": ON, ON: ON, say("setting_on", language).lower(): ON}
    words |= {"off": OFF, OFF: OFF, say("setting_off", language).lower(): OFF}
    return words.get(wanted.lower())


def page(offer: Offer, preferences: Preferences, language: str) -> tuple[str, Menu]:
    """The settings as they are, and what leads on from there."""
    model, buttons = offer.model_of(preferences), offer.buttons_of(preferences)
    shown = [("model", model)] if model else []
    if offer.personas:
        shown.append(("persona", one_line(offer.persona_of(preferences)[1], LONGEST_SHOWN)))
    shown.append(("language", _language(preferences.language, language)))
    if offer.buttons is not None:
        shown.append(("buttons", _switch(buttons, language)))
    if offer.speaks:
        shown.append(("spoken", _switch(preferences.spoken, language)))
    if offer.channels:
        always = {ALWAYS: True, MENTIONS: False}.get(preferences.answers)
        shown += [("answers", _chosen(always, language)), ("threads", _chosen(preferences.threads, language))]
    lines = [f"- {_label(name, language)}: **{value}**" for name, value in shown]
    how = say("settings_how", language, names=", ".join(f"`{name}`" for name, _ in shown))
    lists = (*(("model",) if offer.models else ()), "language", *(("persona",) if offer.personas else ()))
    ways = tuple(Choice(f"{_label(name, language)} ›", f"{SET} {name}") for name in lists)
    switches = list[Choice]()
    if offer.buttons is not None:
        switches.append(Choice(_label("buttons", language, mark=buttons), f"{SET} buttons={OFF if buttons else ON}"))
    if offer.speaks:
        spoken = preferences.spoken
        switches.append(Choice(_label("spoken", language, mark=spoken), f"{SET} spoken={OFF if spoken else ON}"))
    close = Choice(say("button.close", language), CLOSE)
    in_channels = _in_channels(preferences, language) if offer.channels else ()
    rows = tuple(filter(None, (ways, tuple(switches), in_channels, (close,))))
    return "\n".join((say("settings_head", language), "", *lines)), Menu(rows, how)


def _in_channels(preferences: Preferences, language: str) -> tuple[Choice, ...]:
    always, threads = preferences.answers == ALWAYS, bool(preferences.threads)
    return (
        Choice(_label("answers", language, mark=always), f"{SET} answers={MENTIONS if always else ALWAYS}"),
        Choice(_label("threads", language, mark=threads), f"{SET} threads={OFF if threads else ON}"),
    )


def choices(name: str, offer: Offer, preferences: Preferences, language: str) -> tuple[str, Menu] | None:
    """The page of one setting with many values: ``model``, ``language`` or ``persona``; None for any other."""
    if name == "model":
        current = offer.model_of(preferences)
        listed = list_models(offer.models, current, f"{SET} model=", language)
        return say("settings_model", language), Menu((*listed, (_back(language),)))
    if name == "language":
        codes, among = ("", *languages()), say("setting.language", language)
        cells = [
            Choice(
                _marked(_language(code, language), code == preferences.language),
                f"{SET} language={code or 'auto'}",
                among,
            )
            for code in codes
        ]
        return say("settings_language", language), Menu((*_rows(cells), (_back(language),)))
    if name == "persona" and offer.personas:
        listed = list_personas(offer, offer.persona_of(preferences)[0], f"{SET} persona=", language)
        return say("settings_persona", language), Menu((*listed, (_back(language),)))
    return None


def list_personas(offer: Offer, current: str, command: str, language: str) -> tuple[tuple[Choice, ...], ...]:
    """A button for each; ``command`` stands before its name."""
    among, room = say("list.personas", language), LONGEST_COMMAND - len(command)
    shown = offer.personas[:MOST_LISTED]
    cells = [Choice(_marked(title, name == current), command + reference(name, room), among) for name, title in shown]
    return _rows(cells)


def find_persona(personas: Iterable[tuple[str, str]], wanted: str) -> str | None:
    """The name of the persona that a person or a button means."""
    seen = looks(wanted)
    among = (name for name, title in personas if wanted == _digest(name) or seen in (looks(name), looks(title)))
    return next(among, None) if seen else None


def list_models(
    models: Sequence[str], current: str, command: str, language: str = ""
) -> tuple[tuple[Choice, ...], ...]:
    """A button for each model; ``command`` stands before the model's name."""
    among = say("list.models" if len(models) <= MOST_LISTED else "list.more_models", language)
    return _rows(
        [
            Choice(_marked(name, name == current), command + reference(name, LONGEST_COMMAND - len(command)), among)
            for name in models[:MOST_LISTED]
        ]
    )


def find_model(models: Iterable[str], wanted: str) -> str | None:
    """The model that a person or a button names."""
    return next((name for name in models if wanted.lower() == name.lower() or wanted == _digest(name)), None)


def name_of(code: str) -> str:
    """A language in its own words."""
    from babel import Locale

    return Locale.parse(code).get_display_name(code) or code


def reference(name: str, room: int) -> str:
    """What a button calls a model by: a name that is too long is named by a digest."""
    return name if len(name.encode()) <= room else _digest(name)


def _digest(name: str) -> str:
    return f"#{crc32(name.encode()):08x}"


def _rows(cells: Sequence[Choice]) -> tuple[tuple[Choice, ...], ...]:
    return tuple(tuple(cells[at : at + COLUMNS]) for at in range(0, len(cells), COLUMNS))


def _marked(label: str, is_chosen: bool) -> str:
    return f"✓ {label}" if is_chosen else label


def _back(language: str) -> Choice:
    return Choice(say("button.back", language), SET)


def _switch(on: bool, language: str) -> str:
    return say("setting_on" if on else "setting_off", language)


def _chosen(on: bool | None, language: str) -> str:
    return say("setting_usual", language) if on is None else _switch(on, language)


def _language(code: str, language: str) -> str:
    return name_of(code) if code in languages() else say("setting_automatic", language)


def _label(name: str, language: str, *, mark: bool = False) -> str:
    return _marked(say(f"setting.{name}", language), mark)
