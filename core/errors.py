"""The few errors that cross a boundary. Each says whether trying again can help."""

from __future__ import annotations

from enum import StrEnum


class ParleyError(Exception):
    """The root of Parley's own errors."""


class SettingsError(ParleyError):
    """A setting is wrong. The text names the setting, what was found and what is allowed."""


class StorageError(ParleyError):
    """Redis could not be reached, or refused, for longer than is waited for."""


class StorageFull(StorageError):
    """Redis has no memory, or no disk, left to keep anything more."""


class UnreadableError(StorageError):
    """A record is there and cannot be read: it is damaged, or a newer program wrote it. To try again is of no use."""


class EntryError(ParleyError, ValueError):
    """A record in Redis cannot be read: it is damaged, or a newer program wrote it."""


class LeaseLost(ParleyError):
    """Another worker has taken the conversation over: nothing more may be written or sent."""


class RightsUnknownError(ParleyError):
    """A platform does not tell now what a person may do, so they may not."""


class ModelFault(StrEnum):
    """What went wrong with a model call, for the log line, the breaker and the choice of a fallback."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    REFUSED = "refused"
    """The provider says that the request itself is wrong (400, 404, 413, 422)."""
    GONE = "gone"
    """The provider has no such model (any more)."""
    UNAUTHORISED = "unauthorised"
    FILTERED = "filtered"
    """The provider's rules do not allow what was asked for."""
    SERVER = "server"
    MALFORMED = "malformed"
    """The answer is not what the wire format allows: HTML, broken JSON, no finish reason."""


class ModelError(ParleyError):
    """One call to one model failed.

    ``retryable`` says whether the same model may be tried again at once; ``retry_after`` is in
    seconds, when the provider told it.
    """

    def __init__(
        self, fault: ModelFault, detail: str, *, retryable: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail
        self.retryable = retryable
        self.retry_after = retry_after


class UnsupportedPrompt(ModelError):
    """A small model draws some things only: ``possible``, in its own words."""

    def __init__(self, detail: str, possible: str) -> None:
        super().__init__(ModelFault.REFUSED, detail)
        self.possible = possible


class RecordingTooLong(ModelError):
    """A server listens to no more than ``seconds`` of a recording; 0 where it does not say."""

    def __init__(self, detail: str, seconds: int) -> None:
        super().__init__(ModelFault.REFUSED, detail)
        self.seconds = seconds


class OutboundFault(StrEnum):
    """Why a platform did not take a message, an edit or a file."""

    RATE_LIMITED = "rate_limited"
    TRANSIENT = "transient"
    """Network or 5xx: unknown whether it was done; the same call may be tried again where it is idempotent."""
    GONE = "gone"
    """The message to edit or the message replied to does not exist any more."""
    FORBIDDEN = "forbidden"
    """No right to write there."""
    CLOSED = "closed"
    """Nothing can be written there for good, as far as is known: blocked, thrown out, the chat or its topic is gone."""
    MOVED = "moved"
    """The chat goes on under another id, which has been noted: the answer is made anew there."""
    NO_FILES = "no_files"
    """No right to send such files there; text may go."""
    REFUSED = "refused"
    """The platform calls the content wrong."""
    FORM = "form"
    """The platform does not take this form of the content; formatted simply it may."""


class OutboundError(ParleyError):
    """A platform call failed. ``retry_after`` is in seconds; ``everywhere`` when the limit is the whole bot's."""

    def __init__(
        self, fault: OutboundFault, detail: str, *, retry_after: float = 0.0, everywhere: bool = False
    ) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail
        self.retry_after = retry_after
        self.everywhere = everywhere
