"""Checks a request's Host against an allow list, against DNS rebinding.

In DNS rebinding a website changes its own name's address to this server's. Its page in a visitor's
browser then has the same origin as this server, and reaches servers that only the visitor can
reach: those on the visitor's machine and network.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from akash_gradio.domain.loopback import is_loopback_host

ANY: Final = "*"
_HEADER: Final = re.compile(r"([a-z0-9_](?:[a-z0-9_.-]*)|\[[0-9a-f:.]+\])(?::\d{0,5})?")
_PRIVATE_SUFFIXES: Final = (
    ".localhost", ".local", ".lan", ".internal", ".home.arpa", ".home", ".corp", ".localdomain",
)  # fmt: skip
"""Suffixes that can't be registered in the public DNS. Sources: RFC 6761, 6762 and 8375, and
ICANN's decisions on .internal, .home and .corp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRules:
    """The hosts that requests may be addressed to.

    IP addresses and names that no website can have (without a dot, or with a private suffix) are
    always admitted: DNS rebinding needs a name in the public DNS.

    Attributes:
        names: Further hosts in lower case, without ports; `*.` and a domain stands for its
            subdomains.
        admits_any: Whether any other host is admitted too.
    """

    names: frozenset[str] = frozenset()
    admits_any: bool = False

    @classmethod
    def of(cls, names: Iterable[str], *, admits_any: bool) -> HostRules:
        """Return the rules for these hosts."""
        listed = frozenset(names)
        return cls(names=listed, admits_any=admits_any or ANY in listed)

    def admits(self, scope: Mapping[str, Any]) -> bool:
        """Return whether the request has exactly one Host, and an admitted one."""
        host = host_name(scope)
        if not host or self.admits_any:
            return bool(host)
        return (
            host in self.names
            or "." not in host
            or host.endswith(_PRIVATE_SUFFIXES)
            or _is_address(host)
            or is_loopback_host(host)
            or any(f"*.{domain}" in self.names for domain in _parents(host))
        )


def host_name(scope: Mapping[str, Any]) -> str:
    """Return the request's host in lower case, without its port and a final dot.

    Returns:
        "" if there isn't exactly one valid Host header.
    """
    values = [value for name, value in scope["headers"] if name == b"host"]
    if len(values) != 1:
        return ""
    match = _HEADER.fullmatch(values[0].decode("latin-1").lower())
    return match[1].rstrip(".").strip("[]") if match else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _parents(host: str) -> Iterable[str]:
    """Yield the domains that contain the host."""
    _, dot, rest = host.partition(".")
    while dot:
        yield rest
        _, dot, rest = rest.partition(".")
