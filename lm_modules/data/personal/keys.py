"""Private keys, and keys and tokens of services: what lets somebody else in.

Services begin theirs with letters of their own, so that such rules find them. Other secrets are found where a word
such as `password` or `api_key` stands before something that looks drawn by chance. A hash or a UUID that nothing calls
a secret stays.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import log2

from lm_modules.data.personal.private_keys import private_keys
from lm_modules.data.personal.spans import Span, before

SHORTEST = 16
DIGIT = re.compile("[0-9]")
BEGINNINGS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}"  # Amazon
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{28}"  # Google
    r"|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,}|glpat-[\w-]{20,}"  # GitHub, GitLab
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{20,}"  # Slack
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9]{24,}"  # Stripe
    r"|sk-(?:ant-|proj-|svcacct-)?[\w-]{20,}"  # Anthropic, OpenAI
    r"|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{50,}|dop_v1_[a-f0-9]{64}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|key-[a-f0-9]{32}|(?:AC|SK)[a-f0-9]{32}|[0-9]{8,10}:AA[\w-]{33}|AGE-SECRET-KEY-1[A-Z0-9]{58}"
    r")(?![A-Za-z0-9])",
    re.ASCII,
)
# Both of these begin only where what they are made of begins, so that a long run of it is read once and not from
# every place in it.
WEB_TOKEN = re.compile(
    r"(?<![\w-])(?>[\w-]*?(?<![A-Za-z0-9])(?=eyJ))(eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?)", re.ASCII
)
"""JSON Web Tokens (RFC 7519): {" in base 64. One that was cut may have no third part."""
SECRET = re.compile(r"(?<![A-Za-z0-9+/_.~-])[A-Za-z0-9+/_.~-]{15,}[A-Za-z0-9+/_~-]={0,2}")
CALLED_SECRET = re.compile(
    r"(?:(?:pass(?:word|wd|phrase)|pwd|secret|token|credentials?|apikey"
    r"|(?:api|access|auth|private|secret|client|account|signing|encryption)[_ -]?key)\w{0,10}"
    r"(?: is|[\"'\]]?[ \t]*(?:=>|:=|=|:))|bearer)[ \t]*[\"'`]?$",
    re.IGNORECASE,
)
NOT_DRAWN = re.compile(r"[A-Za-z]+|[0-9.,-]+|[A-Za-z]*(?:[_./-][A-Za-z]*)+[0-9]{0,3}")
BITS_PER_CHARACTER = 3.0


def keys(text: str) -> Iterator[Span]:
    """Find private keys, tokens by their beginning, and what is called a secret and looks like one."""
    yield from private_keys(text)
    place = 0
    for word in text.split():
        if len(word) < SHORTEST or not DIGIT.search(word):  # all that follows asks for one
            continue
        place = text.index(word, place)
        for match in BEGINNINGS.finditer(word):
            if DIGIT.search(match.group()):
                yield Span(place + match.start(), place + match.end(), "KEY")
        for match in WEB_TOKEN.finditer(word) if "eyJ" in word else ():
            if DIGIT.search(match.group(1)):
                yield Span(place + match.start(1), place + match.end(1), "KEY")
        for match in SECRET.finditer(word):
            if _looks_drawn(match.group()) and CALLED_SECRET.search(before(text, place + match.start())):
                yield Span(place + match.start(), place + match.end(), "KEY")
        place += len(word)


def _looks_drawn(word: str) -> bool:
    """Whether letters and digits are mixed, and of many kinds (Shannon 1948): no name of a variable, no path."""
    if NOT_DRAWN.fullmatch(word) or not DIGIT.search(word) or not any(each.isalpha() for each in word):
        return False
    counts = Counter(word)
    bits = -sum(count / len(word) * log2(count / len(word)) for count in counts.values())
    return bits >= BITS_PER_CHARACTER
