"""Personal data in texts: found by rules, replaced by the name of its kind.

    Write to ann@site.org or +44 20 7946 0958.        before
    Write to PI:EMAIL or PI:PHONE.                    after (the tags of ROOTS: Laurençon et al. 2022, arXiv 2303.03915)

    contacts.py           e-mail addresses, phone numbers, user names
    ip_addresses.py       addresses of machines that everybody can reach
    numbers.py            payment cards and bank accounts, by their check digits
    national_numbers.py   numbers that states give to persons
    keys.py               keys and tokens of services
    private_keys.py       private keys, whole or cut

Only the characters that were found are replaced, never equal ones elsewhere. What a rule cannot know is not found:
names, streets, birthdays, and numbers without a form of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from lm_modules.data.personal.contacts import emails, phones, users
from lm_modules.data.personal.ip_addresses import ip_addresses
from lm_modules.data.personal.keys import keys
from lm_modules.data.personal.national_numbers import national_numbers
from lm_modules.data.personal.numbers import bank_accounts, cards
from lm_modules.data.personal.spans import Span, apart

NUMBERS: dict[str, Callable[[str, int, int], Iterator[Span]]] = {
    "CARD": cards,
    "IBAN": bank_accounts,
    "NATIONAL_ID": national_numbers,
    "PHONE": phones,
}
"""Finders that look from one place of a text to before another; of two that find the same, the first counts."""
OTHERS: dict[str, Callable[[str], Iterator[Span]]] = {
    "EMAIL": emails,
    "IP_ADDRESS": ip_addresses,
    "KEY": keys,
    "USER": users,
}
KINDS = (*OTHERS, *NUMBERS)
SIX_DIGITS = re.compile(r"[0-9](?:[^0-9\n]{0,3}[0-9]){5}")
MAY_HOLD = re.compile("[0-9@]|PRIVATE KEY")
"""Every finder asks for one of these."""
MARGIN = 40
"""Characters around six digits in which the rest of a number stands."""
MOST_PASSES = 4
"""After so many, whole lines are masked: hundreds of numbers of which each hides the one before it are no prose."""
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#\s]*@)?([^?]*)")
MOST_NAME_CHARACTERS = 40
EXCERPT_CHARACTERS = 200
MOST_SECRET_CHARACTERS = 1000
"""Of what may stand across the end of an excerpt; of a longer key, the beginning tells what the rest is."""


def found(text: str, kinds: Collection[str] = KINDS) -> list[Span]:
    """Return where personal data of some kinds stands, in order."""
    if not MAY_HOLD.search(text):
        return []
    spans = [span for kind, finder in OTHERS.items() if kind in kinds for span in finder(text)]
    if finders := [finder for kind, finder in NUMBERS.items() if kind in kinds]:
        spans += [span for place in _numeric(text) for finder in finders for span in finder(text, *place)]
    return apart(spans)


def _numeric(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places (start, end) where digits crowd: most prose has none, so that four finders have little to do."""
    start = end = 0
    for match in SIX_DIGITS.finditer(text):
        if match.start() - MARGIN > end:
            if end:
                yield start, end
            start = max(match.start() - MARGIN, 0)
        end = match.end() + MARGIN
    if end:
        yield start, end


def masked(text: str, kinds: Collection[str] = KINDS) -> str:
    """Return the text with a placeholder ("PI:EMAIL") for all personal data of some kinds.

    A placeholder may complete something that was none before ("4111111111111111@c.org"), so this goes on until nothing
    is found. It ends, because no placeholder holds a digit, an "@" or a dash, and everything that is found holds one.
    """
    return _masked(text, len(text), kinds)[0]


def excerpt(text: str, most_characters: int) -> str:
    """Return the beginning of a text without personal data, also where that ends behind the excerpt.

    What is cut first and masked then shows the half of an address that nobody can find any more.
    """
    shown, end = _masked(text[: most_characters + MOST_SECRET_CHARACTERS], min(most_characters, len(text)), KINDS)
    return shown[: min(end, most_characters)]


def excerpt_of_bytes(data: bytes, most_characters: int) -> str:
    """Return the excerpt of what should have been UTF-8; each of its characters is at most four bytes."""
    text = data[: 4 * (most_characters + MOST_SECRET_CHARACTERS)].decode("utf-8", "replace")
    return excerpt(text.strip(), most_characters)


def shown_place(place: str) -> str:
    """Return a file's place or a document's id without personal data; a URL without what may be a password or a key.

    Numbers stay, for they tell one file from another.
    """
    shown = masked(without_secrets(place), tuple(OTHERS))
    stems = (part.rpartition(".") for part in shown.split("/"))
    # an address before the ending of a file is taken for a part of its name
    return "/".join(f"{masked(stem, tuple(OTHERS))}{dot}{ending}" for stem, dot, ending in stems)


def without_secrets(text: str) -> str:
    """Return a URL without its user, its password and what stands behind its question mark; other texts as they are."""
    url = URL.match(text)
    return f"{url[1]}{url[2]}" if url else text


def shown_names(wanted: str, names: Iterable[Any], most: int = 20) -> list[str]:
    """Return names of columns or fields for a message: few, short, and none if they look like a row about people.

    If there are many, the one that is closest to the wanted name comes first.
    """
    listed = [str(name) for name in names]
    if len(listed) > most:
        close = get_close_matches(wanted, [name for name in listed if len(name) <= MOST_NAME_CHARACTERS], n=1)
        listed.sort(key=lambda name: name not in close)
    shown = [excerpt(name, MOST_NAME_CHARACTERS) for name in listed[:most]]
    if any(short != name[:MOST_NAME_CHARACTERS] for short, name in zip(shown, listed, strict=False)):
        return [f"{len(listed)} names with personal data, not shown here"]
    return shown + [f"and {len(listed) - most} more"] * (len(listed) > most)


def _masked(text: str, end: int, kinds: Collection[str]) -> tuple[str, int]:
    """Return the masked text, and where what stood before `end` ends in it, with the whole of what stood across it."""
    num_passes = 0
    while spans := found(text, kinds):
        num_passes += 1
        if num_passes > MOST_PASSES:
            spans = list(_lines(text, spans))
        parts, place, grown = [], 0, 0
        for span in spans:
            parts += [text[place : span.start], f"PI:{span.kind}"]
            if span.start < end:
                grown += len(parts[-1]) - (min(span.end, end) - span.start)
            place = span.end
        text = "".join([*parts, text[place:]])
        end += grown
    return text, end


def _lines(text: str, spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the whole lines in which spans stand, once each."""
    last = -1
    for span in spans:
        if span.start >= last:
            start, stop = text.rfind("\n", 0, span.start) + 1, text.find("\n", span.end)
            last = stop if stop >= 0 else len(text)
            yield Span(start, last, span.kind)


def num_masked(before: str, after: str) -> Counter[str]:
    """Return how much of each kind was replaced, for a text and what `masked` made of it."""
    counts = {kind: after.count(f"PI:{kind}") - before.count(f"PI:{kind}") for kind in KINDS}
    return Counter({kind: count for kind, count in counts.items() if count > 0})
