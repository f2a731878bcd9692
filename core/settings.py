"""All settings: one frozen object, read once at the start by :mod:`core.loading`. Each module gets only its section."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from core.errors import SettingsError
from core.knowledge.settings import KnowledgeSettings
from core.labels.settings import LabelSettings
from core.models.servers.settings import EnginesSettings
from core.models.settings import LocalSettings, ModelSettings, ProviderSettings, RoutingSettings
from core.moderation.settings import ModerationSettings
from core.safety.settings import SafetySettings
from core.section import (
    Accounts,
    HttpUrl,
    Limit,
    Port,
    RedisUrl,
    Section,
    TimeZone,
    WebsocketUrl,
    are_keys,
    is_shard_range,
    split,
)
from core.shard_range import ShardRange
from core.storage.address import Address, Tls
from core.tools.settings import McpSettings, ToolsSettings


class TelegramSettings(Section):
    token: SecretStr = SecretStr("")
    """Bot token from @BotFather. Empty: Telegram is off."""
    api_base: HttpUrl = "https://api.telegram.org"
    """Root of the Bot API server."""
    rich: Literal["auto", "always", "off"] = "auto"
    """Rich messages (Bot API 10.1): for answers with headings, tables, task lists, formulas, and for long ones; for all
    answers; or for none. Some clients do not show them yet. Where the server refuses them, answers are text."""
    local_server: bool = False
    """The server at api_base is one of your own that runs with --local: files of up to 2 GB go through it, instead of
    50 MB out and 20 MB in."""
    local_files: str = ""
    """Folder in which that server keeps files (its --dir), under the same path here. Files are read below it only.
    Required with local_server."""
    webhook_url: HttpUrl = ""
    """Public https address that Telegram calls. Empty: long polling."""
    webhook_host: str = "127.0.0.1"
    """Local address of the webhook receiver. In a container: 0.0.0.0, behind a proxy that speaks https."""
    webhook_port: Port = 8443
    """Local port of the webhook receiver."""
    webhook_secret: SecretStr = SecretStr("")
    """Secret token that Telegram sends with every call. Required with webhook_url."""


class DiscordSettings(Section):
    token: SecretStr = SecretStr("")
    """Bot token from the developer portal. Empty: Discord is off."""
    api_base: HttpUrl = "https://discord.com/api/v10"
    """REST root with the version."""
    gateway: WebsocketUrl = "wss://gateway.discord.gg/"
    """Gateway address."""
    cdn: HttpUrl = "https://cdn.discordapp.com"
    """Where attachments may be fetched from, besides Discord's media proxy."""
    catch_up: bool = True
    """Answer after a start what came while the bot was away."""
    catch_up_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    """Age of the oldest message that is caught up."""
    catch_up_messages: Annotated[int, Field(ge=1, le=5000)] = 500
    """Messages of one channel's history that are looked through; the oldest, where there are more."""
    always_channels: Annotated[tuple[Annotated[str, Field(pattern=r"^[0-9]{1,20}$")], ...], BeforeValidator(split)] = ()
    """Ids of channels, forums or categories where every message of people is answered. In the other channels a
    server's administrators can choose that by /settings."""
    threads: bool = False
    """Answer each question in a channel in a thread of its own. A server's administrators can choose for each channel
    by /settings."""
    shards: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Connections into which the bot's servers are split, over all processes. 0: as many as Discord recommends. A
    changed number is taken over once every running process has it."""
    shards_per_process: Annotated[int, Field(ge=0, le=1000)] = 0
    """The most connections of one process. 0: a fair share."""
    shard_range: Annotated[str, AfterValidator(is_shard_range)] = ""
    """The shards that this process runs and no other, with the number of all, like 0-3/16; the same as --shards. Empty:
    a share of what is not reserved like this."""
    components: bool = True
    """Show finished answers as Discord's components: pictures in a gallery, a line below the text. Off: always plain
    messages."""
    footer: bool = True
    """The line below an answer that names the model, the time it took and what it cost. Needs ``components``."""
    members: Literal["auto", "on", "off"] = "auto"
    """Whether Discord tells who joins and leaves, which rules about joining need: auto if the switch “Server Members
    Intent” is on in Discord's developer portal, on to insist on it, off never."""
    identify_seconds: Annotated[float, Field(ge=0.001, le=60)] = 5.5
    """Time between the beginnings of two connections, over all processes. Discord wants 5 seconds; less is only for a
    gateway proxy that keeps them by itself."""

    @property
    def fixed_shards(self) -> int:
        """The number that the owner has set; 0 for none."""
        return self.shards or (ShardRange.parse(self.shard_range).count if self.shard_range else 0)

    @model_validator(mode="after")
    def _is_one_number(self) -> Self:
        if self.shards and self.shard_range and ShardRange.parse(self.shard_range).count != self.shards:
            raise ValueError(f"shard_range is {self.shard_range}, but shards is {self.shards}: leave shards out")
        return self


class WebSettings(Section):
    port: Port = 8080
    """Port of the web chat on 127.0.0.1. 0: the web chat is off."""
    host: Annotated[str, Field(pattern=r"^[0-9.]+$")] = "127.0.0.1"
    """Address it listens on. Another one only in a container, or behind a proxy that speaks https."""
    public_url: HttpUrl = ""
    """Address under which a reverse proxy shows the web chat, for links and cookies."""
    max_upload: Annotated[int, Field(ge=1024, le=50_000_000)] = 10_000_000
    """Largest upload in bytes."""


class StorageSettings(Section):
    redis_url: RedisUrl = ""
    """Redis or Valkey server, cluster or Sentinels (docs/operations.md). Empty: the embedded one, with its files in the
    data folder."""
    tls_ca: str = ""
    """PEM file of who may sign the certificate of a rediss server. Empty: whom the system trusts."""
    tls_certificate: str = ""
    """PEM file with our own certificate, for a server that asks for one."""
    tls_key: str = ""
    """PEM file with its key. Empty: it is in the same file."""
    tls_check: Literal["full", "chain", "none"] = "full"
    """What of the server's certificate is checked: signer and host name, the signer only, or nothing."""
    sentinel_username: str = ""
    """User at the Sentinels. The user in REDIS_URL is the one of the servers that they watch."""
    sentinel_password: SecretStr = SecretStr("")
    """Password at the Sentinels."""
    encrypt: bool = False
    """Seal what people say before it goes to Redis. Needs PARLEY_KEYS in every process; what was written before stays
    as it is until it ends by itself."""
    allow_open: bool = False
    """Start although the server at redis_url asks for no password and can be reached from anywhere."""
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days after its last message that a conversation is forgotten."""
    max_messages: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000
    """Messages kept in one conversation; the oldest go first."""
    audit_days: Annotated[int, Field(ge=1, le=3650)] = 400
    """Days after its last change that a space's log of changes is kept."""

    def address(self, url: str) -> Address:
        """Where to connect: ``url`` is ``redis_url`` or the embedded server's."""
        return replace(
            Address.parse(url),
            tls=Tls(self.tls_ca, self.tls_certificate, self.tls_key, self.tls_check),
            sentinel_username=self.sentinel_username or None,
            sentinel_password=self.sentinel_password.get_secret_value() or None,
        )


QUEUES: Mapping[str, int] = {"text": 2, "images": 1, "audio": 1, "video": 1, "documents": 2, "training": 1}
"""Queues of jobs, with how many of each a process does at once unless told otherwise."""
Queue = Literal["text", "images", "audio", "video", "documents", "training"]


class JobsSettings(Section):
    queues: Annotated[tuple[Queue, ...], BeforeValidator(split)] = ()
    """Queues whose jobs this process does, of text, images, audio, video, documents and training. Empty: all."""
    concurrency: Mapping[Queue, Annotated[int, Field(ge=1, le=1000)]] = Field(default_factory=dict[Queue, int])
    """Jobs done at once by one process, for each queue: text 2, documents 2, the others 1 unless said here."""
    follow_seconds: Annotated[float, Field(gt=0, le=600)] = 45.0
    """How long an answer waits for a picture, sound or film that is being made. What takes longer comes in a message of
    its own, so that the conversation can go on. Nobody waits for a film longer than 20 seconds."""
    idle_seconds: Annotated[float, Field(ge=1, le=600)] = 30.0
    """Jobs of a process that died are begun again after this time."""

    def worked(self, only: Sequence[str] | None = None) -> dict[str, int]:
        """The queues that this process works, with how many jobs of each at once. Raises SettingsError for one of
        ``only`` that there is not."""
        names: Sequence[str] = only or self.queues or get_args(Queue)
        if unknown := [name for name in names if name not in QUEUES]:
            raise SettingsError(f"There is no queue {unknown[0]!r}. There are: {', '.join(QUEUES)}.")
        concurrency: Mapping[str, int] = {**QUEUES, **self.concurrency}
        return {name: concurrency[name] for name in names}


class ChatSettings(Section):
    persona: str = "You are Parley, a friendly and helpful assistant. Answer in the language of the question."
    """Who the bot is where nobody chose another persona: what it is told at the beginning of every prompt, or the name
    of one that comes with Parley, such as tutor."""
    time_zone: TimeZone = "UTC"
    """Time zone of the times told to the model."""
    model: str = ""
    """Name of the model used where nobody chose one. Empty: the catalog's first."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    """What the prices of models are in, as people are shown what an answer cost: a code of ISO 4217."""
    max_message_chars: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000
    """Longest message read; over it a notice says so."""
    max_waiting: Annotated[int, Field(ge=1, le=1000)] = 20
    """Messages that may wait in one conversation; over it one notice stands for all that are too many."""
    max_waiting_space: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Messages that may wait in one community (a Discord server, a Telegram group), roughly."""
    max_waiting_all: Annotated[int, Field(ge=16, le=10_000_000)] = 20_000
    """Messages that may wait in all, roughly, and no more than were answered within a minute (but always a twentieth of
    this). At four times as many, notices included, further ones are dropped with a line in the log."""
    person_limit: Limit = ""
    """How often a person may ask, everywhere together, like 20/minute or 5/10seconds; 200/day. Empty: as they like. A
    space's administrators can set a limit besides. Commands that ask no model, and owners, are not counted."""
    space_limit: Limit = ""
    """How often all people of one community may ask together. Empty: as they like."""
    max_pages: Annotated[int, Field(ge=1, le=50)] = 8
    """Messages one answer may take; a longer answer comes as a file."""
    max_image_bytes: Annotated[int, Field(ge=10_000)] = 10_000_000
    """Largest picture read."""
    max_concurrent: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Answers made at the same time by one process."""
    max_recording_seconds: Annotated[int, Field(ge=1, le=36_000)] = 600
    """Longest recording that is listened to; needs a model of the kind transcription."""
    max_recording_bytes: Annotated[int, Field(ge=10_000, le=2_000_000_000)] = 20_000_000
    """Largest recording or video that is listened to. Many providers take 25 MB at most."""
    max_document_bytes: Annotated[int, Field(ge=1000, le=200_000_000)] = 20_000_000
    """Largest document read."""
    max_document_pages: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Pages read of a PDF; the rest is left out, and a notice says so."""
    max_document_chars: Annotated[int, Field(ge=1000, le=2_000_000)] = 200_000
    """Characters kept of a message's documents; less where half of the model's window is less."""
    buttons: bool = True
    """Answers carry buttons (again, another model, read aloud, forget) where the platform has room for them. Each
    conversation can choose otherwise by /settings."""
    pictures_in_prompt: Annotated[int, Field(ge=0, le=20)] = 4
    """Newest pictures of a conversation shown to a model again."""


BudgetName = Literal["day_money", "month_money", "day_images", "month_images", "day_seconds", "month_seconds"]
Spending = Mapping[BudgetName, Annotated[float, Field(ge=0, le=1_000_000_000, allow_inf_nan=False)]]


class BudgetSettings(Section):
    """Budgets are in day_money and month_money (units of ``chat.currency``), day_images and month_images (pictures
    drawn), day_seconds and month_seconds (of sound, heard and spoken). What is not named has no limit."""

    person: Spending = Field(default_factory=dict[BudgetName, float])
    """What one person may use, everywhere together: day_money and month_money in units of chat.currency, day_images and
    month_images drawn, day_seconds and month_seconds of sound heard and spoken. What is not named has no limit.
    Owners can set another one for somebody by /admin budget."""
    space: Spending = Field(default_factory=dict[BudgetName, float])
    """What one community may use together, named likewise. Its administrators can set less, and a part for each
    person there, by /admin set."""
    all: Spending = Field(default_factory=dict[BudgetName, float])
    """What all may use together, named likewise."""
    time_zone: TimeZone = "UTC"
    """Where days and months begin, for everybody: a day's sum over several communities needs one day."""
    low_percent: Annotated[int, Field(ge=0, le=100)] = 20
    """When less of a budget of money is left, a cheaper model answers, and says so. 0: only when there is nothing."""
    told_percent: Annotated[int, Field(ge=1, le=100)] = 80
    """When so much of a budget is used, those whom it concerns are told, once in the day or month."""


class Settings(Section):
    """The whole of it."""

    data: Path = Path("data")
    """Folder for everything that is kept."""
    log: Literal["auto", "json", "text"] = "auto"
    """Form of the log lines; auto: text on a terminal, else JSON."""
    owners: Accounts = ()
    """Who may use /admin, as platform:account id, like telegram:123 or discord:456; in the environment with commas
    between them. On the web it is who came in by the one-time link."""
    keys: Annotated[SecretStr, AfterValidator(are_keys)] = SecretStr("")
    """Keys that seal people's own API keys and, with ``storage.encrypt``, what is said: id:secret, commas between. The
    first seals, all open. `parley keys new` makes one. Only in the environment or .env, and kept apart from backups."""
    # Each its own sections: they are read anew in place (bots/reloading.py), so two must never share one.
    telegram: TelegramSettings = Field(default_factory=TelegramSettings)
    discord: DiscordSettings = Field(default_factory=DiscordSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    jobs: JobsSettings = Field(default_factory=JobsSettings)
    chat: ChatSettings = Field(default_factory=ChatSettings)
    routing: RoutingSettings = Field(default_factory=RoutingSettings)
    local: LocalSettings = Field(default_factory=LocalSettings)
    engines: EnginesSettings = Field(default_factory=EnginesSettings)
    moderation: ModerationSettings = Field(default_factory=ModerationSettings)
    safety: SafetySettings = Field(default_factory=SafetySettings)
    tools: ToolsSettings = Field(default_factory=ToolsSettings)
    budgets: BudgetSettings = Field(default_factory=BudgetSettings)
    labels: LabelSettings = Field(default_factory=LabelSettings)
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)
    providers: tuple[ProviderSettings, ...] = ()
    models: tuple[ModelSettings, ...] = ()
    mcp: tuple[McpSettings, ...] = ()

    @property
    def tool_names(self) -> tuple[str, ...]:
        """What spaces may choose among."""
        return (*self.tools.use, *(server.name for server in self.mcp))


@dataclass(frozen=True, slots=True)
class Owners(Collection[str]):
    """The accounts of the setting ``owners`` as they are now: they may be read anew while Parley runs."""

    settings: Settings

    def __contains__(self, account: object) -> bool:
        return account in self.settings.owners

    def __iter__(self) -> Iterator[str]:
        return iter(self.settings.owners)

    def __len__(self) -> int:
        return len(self.settings.owners)
