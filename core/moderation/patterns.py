"""Patterns that moderators write, in an engine whose time grows with the text alone: none can stop the bot (RE2)."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol, cast

from core.errors import ParleyError

LONGEST_PATTERN = 500
"""Characters."""
LARGEST_PROGRAM = 3000
"""Instructions that a pattern is made into: so much is tried for each character at worst. ``a{1000}`` has 1,003."""
MEMORY = 2_000_000
"""Bytes for one pattern. Where its states take more, RE2 begins them anew, and goes on more slowly."""


class PatternError(ParleyError):
    """A pattern is refused. ``key`` is that of the sentence that says why."""

    def __init__(self, key: str, cause: str = "") -> None:
        super().__init__(f"{key}: {cause}")
        self.key = key
        self.cause = cause


class Match(Protocol):
    def group(self, group: int = 0) -> bytes: ...


class Pattern(Protocol):
    """What is used of RE2's patterns."""

    @property
    def pattern(self) -> str: ...

    @property
    def programsize(self) -> int: ...

    def search(self, text: bytes) -> Match | None: ...


@lru_cache(500)
def compiled(written: str) -> Pattern:
    """Finds a pattern in UTF-8, capitals or not. Raises PatternError."""
    if len(written) > LONGEST_PATTERN:
        raise PatternError("rule_problem_regex_large")
    # It tells nothing of its types.
    re2: Any = import_module("re2")
    options = re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    options.case_sensitive = False
    options.never_capture = True
    try:
        pattern = cast("Pattern", re2.compile(written, options))
    except re2.error as error:
        cause = error.args[0]
        said = cause.decode("utf-8", "replace") if isinstance(cause, bytes) else str(cause)
        raise PatternError("rule_problem_regex_large" if "too large" in said else "rule_problem_regex", said) from None
    except UnicodeError:
        raise PatternError("rule_problem_regex", "no text") from None
    if pattern.programsize > LARGEST_PROGRAM:
        raise PatternError("rule_problem_regex_large")
    if pattern.search(b""):
        raise PatternError("rule_problem_regex_empty")
    return pattern
