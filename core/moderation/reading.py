"""Rules as people write them in TOML become values, or sentences that say all that is wrong with them. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError

from core.errors import ParleyError
from core.moderation import patterns, presets
from core.moderation.matching import is_word
from core.moderation.rule import MOST_WORDS, Rule
from core.texts import Value, say

LONGEST = 100_000
"""Characters of a space's rules."""
MOST_RULES = 100
MOST_LISTS = 20
MOST_WORDS_IN_ALL = 20_000
"""Of all rules of a space."""
MOST_PATTERNS = 100
"""Of all rules of a space."""
MOST_PROBLEMS = 20
"""Sentences; more would not be read."""
MOST_STEPS = 10_000
"""Of all patterns of a space: what is tried for each character of a text at worst (``patterns.LARGEST_PROGRAM``)."""
_DEEP_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*\.[ \t]*){20}",
)
"""A key of so many parts: the library's time grows with the square of their number."""
_HEADER = re.compile(r"\s*\[\[\s*rule\s*\]\]")
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    key: str
    """Of the sentence."""
    values: Mapping[str, Value]
    rule: str = ""
    """Its name, or its number where it has none; empty: the file as a whole."""
    line: int = 0
    """Where it stands, from 1; 0: nowhere in particular."""

    def say(self, language: str = "") -> str:
        """One sentence, which names the line and the rule."""
        sentence = say(self.key, language, **self.values)
        if not self.rule:
            return sentence
        return say("rule_problem_at", language, line=self.line, rule=self.rule, sentence=sentence)


class RulesError(ParleyError):
    """Rules cannot be read: all that is wrong with them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems[:MOST_PROBLEMS])
        super().__init__(" ".join(problem.say() for problem in self.problems))

    def sentences(self, language: str = "") -> tuple[str, ...]:
        """One for each problem, as plain text: what people wrote is quoted in them."""
        return tuple(problem.say(language) for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Written:
    """What was read."""

    rules: tuple[Rule, ...]
    lists: Mapping[str, tuple[str, ...]]
    """The words of all lists that the rules name."""


def read(text: str) -> Written:
    """Raises RulesError."""
    if len(text) > LONGEST:
        raise RulesError([Problem("rule_problem_long", {"most": LONGEST})])
    if _DEEP_KEY.search(text):
        raise RulesError([Problem("rule_problem_toml", {"cause": "a key of too many parts"})])
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise RulesError([Problem("rule_problem_toml", {"cause": str(error)[:200]})]) from None
    problems = [_unknown(name, ("rule", "lists"), "", 0) for name in tables if name not in ("rule", "lists")]
    own, wrong = _lists(tables.get("lists", {}))
    problems += wrong
    raw = tables.get("rule", [])
    if not isinstance(raw, list) or not all(isinstance(one, dict) for one in cast("list[Any]", raw)):
        raise RulesError([*problems, Problem("rule_problem_no_rules", {})])
    rows = cast("list[dict[str, Any]]", raw)
    if len(rows) > MOST_RULES:
        raise RulesError([*problems, Problem("rule_problem_many", {"most": MOST_RULES})])
    lines = text.splitlines()
    starts = [at for at, line in enumerate(lines, 1) if _HEADER.match(line)]
    rules: list[Rule] = []
    for number, row in enumerate(rows, 1):
        start = starts[number - 1] if len(starts) == len(rows) else 0
        name = row.get("name")
        shown = name[:_SHOWN] if isinstance(name, str) and name.strip() else str(number)
        try:
            rules.append(Rule.model_validate(row))
        except ValidationError as error:
            wrong = error.errors()[:MOST_PROBLEMS]
            problems += [_problem(cast("dict[str, Any]", one), shown, start, lines) for one in wrong]
        if len(problems) >= MOST_PROBLEMS:
            # Each costs a search for where it stands.
            break
    problems += _among(rules, own)
    if problems:
        raise RulesError(sorted(problems, key=lambda problem: problem.line))
    return Written(tuple(rules), {name: _words(name, own) for rule in rules for name in rule.words_from})


def _lists(value: Any) -> tuple[dict[str, tuple[str, ...]], list[Problem]]:
    """The file's own lists of words."""
    if not isinstance(value, dict) or len(cast("dict[str, Any]", value)) > MOST_LISTS:
        return {}, [Problem("rule_problem_lists", {"most": MOST_LISTS})]
    found: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for name, words in cast("dict[str, Any]", value).items():
        listed = cast("list[Any]", words) if isinstance(words, list) else [None]
        if len(listed) > MOST_WORDS or not all(isinstance(word, str) for word in listed):
            problems.append(Problem("rule_problem_list", {"name": name[:_SHOWN], "most": MOST_WORDS}))
            continue
        problems += [
            Problem("rule_problem_word", {"found": word[:_SHOWN]})
            for word in cast("list[str]", words)
            if not is_word(word)
        ]
        found[name] = tuple(cast("list[str]", words))
    return found, problems


def _words(name: str, own: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return own[name] if name in own else presets.word_list(name)


def _among(rules: Sequence[Rule], own: Mapping[str, tuple[str, ...]]) -> list[Problem]:
    """What no single rule can see."""
    problems: list[Problem] = []
    names: set[str] = set()
    known = (*own, *presets.word_lists())
    words = 0
    for rule in rules:
        if rule.name.casefold() in names:
            problems.append(Problem("rule_problem_twice", {"name": rule.name}))
        names.add(rule.name.casefold())
        missing = [name for name in rule.words_from if name not in known]
        problems += [
            Problem("rule_problem_no_list", {"name": name[:_SHOWN], "known": ", ".join(known)}, rule.name)
            for name in missing
        ]
        words += len(rule.words) + len(rule.names)
        words += sum(len(_words(name, own)) for name in rule.words_from if name not in missing)
    if words > MOST_WORDS_IN_ALL:
        problems.append(Problem("rule_problem_words", {"most": MOST_WORDS_IN_ALL}))
    if sum(len(rule.regex) for rule in rules) > MOST_PATTERNS:
        problems.append(Problem("rule_problem_patterns", {"most": MOST_PATTERNS}))
    if sum(patterns.compiled(one).programsize for rule in rules for one in rule.regex) > MOST_STEPS:
        problems.append(Problem("rule_problem_steps", {"most": MOST_STEPS}))
    return problems


def _problem(error: dict[str, Any], rule: str, start: int, lines: Sequence[str]) -> Problem:
    """What pydantic found, in our words."""
    place = [str(part) for part in error["loc"] if not isinstance(part, int) and part in _names_of(error["loc"])]
    line = _line(place[0] if place else "", start, lines)
    context: dict[str, Any] = error.get("ctx", {})
    if "said" in context:
        values = {name: value for name, value in context.items() if name != "said"}
        return Problem(context["said"], values, rule, line)
    name = ".".join(place) or "rule"
    found = _shown(error.get("input"))
    match error["type"]:
        case "extra_forbidden":
            return _unknown(str(error["loc"][-1]), _known(error["loc"][:-1]), rule, line)
        case "missing":
            return Problem("rule_problem_missing", {"name": name}, rule, line)
        case "greater_than_equal" | "too_short" | "string_too_short":
            least = context.get("ge", context.get("min_length", 1))
            return Problem("rule_problem_least", {"name": name, "least": str(least)}, rule, line)
        case "less_than_equal" | "too_long" | "string_too_long":
            most = context.get("le", context.get("max_length", 0))
            return Problem("rule_problem_most", {"name": name, "most": str(most)}, rule, line)
        case "literal_error":
            allowed = context["expected"].replace("'", "").replace(" or ", ", ")
            return Problem("rule_problem_choice", {"name": name, "found": found, "allowed": allowed}, rule, line)
        case "bool_type" | "bool_parsing":
            return Problem("rule_problem_switch", {"name": name, "found": found}, rule, line)
        case "int_type" | "int_parsing" | "int_from_float" | "float_type" | "float_parsing":
            return Problem("rule_problem_number", {"name": name, "found": found}, rule, line)
        case _:
            return Problem("rule_problem_form", {"name": name, "found": found}, rule, line)


def _shown(value: Any) -> str:
    try:
        return repr(value)[:_SHOWN]
    except (RecursionError, ValueError):
        # Tables within tables, or a number of thousands of digits.
        return type(value).__name__


def _unknown(name: str, known: Sequence[str], rule: str, line: int) -> Problem:
    near = get_close_matches(name, known, 1)
    if near:
        return Problem("rule_problem_meant", {"name": name[:_SHOWN], "near": near[0]}, rule, line)
    return Problem("rule_problem_unknown", {"name": name[:_SHOWN], "known": ", ".join(known)}, rule, line)


def _known(place: Sequence[str | int]) -> Sequence[str]:
    """The names that a table has there."""
    table: type[BaseModel] = Rule
    for part in place:
        if field := table.model_fields.get(str(part)):
            table = next(_models(field.annotation), table)
    return tuple(field.alias or name for name, field in table.model_fields.items())


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """Of a field that may be a table, what it holds then."""
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            yield one


def _names_of(place: Sequence[str | int]) -> Sequence[str]:
    """Of a place, what people wrote: pydantic puts in which form of a value it tried."""
    return [str(part) for part in place if isinstance(part, str) and re.fullmatch(r"[a-z_]+", part)]


def _line(name: str, start: int, lines: Sequence[str]) -> int:
    """Where a rule's value stands; its first line where that is not found."""
    if not start:
        return 0
    wanted = re.compile(rf"\s*\"?{re.escape(name)}\"?\s*[=.]") if name else None
    for at in range(start, len(lines)):
        if _HEADER.match(lines[at]):
            break
        if wanted and wanted.match(lines[at]):
            return at + 1
    return start
