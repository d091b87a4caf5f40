"""Recognizes the names and addresses of this machine alone."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=256)
def is_loopback_host(host: str) -> bool:
    """Return whether a host, in lower case and without a port, is this machine's alone.

    Args:
        host: A name, an IPv4 address, or an IPv6 address without brackets.
    """
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
