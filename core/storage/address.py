"""What REDIS_URL says: one server, a cluster, or a master that Sentinels know; and how its certificates are checked."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

from core.errors import SettingsError

Topology = Literal["single", "cluster", "sentinel"]
Check = Literal["full", "chain", "none"]
Node = tuple[str, int]

SCHEMES: dict[str, tuple[Topology, bool]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "unix": ("single", False),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
}
"""Scheme -> what answers there, and whether the connection is encrypted."""
PORT = 6379
SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates of encrypted connections, as paths of PEM files."""

    ca: str = ""
    """Who may sign the server's certificate. Empty: whom the system trusts."""
    certificate: str = ""
    """Our own, where the server asks for one."""
    key: str = ""
    """Its key. Empty: it is in the certificate's file."""
    check: Check = "full"
    """full: signer and host name; chain: the signer only; none: nothing, so anybody in between can read along."""

    def context(self) -> ssl.SSLContext:
        """Raises SettingsError when a file cannot be used."""
        context = self._trusting()
        context.check_hostname = self.check == "full"
        context.verify_mode = ssl.CERT_NONE if self.check == "none" else ssl.CERT_REQUIRED
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key or None)
            except (OSError, ValueError) as error:
                raise SettingsError(
                    f"storage.tls_certificate or storage.tls_key is wrong: {_why(error)} ({self.certificate})."
                ) from None
        return context

    def _trusting(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ValueError) as error:
            raise SettingsError(f"storage.tls_ca is wrong: {_why(error)} ({self.ca}).") from None


@dataclass(frozen=True, slots=True)
class Address:
    """REDIS_URL, taken apart."""

    topology: Topology
    nodes: tuple[Node, ...] = ()
    """The server, some nodes of the cluster, or the Sentinels; none for a socket."""
    path: str = ""
    """Of a unix socket."""
    database: int = 0
    master: str = ""
    """The name under which the Sentinels know the master."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    is_encrypted: bool = False
    tls: Tls = Tls()
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """For people: without user and password."""
        nodes = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.nodes)
        return self.path or (f"{self.master} at {nodes}" if self.master else nodes)

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises ValueError with the rest of a sentence, in which no password stands."""
        scheme, found, rest = url.partition("://")
        if not found or scheme not in SCHEMES:
            *most, last = (f"{name}://" for name in SCHEMES)
            raise ValueError(f"must begin with {', '.join(most)} or {last}")
        topology, is_encrypted = SCHEMES[scheme]
        if scheme == "unix":
            return cls(topology, path=_path(rest), **_user("" if rest.startswith("/") else rest.partition("@/")[0]))
        rest, _, options = rest.partition("?")
        authority, _, path = rest.partition("/")
        if "@" in path or "@" in options:
            raise ValueError("has an @ too late: in a user or password, / is written %2F, ? is %3F and @ is %40")
        user, _, hosts = authority.rpartition("@")
        nodes = tuple(_node(text, SENTINEL_PORT if topology == "sentinel" else PORT) for text in hosts.split(","))
        if topology == "single" and len(nodes) > 1:
            raise ValueError("names several servers: a cluster is redis+cluster://, with Sentinels redis+sentinel://")
        master, database = "", path.strip("/")
        if topology == "sentinel":
            master, _, database = database.partition("/")
            if not master:
                raise ValueError("must name the master after the Sentinels, like redis+sentinel://host:26379/mymaster")
        return cls(
            topology,
            nodes,
            database=_database(database, options, topology),
            master=unquote(master),
            **_user(user),
            is_encrypted=is_encrypted,
        )


def _database(text: str, options: str, topology: Topology) -> int:
    for name, value in parse_qsl(options, keep_blank_values=True):
        if name != "db":
            raise ValueError("has an option that is not known: certificates are storage.tls_ca and its like")
        text = value
    if text and topology == "cluster":
        raise ValueError("names a database: a cluster has none")
    if text and not text.isdecimal():
        raise ValueError("ends with what is no number of a database")
    return int(text or 0)


def _path(rest: str) -> str:
    """A socket's path, as it is: any character may stand in it."""
    if rest.startswith("/"):
        return rest
    _, found, path = rest.partition("@/")
    if not found:
        raise ValueError("must name a socket by its whole path, like unix:///run/valkey.sock")
    return "/" + path


def _user(text: str) -> dict[str, Any]:
    name, _, password = text.partition(":")
    return {"username": unquote(name) or None, "password": unquote(password) or None}


def _node(text: str, default: int) -> Node:
    host, _, port = text[1:].partition("]") if text.startswith("[") else text.partition(":")
    port = port.removeprefix(":")
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("has a port that is no number between 1 and 65535")
    return unquote(host) or "localhost", int(port or default)


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
