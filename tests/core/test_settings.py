"""A wrong setting ends the start with its name, what was found, and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.loading import load


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    settings = load(tmp_path, {})
    assert settings.web.port == 8080
    assert settings.providers == ()


def test_later_sources_win(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text('[web]\nport = 1111\n[chat]\npersona = "P"\n[local]\nmodel = "a"\n')
    (tmp_path / ".env").write_text("PARLEY_WEB_PORT=2222\nPARLEY_LOCAL_MODEL=b\n")
    settings = load(tmp_path, {"PARLEY_WEB_PORT": "3333", "PARLEY__CHAT__MAX_PAGES": "3"})
    assert (settings.web.port, settings.local.model, settings.chat.persona) == (3333, "b", "P")
    assert settings.chat.max_pages == 3


def test_openai_variables_make_a_provider_and_a_model(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1/", "OPENAI_MODEL": "m"}
    settings = load(tmp_path, environ)
    assert settings.providers[0].base_url == "http://127.0.0.1:1/v1"
    assert settings.models[0].name == "m"


def test_owners_are_a_list(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text('owners = ["telegram:1"]\n')
    assert load(tmp_path, {}).owners == ("telegram:1",)
    assert load(tmp_path, {"PARLEY_OWNERS": "telegram:123, discord:456,"}).owners == ("telegram:123", "discord:456")


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"PARLEY_OWNERS": "@ada"}, "PARLEY_OWNERS is wrong: found '@ada'. Must be account ids"),
        ({"PARLEY_OWNERS": "telegram:1;discord:2"}, "like telegram:123, discord:456"),
        ({"PARLEY_WEB_PORT": "x"}, "PARLEY_WEB_PORT is wrong: found 'x'. "),
        ({"PARLEY_WEB_PORT": "70000"}, "65535"),
        ({"TELEGRAM_API_BASE": "api"}, "TELEGRAM_API_BASE is wrong: found 'api'. Must begin with http"),
        ({"DISCORD_GATEWAY": "http://x"}, "ws://"),
        ({"REDIS_URL": "localhost"}, "redis://"),
        ({"PARLEY__WEB__PORTT": "1"}, "web.portt is not a setting"),
        ({"PARLEY__CHAT__TIME_ZONE": "Mars"}, "Europe/Berlin"),
        ({"OPENAI_API_KEY": "sk-secret"}, "OPENAI_MODEL is not set"),
        ({"OPENAI_BASE_URL": "api", "OPENAI_MODEL": "m"}, "OPENAI_BASE_URL is wrong: found 'api'. Must begin with"),
        ({"PARLEY__TELEGRAM__WEBHOOK_URL": "https://x"}, "webhook_secret"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(tmp_path, environ)
    assert says in str(error.value)
    assert "sk-secret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("web = [", "parley.toml is not valid TOML"),
        ('[[models]]\nname = "m"\nprovider = "nobody"\n', "models.m.provider is wrong: found 'nobody'. Allowed: local"),
        ('[telegram]\ntoken = ["s3cret"]\n', "a value that is not shown here"),
        ('[[models]]\nname = "m"\n', "models.0.provider is missing."),
        ('[[providers]]\nname = "p"\n', "providers.p is wrong: found neither of base_url and base_urls"),
        ('[[providers]]\nname = "p"\nbase_url = "http://a"\nbase_urls = ["http://b"]\n', "found both of"),
        ('[[providers]]\nname = "p"\nbase_urls = ["http://a", "b"]\n', "providers.0.base_urls.1 is wrong: found 'b'"),
        ('[[providers]]\nname = "local"\nbase_url = "http://a"\n', "providers.local is wrong"),
        ("[telegram]\nlocal_server = true\n", "telegram.local_files is wrong: found ''."),
        ('[telegram]\nlocal_server = true\nlocal_files = "files"\n', "must be the whole path"),
        ('[[models]]\nname = "m"\nprovider = "local"\nkind = "ears"\n', "models.0.kind is wrong: found 'ears'"),
        ('[[models]]\nname = "m"\nprovider = "local"\nprice_prompt = inf\n', "models.0.price_prompt is wrong"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "parley.toml").write_text(text)
    with pytest.raises(SettingsError) as error:
        load(tmp_path, {})
    assert says in str(error.value)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"DISCORD_TOKN=abc\n", "DISCORD_TOKN in .env is not a setting"),
        (b"PARLEY_PORT=1\n", "PARLEY_PORT in .env is not a setting"),
        (b"\xff\xfe=1\n", ".env is no text in UTF-8"),
    ],
)
def test_a_slip_in_dotenv_is_named(tmp_path: Path, text: bytes, says: str) -> None:
    (tmp_path / ".env").write_bytes(text)
    with pytest.raises(SettingsError) as error:
        load(tmp_path, {})
    assert says in str(error.value)


def test_other_programs_variables_may_stand_beside_ours(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("VALKEY_PASSWORD=x\nPARLEY__WEB__PORT=1234\nDISCORD_TOKEN=\n")
    assert load(tmp_path, {"PARLEY_SOMETHING": "of somebody else"}).web.port == 1234
