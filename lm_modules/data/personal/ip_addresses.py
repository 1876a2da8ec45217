"""Internet addresses that everybody can reach; private, reserved and documentation addresses name nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from lm_modules.data.personal.spans import Span, before

# These two begin with a digit and a colon, which `re` seeks faster than what must not stand before them.
FOUR_NUMBERS = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
TWO_COLONS = re.compile(r":[0-9a-fA-F]{0,4}:")
IPV4 = re.compile(r"(?<![\w.])[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?!\w|\.\w)", re.ASCII)
IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-fA-F]{3}:(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F]{0,4}(?![\w:])", re.ASCII)
CALLED_ADDRESS = re.compile(
    r"(?:\b(?:ips?|ip ?v4|addr(?:ess)?(?:es)?|host|server|dns|ping|ssh|client|peer|visitor|logged in from)\b|https?://)"
    r"[^\w\n]{0,3}(?:(?:is|was|at|of|from|to)\b[^\w\n]{0,2})?$",
    re.IGNORECASE,
)
CALLED_VERSION = re.compile(
    r"(?:\b(?:version|release|firmware|build|update|upgrade|patch|section|chapter|v|ver|rev)s?\b"
    r"[^\w\n]{0,3}(?:(?:is|was|of|from|to|number)\b[^\w\n]{0,2})?|\w[-_/@=]|[<>~^]=?\s?|==\s?)$",
    re.IGNORECASE,
)


def ip_addresses(text: str) -> Iterator[Span]:
    """Find addresses of versions 4 and 6."""
    for match in IPV4.finditer(text) if FOUR_NUMBERS.search(text) else ():
        if _is_reachable(match.group()) and not _is_version(match.group(), before(text, match.start())):
            yield Span(*match.span(), "IP_ADDRESS")
    for match in IPV6.finditer(text) if TWO_COLONS.search(text) else ():
        address = match.group().rstrip(":") if not match.group().endswith("::") else match.group()
        if _is_reachable(address):
            yield Span(match.start(), match.start() + len(address), "IP_ADDRESS")


def _is_reachable(text: str) -> bool:
    try:
        address = IPv6Address(text) if ":" in text else IPv4Address(text)
    except ValueError:  # a number above 255, a leading zero, too few groups
        return False
    # 3fff::/20 is for documentation since RFC 9637, which Python 3.11 does not know.
    return address.is_global and not address.is_multicast and not text.lower().startswith("3fff:0")


def _is_version(text: str, words_before: str) -> bool:
    """Whether four numbers rather name a version: they are called one, or small as those of versions are."""
    if CALLED_ADDRESS.search(words_before):
        return False
    numbers = [int(number) for number in text.split(".")]
    return max(numbers) < 100 or (0 in numbers and numbers[0] < 30) or bool(CALLED_VERSION.search(words_before))
