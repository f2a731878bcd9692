"""Reads the settings from where their owner wrote them.

Later sources win: built-in defaults, ``parley.toml``, ``.env``, the environment. The environment variables are the rows
of :data:`ENVIRONMENT`, besides ``PARLEY__SECTION__NAME`` for every other setting.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.errors import SettingsError
from core.settings import Settings

ENVIRONMENT: Mapping[str, tuple[str, str]] = {
    "TELEGRAM_TOKEN": ("telegram", "token"),
    "TELEGRAM_API_BASE": ("telegram", "api_base"),
    "DISCORD_TOKEN": ("discord", "token"),
    "DISCORD_API_BASE": ("discord", "api_base"),
    "DISCORD_GATEWAY": ("discord", "gateway"),
    "DISCORD_CDN": ("discord", "cdn"),
    "REDIS_URL": ("storage", "redis_url"),
    "PARLEY_DATA": ("", "data"),
    "PARLEY_LOG": ("", "log"),
    "PARLEY_OWNERS": ("", "owners"),
    "PARLEY_KEYS": ("", "keys"),
    "PARLEY_WEB_PORT": ("web", "port"),
    "PARLEY_LOCAL_MODEL": ("local", "model"),
}
"""Environment variable -> (section, name)."""

OUR_PREFIXES = ("PARLEY_", "TELEGRAM_", "DISCORD_")

OPENAI_ENVIRONMENT = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL")
"""Together they make a provider and a model named ``openai`` without a configuration file."""
OPENAI_BASE_URL = "https://api.openai.com/v1"


def load(folder: Path, environ: Mapping[str, str]) -> Settings:
    """Reads ``parley.toml`` and ``.env`` in ``folder`` and the environment; raises SettingsError with one sentence."""
    values = _from_toml(folder / "parley.toml")
    sources = {**_from_dotenv(folder / ".env"), **{k: v for k, v in environ.items() if v}}
    for variable, (section, name) in ENVIRONMENT.items():
        if variable in sources:
            (values.setdefault(section, {}) if section else values)[name] = sources[variable]
    for variable, value in sources.items():
        if variable.startswith("PARLEY__"):
            *sections, name = variable.removeprefix("PARLEY__").lower().split("__")
            place = values
            for section in sections:
                place = place.setdefault(section, {})
            place[name] = value
    _add_openai(values, sources)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_sentence(error, sources)) from None
    _check(settings)
    return settings


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} is not valid TOML: {error}.") from None


def _from_dotenv(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path)
    except UnicodeDecodeError:
        raise SettingsError(f"{path.name} is no text in UTF-8: save it as such.") from None
    # The environment is shared with other programs, but a line in our own file that does nothing is a slip.
    for name in values:
        if name.startswith(OUR_PREFIXES) and not name.startswith("PARLEY__") and name not in ENVIRONMENT:
            raise SettingsError(f"{name} in {path.name} is not a setting of Parley. .env.example lists them all.")
    return {name: value for name, value in values.items() if value}


def _add_openai(values: dict[str, Any], sources: Mapping[str, str]) -> None:
    key, base, model = (sources.get(name, "") for name in OPENAI_ENVIRONMENT)
    if not key and not base:
        return
    if not model:
        raise SettingsError(
            "OPENAI_MODEL is not set: name the model that OPENAI_API_KEY is for, as the provider spells it."
        )
    if base and not base.startswith(("http://", "https://")):
        raise SettingsError(f"OPENAI_BASE_URL is wrong: found {base!r}. Must begin with http:// or https://.")
    provider = {"name": "openai", "base_url": base or OPENAI_BASE_URL, "api_key": key}
    row = {"name": model, "provider": "openai", "accepts_images": True, "tools": True}
    values["providers"] = [provider, *values.get("providers", ())]
    if all(m.get("name") != model for m in values.get("models", ())):
        values["models"] = [row, *values.get("models", ())]


def _sentence(error: ValidationError, sources: Mapping[str, str]) -> str:
    """The first thing wrong: the setting as its owner wrote it, what was found, what is allowed."""
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    names = {".".join(filter(None, place)): variable for variable, place in ENVIRONMENT.items()}
    shown = names[path] if names.get(path) in sources else path
    if first["type"] == "extra_forbidden":
        return f"{shown} is not a setting of Parley. docs/configuration.md lists them all."
    if first["type"] == "missing":
        return f"{shown} is missing."
    found = first.get("input")
    secret = any(word in path for word in ("token", "key", "secret", "password", "redis_url"))
    what = "a value that is not shown here" if secret else repr(found)
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{shown} is wrong: found {what}. {message[0].upper()}{message[1:]}."


def _check(settings: Settings) -> None:
    """What no single section can see."""
    providers = {provider.name for provider in settings.providers} | {"local"}
    names = {model.name for model in settings.models}
    for provider in settings.providers:
        if provider.name == "local":
            raise SettingsError("providers.local is wrong: found 'local', which is the name of the built-in models.")
        if bool(provider.base_url) == bool(provider.base_urls):
            found = "both" if provider.base_url else "neither"
            raise SettingsError(
                f"providers.{provider.name} is wrong: found {found} of base_url and base_urls. Give one."
            )
    for model in settings.models:
        if model.provider not in providers:
            allowed = ", ".join(sorted(providers))
            raise SettingsError(f"models.{model.name}.provider is wrong: found {model.provider!r}. Allowed: {allowed}.")
        for fallback in model.fallbacks:
            if fallback not in names:
                raise SettingsError(
                    f"models.{model.name}.fallbacks is wrong: found {fallback!r}. Allowed: {', '.join(sorted(names))}."
                )
    if settings.storage.encrypt and not settings.keys.get_secret_value():
        raise SettingsError("PARLEY_KEYS is not set: storage.encrypt needs a key. `parley keys new` makes one.")
    if settings.telegram.local_server and not Path(settings.telegram.local_files).is_absolute():
        raise SettingsError(
            f"telegram.local_files is wrong: found {settings.telegram.local_files!r}. With telegram.local_server it "
            "must be the whole path of the folder in which the Bot API server keeps its files."
        )
    if settings.telegram.webhook_url and not settings.telegram.webhook_secret.get_secret_value():
        raise SettingsError("telegram.webhook_secret is not set: it is required with telegram.webhook_url.")
