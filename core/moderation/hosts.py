"""Where links lead: hosts compared as browsers do, and as people are deceived. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from core.moderation.matching import LONGEST, key

MOST_LINKS = 100
"""Of one message that are looked at."""
LEAST_IMITATED = 5
"""Letters of a name of which another with one other letter is an imitation; shorter ones have honest neighbours."""
LONGEST_HOST = 253
"""Characters that a host can have (RFC 1035)."""
LONGEST_LINK = 2000
"""Characters of one that are looked at."""
_WRITTEN = re.compile(r"\b(?:https?|tg)://[^\s<>\"'`|\\^{}]+", re.IGNORECASE)
_BARE = re.compile(r"(?<![\w@.%+-])(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}(?![\w@-])(?:/[^\s<>\"']*)?")
_INVITE = re.compile(
    r"(?:discord(?:app)?\s?\.\s?(?:gg|com\s?/\s?invite)|discord\s?\.\s?(?:me|io|li)|dsc\s?\.\s?gg"
    r"|invite\s?\.\s?gg)\s?/\s?(?P<discord>[\w-]{2,100})"
    r"|(?:t|telegram|tlgrm)\s?\.\s?(?:me|dog)\s?/\s?(?:joinchat\s?/\s?|\+|%2b)(?P<telegram>[\w-]{5,64})"
    r"|tg://join\?invite=(?P<app>[\w-]{5,64})",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
_DOMAIN = re.compile(r"\.?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def domain(written: str) -> str:
    """A domain as it is compared: small letters, punycode for all but ASCII. A whole ending begins with a dot, like
    ``.zip``. Raises ValueError for what is none."""
    bare = written.strip().casefold().removeprefix("https://").removeprefix("http://").rstrip("/").removeprefix("*")
    ascii_form = _ascii(bare.lstrip("."))
    if not ascii_form or not _DOMAIN.fullmatch(ascii_form) or ("." not in ascii_form and not bare.startswith(".")):
        raise ValueError(written)
    return f".{ascii_form}" if bare.startswith(".") else ascii_form


def written_links(text: str) -> tuple[str, ...]:
    """The addresses that are written out in a text with ``https://`` or the like."""
    return tuple(found[0] for _, found in zip(range(MOST_LINKS), _WRITTEN.finditer(text[:LONGEST]), strict=False))


def bare_hosts(text: str) -> tuple[str, ...]:
    """Hosts that are named without being links, for what must not be named at all: ``README.md`` is one, too."""
    found = _BARE.finditer(text[:LONGEST])
    return tuple(
        host for _, one in zip(range(MOST_LINKS), found, strict=False) if (host := host_of(f"http://{one[0]}"))
    )


def host_of(link: str) -> str:
    """The host that a browser would go to: small letters, punycode; empty where there is none."""
    link = link.strip()[:LONGEST_LINK].replace("\\", "/")
    if "://" not in link:
        link = f"http://{link.lstrip('/')}"
    try:
        parts = urlsplit(link)
        host = parts.hostname or ""
    except ValueError:
        return ""
    return "" if parts.scheme.casefold() == "tg" else _ascii(host)


def is_within(host: str, domains: Iterable[str]) -> bool:
    """Whether a host is one of the domains or below one; of endings like ``.zip``, whether it ends so. Exactly: a host
    that only looks like one is none."""
    return any(host.endswith(one) if one[0] == "." else host == one or host.endswith(f".{one}") for one in domains)


def looks_within(host: str, domains: Iterable[str]) -> bool:
    """The same, for what is forbidden: a host that looks like one of them counts as well."""
    domains = tuple(domains)
    return is_within(host, domains) or is_within(looks(host), tuple(map(looks, domains)))


def imitated(host: str, domains: Collection[str]) -> str:
    """Which of the domains a host pretends to be: it looks like it, is one letter away, or has it before its own end
    (``discord.com.example.org``). Empty for those domains themselves."""
    if not host or is_within(host, domains):
        return ""
    seen = looks(host)
    for one in domains:
        if f".{one}." in f".{seen}." or _is_near(seen, one):
            return one
    return ""


def invites(text: str, links: Iterable[str]) -> tuple[str, ...]:
    """The codes of invitations to Discord's servers and Telegram's groups in a text or in links, also where blanks and
    strange letters hide them; each once."""
    found = dict[str, None]()
    for place in (text[:LONGEST], key(text), *(link[:LONGEST_LINK] for link in links)):
        for one in _INVITE.finditer(place):
            found[one["discord"] or one["telegram"] or one["app"]] = None
            if len(found) == MOST_LINKS:
                return tuple(found)
    # The same code in capitals and folded is one.
    seen = dict[str, str]()
    for code in found:
        seen.setdefault(code.casefold(), code)
    return tuple(seen.values())


@lru_cache(4096)
def looks(host: str) -> str:
    """What people read: punycode as its letters, letters that look alike as one."""
    return key(_unicode(host)).replace(" ", "")


def _is_near(seen: str, one: str) -> bool:
    """Of the part that is registered only: what stands before it is anybody's choice."""
    import disarm

    labels = one.count(".") + 1
    own = ".".join(seen.split(".")[-labels:])
    if own == one:
        return True
    name, other = own.rpartition(".")[0] or own, one.rpartition(".")[0] or one
    distance = disarm.edit_distance(name, other)
    # Two letters changed about are two steps apart.
    return len(other) >= LEAST_IMITATED and (distance <= 1 or (distance == 2 and sorted(name) == sorted(other)))


def _ascii(host: str) -> str:
    """As browsers send it; empty where it cannot be a host."""
    host = host.rstrip(".").casefold()
    if len(host) > LONGEST_HOST:
        return ""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        labels = host.replace("\u3002", ".").split(".")
        return host if all(_LABEL.fullmatch(label) for label in labels) else ""


def _unicode(host: str) -> str:
    try:
        return host.encode().decode("idna") if "xn--" in host else host
    except UnicodeError:
        return host
