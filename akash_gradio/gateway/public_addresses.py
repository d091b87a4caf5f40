"""Which addresses an endpoint named by a visitor may have: those of the public internet.

A host name is resolved once, every address of it is checked, and the connection goes to one of
these, so that a DNS answer that changes in between has no effect. Redirects are never followed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

AddressFilter = Callable[[str], bool]
"""Returns whether an IP address (never a host name) may be connected to."""


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the public internet.

    False for loopback, private, link-local (cloud metadata services), shared, reserved and
    multicast addresses, and for IPv6 addresses that lead to one of these.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or _embedded_ipv4(parsed)
        if inner is not None:
            return is_public(str(inner))
        if parsed.teredo is not None or parsed.is_site_local:
            return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def _embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address in the last 32 bits of a NAT64 or IPv4-compatible address."""
    networks = (
        ipaddress.ip_network("64:ff9b::/96"),
        ipaddress.ip_network("64:ff9b:1::/48"),
        ipaddress.ip_network("::/96"),
    )
    if any(address in network for network in networks):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
