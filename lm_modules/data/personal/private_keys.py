"""Private keys in letters (PEM: RFC 7468; OpenPGP: RFC 9580), whole or cut.

    -----BEGIN RSA PRIVATE KEY-----
    Proc-Type: 4,ENCRYPTED             some have headers
    MIIEpAIBAAKCAQEA...                runs of base 64; in a program, quotes and a written "\\n" part them
    aGk=                               less than a line at the end, and a checksum behind it
    -----END RSA PRIVATE KEY-----

A text is often cut before it gets here. Without an end, a key is what looks like one behind the beginning; without a
beginning, what looks like one before the end. The middle of a key, with neither, is a text of such lines alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lm_modules.data.personal.spans import Span

MARK = re.compile(r"(?:\A-{0,3}|-{4,5} ?)(BEGIN|END) (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
REST_OF_LINE = re.compile(r"(?![^\n\\]{0,80}?[A-Za-z0-9+/]{20})[^\n\\]{0,80}+")
# a whole mark that is none of a private key ends in more dashes
BEGINNING_OF_MARK = re.compile(r"-{1,5}[A-Z0-9 ]{0,40}-{0,3}\Z")
MOST_KEY_CHARACTERS = 20_000
HEADERS = re.compile(r"""(?:(?:\\[nrt]|[\s"'`>|+*#])*+[A-Z][A-Za-z-]{1,30}: [^\n\\]{0,200}+)*+""")
TOKEN = re.compile(r"""[^\s"'`,;>|*#\\]+""")
BETWEEN = frozenset({"+", "n", "r", "t"})
"""What is a token only because a quote or a backslash stands before it."""
BASE_64 = re.compile(r"=?[A-Za-z0-9+/]*={0,2}")
SHORTEST_RUN, SHORTEST_LINE = 20, 40
MIXED = re.compile(r"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[^0-9]*[0-9]")
MOST_SHORT = 2
END_OF_LINE = re.compile(r"""[ \t"'`,;+]*(?:\\[nr]|[\r\n]|\Z)""")
END_OF_TEXT = re.compile(r"\s*\Z")


def private_keys(text: str) -> Iterator[Span]:
    """Find private keys. What stands between two marks is looked at once, so that the time grows with the text."""
    marks = list(MARK.finditer(text)) if "PRIVATE KEY" in text else []
    if not marks:
        yield from _middle(text)
    for before, mark, after in zip([None, *marks], marks, [*marks[1:], None], strict=False):
        ends = after is not None and after[1] == "END" and after.start() - mark.end() <= MOST_KEY_CHARACTERS
        if mark[1] == "BEGIN":
            last = after.end() if after and ends else _end(text, mark.end(), after.start() if after else len(text))
            yield Span(mark.start(), last, "KEY")
        elif not (before and before[1] == "BEGIN" and mark.start() - before.end() <= MOST_KEY_CHARACTERS):
            start = _start(text, before.end() if before else 0, mark.start())
            if start < mark.start():
                yield Span(start, mark.end(), "KEY")


def _middle(text: str) -> Iterator[Span]:
    """Yield all of a text that is nothing but lines of base 64, equally long but for the first and the last few.

    Before and after them may stand what is left of a line, a mark or a header in which the text was cut.
    """
    rest = REST_OF_LINE.match(text)
    headers = HEADERS.match(text, rest.end() if rest else 0)
    mark = BEGINNING_OF_MARK.search(text, max(len(text) - 60, 0))
    tokens: list[re.Match[str]] = []
    num_short = 0
    for token in TOKEN.finditer(text, headers.end() if headers else 0, mark.start() if mark else len(text)):
        if token.group() in BETWEEN:
            continue
        tokens.append(token)
        num_short += len(token.group()) < SHORTEST_LINE
        if num_short > 2 + MOST_SHORT or not BASE_64.fullmatch(token.group()):
            return
    lengths = [len(token.group()) for token in tokens]
    for _ in range(1 + MOST_SHORT):
        if len(lengths) > 3 and lengths[-1] < lengths[1]:
            lengths.pop()
    is_body = len(lengths) >= 3 and len({*lengths[1:]}) == 1 and lengths[0] <= lengths[1] >= SHORTEST_LINE
    if is_body and len(tokens) >= 4 and MIXED.match(text):
        begins = rest is not None and BASE_64.fullmatch(rest.group().strip())
        yield Span(0 if begins else tokens[0].start(), tokens[-1].end(), "KEY")


def _end(text: str, start: int, stop: int) -> int:
    """Return where what looks like a key behind its beginning ends."""
    headers = HEADERS.match(text, start, stop)
    last = headers.end() if headers else start
    num_runs = num_short = 0
    for token in TOKEN.finditer(text, last, stop):
        if token.group() in BETWEEN:
            continue
        if not BASE_64.fullmatch(token.group()):
            break
        if len(token.group()) >= SHORTEST_RUN and not num_short:
            num_runs += 1
        elif (num_runs and num_short < MOST_SHORT and END_OF_LINE.match(text, token.end())) or (
            END_OF_TEXT.match(text, token.end())
        ):
            num_short += 1
        else:
            break
        last = token.end()
    return last


def _start(text: str, start: int, stop: int) -> int:
    """Return where what looks like a key before its end starts, or `stop`."""
    first, num_short, low = stop, 0, max(start, stop - MOST_KEY_CHARACTERS)
    for token in reversed(list(TOKEN.finditer(text, low, stop))):
        if token.group() in BETWEEN:
            continue
        if not BASE_64.fullmatch(token.group()):
            break
        if len(token.group()) >= SHORTEST_RUN or not text[low : token.start()].strip():  # a cut line begins the text
            first = token.start()
        elif first < stop or num_short == MOST_SHORT:
            break
        else:
            num_short += 1
    return first
