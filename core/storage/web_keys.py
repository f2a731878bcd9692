"""The text of the web chat's keys, with types and lifetimes. A user's keys share a hash tag, hence a slot."""

from __future__ import annotations

PREFIX = "parley:web:"
EVENTS = PREFIX + "events"
"""Channel: ``user conversation``, told whenever a message of that conversation changed."""

USER_SECONDS = 400 * 24 * 3600
"""A user who stays away for longer is forgotten. Browsers keep a cookie no longer than this either."""
BLOB_SECONDS = 3 * 24 * 3600
"""How long an uploaded picture is kept."""
TICKET_SECONDS = 3600
"""How long a form that was sent twice is still known as the same."""


def secret() -> str:
    """string, the key that cookies are signed with; 400 days from the last start."""
    return PREFIX + "secret"


def owner() -> str:
    """string, the owner's user id; 400 days from the last start."""
    return PREFIX + "owner"


def code(digest: str) -> str:
    """string, user id (or empty: a new user) that a one-time code lets in as; lives as long as the code."""
    return f"{PREFIX}code:{digest}"


def _of(user: str, what: str) -> str:
    return f"{PREFIX}{{{user}}}:{what}"


def user(user: str) -> str:
    """string, a user as JSON; 400 days from the last visit."""
    return _of(user, "user")


def conversations(user: str) -> str:
    """zset: conversation -> unix seconds of its last use; kept as long as conversations are."""
    return _of(user, "conversations")


def titles(user: str) -> str:
    """hash: conversation -> its title and model as JSON; kept as long as conversations are."""
    return _of(user, "titles")


def messages(user: str, conversation: str) -> str:
    """hash: message id -> ``revision JSON``; ``#`` -> newest revision. Kept as long as conversations are."""
    return _of(user, f"messages:{conversation}")


def order(user: str, conversation: str) -> str:
    """zset of message ids, all with score 0: ids sort in the order they are shown in. Kept as the messages."""
    return _of(user, f"order:{conversation}")


def revisions(user: str, conversation: str) -> str:
    """zset: message id -> revision of its last change, removal included. Kept as the messages."""
    return _of(user, f"revisions:{conversation}")


def blob(user: str, blob: str) -> str:
    """hash: name, mime, data (base64) of an uploaded or delivered file; 3 days."""
    return _of(user, f"blob:{blob}")


def blobs(user: str) -> str:
    """list of a user's blob ids, newest first; 3 days."""
    return _of(user, "blobs")


def ticket(user: str, ticket: str) -> str:
    """string, what a form with this ticket was taken as; 1 hour."""
    return _of(user, f"ticket:{ticket}")
