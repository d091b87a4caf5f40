"""Which proxy of the environment a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

`urllib.request` reads the variables, and matches names, domains and ports of NO_PROXY. It knows
neither networks (`10.0.0.0/8`) nor wildcards (`*.internal`), which other tools accept.
"""

from __future__ import annotations

import ipaddress
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


class EnvironmentProxies:
    """The proxies of the environment, as they were when this was created."""

    def __init__(self) -> None:
        import urllib.request

        self._proxies = urllib.request.getproxies()
        entries = self._proxies.get("no", "").replace(",", " ").split()
        self._direct = tuple(entry.lower() for entry in entries)

    def for_url(self, url: str) -> str:
        """Return the URL of the proxy for a URL, "" for none. This machine is never proxied."""
        if not self._proxies:
            return ""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all") or ""
        if not proxy or is_loopback(host) or self._is_direct(host, port):
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"

    def _is_direct(self, host: str, port: int) -> bool:
        import urllib.request

        if any(_matches(entry, host, port) for entry in self._direct):
            return True
        return bool(urllib.request.proxy_bypass(f"[{host}]" if ":" in host else f"{host}:{port}"))


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _matches(entry: str, host: str, port: int) -> bool:
    """Return whether an entry of NO_PROXY is a network or a wildcard that matches."""
    entry, entry_port = _split_port(entry)
    if entry_port not in ("", str(port)):
        return False
    if "*" in entry:
        return fnmatchcase(host, entry)
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _split_port(entry: str) -> tuple[str, str]:
    """Return host and port of an entry; an IPv6 address has its port behind brackets."""
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        return host, port.removeprefix(":")
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, ""
