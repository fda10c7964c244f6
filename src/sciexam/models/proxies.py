"""The proxy that the user's environment names for an address: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies

from sciexam.errors import UsageError

PORTS = {"http": 80, "https": 443}  # where an address names none


def proxies_of_the_environment() -> dict[str, str]:
    """Proxies by `http`, `https` and `all`, under `no` the hosts that are asked directly; {} for no proxy at all."""
    named = {name: value for name, value in getproxies().items() if name in ("http", "https", "all", "no") and value}
    found = {name: value if name == "no" or "://" in value else f"http://{value}" for name, value in named.items()}
    return found if found.keys() - {"no"} else {}


def proxy_for(url: str, proxies: Mapping[str, str]) -> str | None:
    """The proxy by which `url` is asked; None where it is asked directly, as this machine itself always is.

    Raises UsageError for a proxy of a kind that cannot be used, without repeating it: it may hold a password.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme)
    name = parts.scheme if parts.scheme in proxies else "all"
    proxy = proxies.get(name)
    if proxy is None or is_loopback(host) or any(_is_of(host, port, one) for one in proxies.get("no", "").split(",")):
        return None
    if not _usable(proxy):
        kind = proxy.partition("://")[0]
        raise UsageError(
            f"the proxy set in this environment cannot be used: {name.upper()}_PROXY must be http://HOST:PORT or "
            f"https://HOST:PORT, and is of the kind {kind}://"
        )
    return proxy


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or its address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _usable(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_of(host: str, port: int | None, named: str) -> bool:
    """Whether a word of NO_PROXY means this host: `*`, a name and all below it, an address, or a network."""
    named = named.strip().lower().partition("://")[2] or named.strip().lower()
    if named == "*":
        return True
    try:
        return ip_address(host) in ip_network(named.strip("[]"), strict=False)
    except ValueError:  # one of the two is a name
        pass
    name, _, only = named.rpartition(":") if named.rpartition(":")[2].isdigit() else (named, "", "")
    name = name.removeprefix("*").removeprefix(".").strip("[]")
    return bool(name) and (not only or only == str(port)) and (host == name or host.endswith(f".{name}"))
