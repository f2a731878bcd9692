"""A persona: who the bot is, how it speaks and samples, and what of that people may set. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from urllib.parse import urlsplit

from core.errors import ParleyError
from core.models.chat import AS_USUAL, Sampling
from core.people.naming import NameRefused, checked, looks
from core.storage.records import Record
from core.texts import ENGLISH, closest, languages

LONGEST_INSTRUCTIONS = 4000
"""Characters: what a form on Discord takes, and about a thousand tokens of every prompt."""
LONGEST_OPENING = 1000
LONGEST_SUMMARY = 200
LONGEST_ADDRESS = 500
MOST_STOPS, LONGEST_STOP = 4, 40
"""OpenAI's interface takes four stop words."""
BOUNDS: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 2.0),
    "top_p": (0.01, 1.0),
    "top_k": (1, 1000),
    "seed": (0, 2**31 - 1),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
    "num_beams": (1, 16),
    "max_tokens": (16, 32_768),
}
"""Of the values that are sampled by: OpenAI's documented ones, where it has them."""
_WHOLE = frozenset(("top_k", "seed", "num_beams", "max_tokens"))
Words = str | Mapping[str, str]
"""The same in every language, or by the codes of ``core.texts.languages``."""


class PersonaError(ParleyError):
    """A persona cannot be kept. The text is the key of a sentence, ``values`` fill it in."""

    def __init__(self, key: str, **values: str | int) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


class Persona(Record):
    """Who speaks."""

    name: str = ""
    """What it is chosen by. Of those that people made it is shown as well; it is never changed."""
    title: Words = ""
    """What it is shown as; empty: its name."""
    summary: Words = ""
    """What it is good for, in a few words."""
    avatar: str = ""
    """Address of a picture, that Discord fetches and nobody else."""
    instructions: str = ""
    """What the model is told to be."""
    opening: Words = ""
    """What is said where it is chosen and where a conversation begins anew."""
    model: str = ""
    """The model that it is best with: where nobody chose another."""
    sampling: Sampling = AS_USUAL
    max_tokens: int | None = None
    """The longest answer; None: the model's."""

    def called(self, language: str) -> str:
        return in_language(self.title, language) or self.name

    def summary_in(self, language: str) -> str:
        return in_language(self.summary, language)

    def opens(self, language: str) -> str:
        return in_language(self.opening, language)


def in_language(words: Words, language: str) -> str:
    """Words in the language that is nearest, else in English."""
    if isinstance(words, str):
        return words
    return words.get(closest(language)) or words.get(ENGLISH) or next(iter(words.values()), "")


def names_of(persona: Persona) -> frozenset[str]:
    """What it is called, in every language, as :func:`core.people.naming.looks` gives it."""
    return frozenset(looks(name) for name in (persona.name, *_all(persona.title)) if name)


def checked_whole(persona: Persona) -> Persona:
    """The persona as it may be kept: its name one that passes for nobody else's, all else within bounds.

    Raises PersonaError.
    """
    try:
        name = checked(persona.name)
    except NameRefused as error:
        raise PersonaError(f"persona_{error}", name=persona.name[:40]) from None
    if not persona.instructions.strip():
        raise PersonaError("persona_no_instructions")
    said = (
        ("instructions", (persona.instructions,), LONGEST_INSTRUCTIONS),
        ("opening", _all(persona.opening), LONGEST_OPENING),
        ("summary", _all(persona.summary), LONGEST_SUMMARY),
        ("model", (persona.model,), LONGEST_SUMMARY),
    )
    for field, texts, most in said:
        if any(len(text) > most for text in texts):
            raise PersonaError("persona_long", field=field, count=most)
    _check_address(persona.avatar)
    check_sampling(persona.sampling, persona.max_tokens)
    # Whatever else is shown in its name has to be a name as well: it has no other title.
    words = {"title": "", "summary": _known(persona.summary), "opening": _known(persona.opening)}
    return persona.model_copy(update={**words, "name": name, "instructions": persona.instructions.strip()})


def sampled(persona: Persona, name: str, value: str) -> Persona:
    """The persona with another value to sample by, as people typed it; an empty one takes the value back.

    Raises PersonaError.
    """
    if name == "stop":
        words = tuple(word for word in (part.strip() for part in value.split("|")) if word)
        return persona.model_copy(update={"sampling": replace(persona.sampling, stop=words)})
    if name not in BOUNDS:
        raise PersonaError("persona_no_value", field=name[:40])
    number: float | int | None = None
    if value.strip():
        try:
            number = int(value) if name in _WHOLE else float(value)
        except ValueError:
            raise _out_of_bounds(name) from None
    if name == "max_tokens":
        return persona.model_copy(update={"max_tokens": number})
    return persona.model_copy(update={"sampling": replace(persona.sampling, **{name: number})})


def _known(words: Words) -> Words:
    """In the languages that there are, and no others."""
    return words if isinstance(words, str) else {code: text for code, text in words.items() if code in languages()}


def _all(words: Words) -> Iterable[str]:
    return (words,) if isinstance(words, str) else words.values()


def _check_address(address: str) -> None:
    """Nobody but Discord fetches it; a host by its name, so that it leads nowhere inside."""
    try:
        parts = urlsplit(address)
        host, is_plain = parts.hostname or "", parts.port in (None, 443) and not parts.username
    except ValueError:
        host, is_plain = "", False
    is_name = "." in host and not host.replace(".", "").isdigit()
    is_clean = address.isascii() and address.isprintable() and " " not in address and len(address) <= LONGEST_ADDRESS
    if address and not (address.startswith("https://") and is_plain and is_name and is_clean):
        raise PersonaError("persona_avatar")


def check_sampling(sampling: Sampling, max_tokens: int | None) -> None:
    """Raises PersonaError for what is out of bounds."""
    values = {field.name: getattr(sampling, field.name) for field in fields(Sampling) if field.name != "stop"}
    for name, value in (values | {"max_tokens": max_tokens}).items():
        least, most = BOUNDS[name]
        # Not a number is neither over nor under anything.
        if value is not None and not least <= value <= most:
            raise _out_of_bounds(name)
    if len(sampling.stop) > MOST_STOPS or any(not 0 < len(word) <= LONGEST_STOP for word in sampling.stop):
        raise PersonaError("persona_stops", count=MOST_STOPS, most=LONGEST_STOP)


def _out_of_bounds(name: str) -> PersonaError:
    least, most = BOUNDS[name]
    return PersonaError(
        "persona_bounds", field=name, least=f"{least:g}", most=f"{most:g}" if most < 1e6 else str(int(most))
    )
