"""Which tools models may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from core.section import HttpUrl, Section, split

ToolName = Literal["calculator", "time", "draw", "search_documents", "web_fetch", "propose_act"]


class ToolsSettings(Section):
    use: Annotated[tuple[ToolName, ...], BeforeValidator(split)] = ("calculator", "time", "draw", "search_documents")
    """Tools that models may ask for: calculator, time, draw, search_documents, web_fetch, propose_act. Servers of
    [[mcp]] are allowed by being there. A space's administrators can leave some out by /admin set tools. web_fetch makes
    this machine call addresses that people name, propose_act has models propose acts to moderators
    (docs/moderation.md): both are off unless they stand here."""
    any_link: bool = False
    """web_fetch opens links that the model made up. Off: only those that people wrote or that stand in what was fetched
    and found, so that a page cannot have a conversation's secrets sent away in a link."""


class McpSettings(Section):
    """A server of the Model Context Protocol, whose tools models may ask for; needs the extra [tools]."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,19}$")]
    """What its tools' names begin with, and what spaces choose it by."""
    command: str = ""
    """Program to start: it speaks on its standard input and output, and is told nothing of Parley's environment."""
    args: tuple[str, ...] = ()
    """What it is started with."""
    env: Mapping[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    """Environment variables for it."""
    url: HttpUrl = ""
    """Instead of command: address of a server that speaks http."""
    token: SecretStr = SecretStr("")
    """What that server is shown as a bearer token."""
    tools: tuple[str, ...] = ()
    """The only ones of its tools that are used, by its own names. Empty: all."""
    timeout: Annotated[float, Field(gt=0, le=300)] = 30.0
    """Longest time in seconds that one call may take."""

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if bool(self.command) == bool(self.url):
            raise ValueError(f"mcp.{self.name} needs either command or url")
        return self
