"""How what is made is labelled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.section import Section


class LabelSettings(Section):
    """Labels in files are always written; these are what people see, and in whose name."""

    producer: Annotated[str, Field(min_length=1, max_length=100)] = "Parley"
    """Who offers what is made, in the labels of files: GB 45438-2025 asks for the name or the registration number of
    whoever runs it."""
    text: bool = False
    """A line under what models make, answers too, says that it is AI-generated; spaces choose for themselves."""
    mark: bool = False
    """Pictures carry a small visible mark in a corner; spaces choose for themselves."""
    certificate: Path | None = None
    """File with the certificates (PEM, one's own first) by which pictures, sounds and films are signed with Content
    Credentials (C2PA); wants the extra `credentials`."""
    key: Path | None = None
    """File with the private key (PEM) of that certificate."""
