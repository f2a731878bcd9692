"""What one process of Parley does: everything, or a part of it beside others over the same Redis."""

from __future__ import annotations

from dataclasses import dataclass

from core.message import Platform


@dataclass(frozen=True, slots=True)
class Role:
    """The parts that run in a process."""

    receives: frozenset[Platform] = frozenset()
    """Platforms whose messages it takes in, where they are set up."""
    names_platforms: bool = False
    """They were named by the owner: one that is not set up is an error."""
    works: bool = False
    """It answers conversations."""
    queues: tuple[str, ...] | None = None
    """Job queues it works on. None: those of the settings, if it answers conversations."""
    starts_model: bool = False
    """It starts the built-in model."""


EVERYTHING = Role(frozenset(Platform), works=True, starts_model=True)


def receiver(platforms: frozenset[Platform]) -> Role:
    """``parley receive``."""
    return Role(platforms, names_platforms=True)


def worker(queues: tuple[str, ...] | None) -> Role:
    """``parley work``: with queues named, a process for jobs alone."""
    return Role(works=queues is None, queues=queues)
