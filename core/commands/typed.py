"""What was typed after a command, spread over its options. Pure.

One word is one option's, or several in quotation marks; ``name=value`` names the option; the last one takes the rest.
What does not look like an account, a channel or a role is not taken for one, nor what is no choice of an option that
may be left out: it is the next option's then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.commands.option import Kind, Option

_WORD = re.compile(r"(?:(?P<name>[a-z_]{1,32})=)?(?:\"(?P<quoted>[^\"]*)\"|“(?P<curly>[^”]*)”|(?P<plain>\S+))(?!\S)")
LEFT = ""
"""Name under which :func:`spread` gives what no option takes."""
ACCOUNT = re.compile(r"[a-z]{1,16}:[\w-]{1,64}", re.ASCII)
"""An account with its platform."""
NUMBER = re.compile(r"[1-9][0-9]{0,19}")
"""An account where they are numbered, as its platform writes it: rules name it by this."""
_MARKED = {
    Kind.USER: re.compile(r"(?:<@!?)?@?(?P<id>[0-9]{1,20}|[a-z]{1,16}:[\w-]{1,64})>?", re.ASCII),
    Kind.CHANNEL: re.compile(r"(?:<#)?#?(?P<id>-?[0-9]{1,20})>?"),
    Kind.ROLE: re.compile(r"(?:<@&)?(?P<id>[0-9]{1,20})>?"),
}
"""Kinds of which an id is typed, or the platform's mark with the id in it. An account of another platform has its name
in front, like ``telegram:123``."""


def spread(text: str, options: Sequence[Option]) -> dict[str, str]:
    """The options that ``text`` gives, by their names. Never fails: what is missing is left out, what is wrong is the
    value of an option, for the command to tell, and what fits none is :data:`LEFT`."""
    takers = [option for option in options if option.kind is not Kind.FILE]
    given: dict[str, str] = {}
    rest, at = text.strip(), 0
    while rest and (found := _WORD.match(rest)):
        free = [option for option in takers if option.name not in given]
        named = next((option for option in free if option.name == found["name"]), None)
        value = _value(found)
        if named is None:
            value = value if found["name"] is None else found[0]
            taker = next((option for option in takers[at:] if option in free and _fits(option, value)), None)
            if taker is None:
                break
            at = takers.index(taker) + 1
            if taker is takers[-1]:
                given[taker.name] = id_in(taker.kind, value if found.end() == len(rest) else rest)
                return given
            named = taker
        given[named.name] = id_in(named.kind, value)
        rest = rest[found.end() :].lstrip()
    return {**given, LEFT: rest} if rest else given


def id_in(kind: Kind, value: str) -> str:
    """The id that a mark of the platform holds; any other value as it is."""
    pattern = _MARKED.get(kind)
    found = pattern.fullmatch(value.strip()) if pattern else None
    return found["id"] if found else value


def _fits(option: Option, value: str) -> bool:
    if option.by_name:
        return False
    if option.choices and not option.required:
        return value.lower() in option.choices
    pattern = _MARKED.get(option.kind)
    return pattern is None or pattern.fullmatch(value) is not None


def _value(found: re.Match[str]) -> str:
    return next(part for part in (found["quoted"], found["curly"], found["plain"]) if part is not None)
