"""The rows of the command table for writing: questions to the model with a purpose."""

from __future__ import annotations

from core.candidates import PICK
from core.commands import quiz, sampling, summarize, writing
from core.commands.row import Command, Kind, Option, Where
from core.people.controls import COUNT, MOST_CANDIDATES
from core.people.persona import BOUNDS

_LANGUAGE = Option("language", suggests=True, by_name=True)


def _control(name: str, kind: Kind = Kind.NUMBER) -> Option:
    least, most = BOUNDS[name]
    return Option(name, kind=kind, least=least, most=most, by_name=True, words="sampling")


CONTROLS = (
    _control("temperature"),
    _control("top_p"),
    _control("top_k", Kind.INTEGER),
    _control("max_tokens", Kind.INTEGER),
    Option("stop", by_name=True, words="sampling"),
    _control("seed", Kind.INTEGER),
    _control("num_beams", Kind.INTEGER),
)
"""How one answer is sampled."""
SIDE_BY_SIDE = Option(COUNT, kind=Kind.INTEGER, least=1, most=MOST_CANDIDATES, by_name=True, words="sampling")
TOPIC = Option("topic", required=True, kind=Kind.LONG)

ROWS: tuple[Command, ...] = (
    Command("explain", "chat", options=(Option("text", required=True, kind=Kind.LONG),), menu="message"),
    Command(
        "translate",
        "chat",
        summarize.translate,
        options=(
            Option("text", required=True, kind=Kind.LONG),
            Option("language", suggests=True),
            Option("file", kind=Kind.FILE),
        ),
        menu="message",
    ),
    Command(
        "summarize",
        "chat",
        summarize.summarize,
        options=(
            Option("text", kind=Kind.LONG),
            Option("messages", kind=Kind.INTEGER, least=1, most=summarize.MOST_MESSAGES),
            Option("language", suggests=True),
            Option("file", kind=Kind.FILE),
        ),
        menu="message",
    ),
    Command(
        "catchup",
        "chat",
        summarize.catchup,
        options=(Option("language", suggests=True),),
        private=True,
        where=Where.GROUPS,
    ),
    Command(
        "write",
        "write",
        options=(
            Option("kind", choices=tuple(writing.KINDS)),
            Option("length", choices=tuple(writing.LENGTHS)),
            Option("words", kind=Kind.INTEGER, least=1, most=writing.MOST_WORDS, by_name=True),
            Option("tone", by_name=True),
            _LANGUAGE,
            *CONTROLS,
            SIDE_BY_SIDE,
            TOPIC,
        ),
        spread=True,
    ),
    Command(
        "rewrite",
        "write",
        options=(Option("style", choices=tuple(writing.STYLES)), _LANGUAGE, *CONTROLS, TOPIC),
        spread=True,
    ),
    Command(
        "code",
        "write",
        options=(Option("language", by_name=True), *CONTROLS, Option("file", kind=Kind.FILE), TOPIC),
        spread=True,
    ),
    Command(
        "ideas",
        "write",
        options=(
            Option("count", kind=Kind.INTEGER, least=2, most=MOST_CANDIDATES, by_name=True),
            _LANGUAGE,
            *CONTROLS,
            TOPIC,
        ),
        spread=True,
    ),
    Command(
        "quiz",
        "write",
        quiz.quiz,
        options=(
            Option("count", kind=Kind.INTEGER, least=1, most=quiz.MOST, by_name=True),
            _LANGUAGE,
            TOPIC,
        ),
        spread=True,
    ),
    Command(PICK, "write", options=(Option("number", required=True),), for_asker=True),
    Command(
        "sampling",
        "chat",
        sampling.sampling,
        options=(Option("name", suggests=True), Option("value")),
        private=True,
        for_admins=True,
        spread=True,
    ),
)
