"""The proxy that the user's environment names for an address: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies

from sciexam.errors import UsageError


def proxies_of_the_environment() -> dict[str, str]:
    """Proxies by `http`, `https` and `all`, and under `no` the hosts that are asked directly; {} for no proxy at all.

    Raises UsageError for a proxy of a kind that cannot be used, without repeating it: it may hold a password.
    """
    named = {name: value for name, value in getproxies().items() if name in ("http", "https", "all", "no") and value}
    found = {name: value if name == "no" or "://" in value else f"http://{value}" for name, value in named.items()}
    for name, value in found.items():
        if name == "no":
            continue
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            kind = value.partition("://")[0]
            raise UsageError(
                f"the proxy set in this environment cannot be used: {name.upper()}_PROXY must be http://HOST:PORT or "
                f"https://HOST:PORT, and is of the kind {kind}://"
            )
    return found if found.keys() - {"no"} else {}


def proxy_for(url: str, proxies: Mapping[str, str]) -> str | None:
    """The proxy by which `url` is asked; None where it is asked directly."""
    parts = urlsplit(url)
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy is None or any(_is_of(parts.hostname or "", parts.port, one) for one in proxies.get("no", "").split(",")):
        return None
    return proxy


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
