"""Addresses that a stranger may have us ask: the public internet's, and no others.

A name is looked up once, every address that it has is checked, and the connection goes to
one of these: a name that changes its mind in between gains nothing. Redirects are never followed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

AddressFilter = Callable[[str], bool]
"""Whether this address (never a name) may be connected to."""


def is_public(address: str) -> bool:
    """Whether it is on the public internet. Not loopback, private, link-local (where clouds
    keep their secrets), shared, reserved or multicast, nor an IPv6 address that leads there.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or _translated(parsed)
        if inner is not None:
            return is_public(str(inner))
        if parsed.teredo is not None or parsed.is_site_local:
            return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that NAT64 and old mappings hide in the last 32 bits."""
    hidden = (
        ipaddress.ip_network("64:ff9b::/96"),
        ipaddress.ip_network("64:ff9b:1::/48"),
        ipaddress.ip_network("::/96"),
    )
    if any(address in network for network in hidden):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
