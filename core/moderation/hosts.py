"""Where links lead: hosts compared as browsers do, and as people are deceived. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import chain
from urllib.parse import unquote, urlsplit

from core.moderation.matching import LONGEST, key

MOST_LINKS = 500
"""Of one message that are looked at."""
LEAST_IMITATED = 5
"""Letters of a name of which another with one other letter is an imitation; shorter ones have honest neighbours."""
LONGEST_HOST = 253
"""Characters that a host can have (RFC 1035)."""
LONGEST_LINK = 2000
"""Characters of one that are looked at."""
_WRITTEN = re.compile(r"\b(?:https?|tg)://[^\s<>\"'`|\\^{}]+", re.IGNORECASE)
_BARE = re.compile(r"(?<![\w@.%+-])(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}(?![\w@-])(?:/[^\s<>\"']*)?")
# Within words of a script without blanks.
_AMONG = re.compile(r"(?<![a-z0-9@.%+_-])(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}(?![a-z0-9@_-])", re.IGNORECASE)
_DOT = re.compile(r"\s?[\[({]\s?(?:\.|dot)\s?[\])}]\s?|\s\.\s?|\u3002", re.IGNORECASE)
"""What is read as a dot in the name of a host, but leads nowhere."""
_CLAUSE = re.compile(r"[,;!?)\]}*_~`'\"\u2026\u3001\u300a-\u3011\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f]")
"""What stands directly behind a host, and belongs to the sentence around it."""
_MOST_CLAUSES = 3
_DOTS = ".\u3002\uff0e\uff61"
"""What browsers take for a dot."""
_SLASHES = re.compile(r"(?<=^http:)/{3,}|(?<=^https:)/{3,}")
_DRESSING = re.compile(r"[*~|`\[\](){}]")
_INVITE = re.compile(
    r"(?<![a-z0-9-])(?:discord(?:app)?\s?[.\u3002]\s?(?:gg|com(?::\d+)?\s?/+\s?invite)"
    r"|discord\s?\.\s?(?:me|io|li)|dsc\s?\.\s?gg|invite\s?\.\s?gg)(?::\d+)?\s?[/\\]+\s?(?P<discord>[\w-]{2,100})"
    r"|(?<![a-z0-9-])(?:t|telegram|tlgrm)\s?[.\u3002]\s?(?:me|dog)(?::\d+)?\s?/+\s?"
    r"(?:(?:joinchat|addlist)\s?/+\s?|\+|%2b)(?P<telegram>[\w-]{5,64})"
    r"|tg:(?://)?(?:join/?\?invite|addlist/?\?slug)=(?P<app>[\w-]{5,64})",
    re.IGNORECASE,
)
_TELEGRAM = ("resolve", "join", "addlist", "privatepost")
"""What leads to people and groups in the app itself; ``tg://user`` is how somebody is named."""
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
    text = _DOT.sub(".", text[:LONGEST])
    found = chain(_BARE.finditer(text), () if text.isascii() else _AMONG.finditer(text))
    return tuple(
        host for _, one in zip(range(MOST_LINKS), found, strict=False) if (host := host_of(f"http://{one[0]}"))
    )


def host_of(link: str) -> str:
    """The host that a browser would go to: small letters, punycode; empty where there is none."""
    # Browsers read any number of slashes as two.
    link = _SLASHES.sub("//", link.strip()[:LONGEST_LINK].replace("\\", "/"))
    if "://" not in link:
        link = f"http://{link.lstrip('/')}"
    try:
        parts = urlsplit(link)
        host = parts.hostname or ""
    except ValueError:
        return ""
    if parts.scheme.casefold() == "tg":
        return "t.me" if host in _TELEGRAM else ""
    return _ascii(_without_sentence(host))


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
    (``discord.com.example.org``, ``discord-com.org``). Empty for those domains themselves."""
    if not host or is_within(host, domains):
        return ""
    seen = looks(host)
    for one in domains:
        plain = f"-{seen}-".replace(".", "-")
        if f".{one}." in f".{seen}." or f"-{one.replace('.', '-')}-" in plain or _is_near(seen, one):
            return one
    return ""


def invites(text: str, links: Iterable[str]) -> tuple[str, ...]:
    """The codes of invitations to Discord's servers and Telegram's groups in a text or in links, also where blanks and
    strange letters hide them; each once."""
    found = dict[str, None]()
    bare = _DRESSING.sub("", text[:LONGEST])
    leads = (unquote(link[:LONGEST_LINK]) for link in links)
    for place in (text[:LONGEST], key(text), bare, key(bare), *leads):
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


def _without_sentence(host: str) -> str:
    """Without what is written directly behind it, in Chinese often a full stop. A dot further on is the host's."""
    for _ in range(_MOST_CLAUSES):
        end = max(map(host.rfind, _DOTS)) + 1
        if found := _CLAUSE.search(host, end):
            host = host[: found.start()]
        behind = host[end : end + 1]
        if not end or host[end - 1] != "\u3002" or (behind and behind.isascii()):
            break
        host = host[: end - 1]
    return host


def _unicode(host: str) -> str:
    try:
        return host.encode().decode("idna") if "xn--" in host else host
    except UnicodeError:
        return host
