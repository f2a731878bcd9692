"""What settings are made of: the base of their sections, and the types of their values."""

from __future__ import annotations

import re
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from core.shard_range import ShardRange
from core.storage.address import Address
from core.storage.sealing import parse_keys
from core.storage.windows import windows_of


def _is_http(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return value.rstrip("/")


def _is_websocket(value: str) -> str:
    if not value.startswith(("ws://", "wss://")):
        raise ValueError("must begin with ws:// or wss://")
    return value


def _is_redis(value: str) -> str:
    if value:
        Address.parse(value)
    return value


def _is_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("must be a time zone like Europe/Berlin") from error
    return value


def _is_limit(value: str) -> str:
    windows_of(value)
    return value


def are_keys(value: SecretStr) -> SecretStr:
    parse_keys(value.get_secret_value())
    return value


HttpUrl = Annotated[str, AfterValidator(_is_http)]
WebsocketUrl = Annotated[str, AfterValidator(_is_websocket)]
RedisUrl = Annotated[str, AfterValidator(_is_redis)]
Limit = Annotated[str, AfterValidator(_is_limit)]
TimeZone = Annotated[str, AfterValidator(_is_zone)]


def split(value: Any) -> Any:
    """A list as the environment gives it."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _are_accounts(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch(r"(telegram|discord):\d{1,20}|web:[\w-]{1,64}", account) for account in value):
        raise ValueError("must be account ids with their platform, like telegram:123, discord:456")
    return value


def is_shard_range(value: str) -> str:
    if value:
        ShardRange.parse(value)
    return value


Accounts = Annotated[tuple[str, ...], BeforeValidator(split), AfterValidator(_are_accounts)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A part of the settings: frozen, and unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)
