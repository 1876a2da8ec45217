"""Numbers that states give to persons, by form and check digits; weak forms only where a word says what they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lm_modules.data.personal.numbers import passes_luhn
from lm_modules.data.personal.spans import Span, before

VERHOEFF = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
CONTROL_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
ODD_VALUES = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
MONTH, DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12][0-9]|3[01])"


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _spain(text: str) -> bool:
    return CONTROL_LETTERS[int(text[:-1].translate(str.maketrans("XYZ", "012"))) % 23] == text[-1]


def _france(text: str) -> bool:
    number = int(text[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(text[13:])


def _italy(text: str) -> bool:
    values = [int(each) if each.isdigit() else ord(each) - ord("A") for each in text[:15]]
    total = sum(ODD_VALUES[value] if place % 2 == 0 else value for place, value in enumerate(values))
    return chr(ord("A") + total % 26) == text[15]


def _brazil(text: str) -> bool:
    for count in (9, 10):
        if _weighted(text[:count], tuple(range(count + 1, 1, -1))) * 10 % 11 % 10 != int(text[count]):
            return False
    return len(set(text)) > 1


def _germany(text: str) -> bool:
    """Check by ISO 7064, MOD 11,10; of the first ten digits, one stands twice or three times."""
    product = 10
    for digit in text[:10]:
        product = (int(digit) + product) % 10 or 10
        product = product * 2 % 11
    return (11 - product) % 10 == int(text[10]) and len(set(text[:10])) in (8, 9)


def _poland(text: str) -> bool:
    return -_weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10 == int(text[10])


def _finland(text: str) -> bool:
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:6] + text[7:10]) % 31] == text[10]


def _belgium(text: str) -> bool:
    return any(97 - int(century + text[:9]) % 97 == int(text[9:]) for century in ("", "2"))


def _india(text: str) -> bool:
    """Check by Verhoeff (1969): permutations of the dihedral group of order ten."""
    check = 0
    for place, digit in enumerate(reversed(text)):
        check = _dihedral(check, int(VERHOEFF[place % 8][int(digit)]))
    return check == 0


def _dihedral(first: int, second: int) -> int:
    turned = (first + second) % 5 if first < 5 else (first - second) % 5
    return turned + 5 * ((first < 5) != (second < 5))


def _china(text: str) -> bool:
    weights = tuple(2**power % 11 for power in range(17, 0, -1))
    return "10X98765432"[_weighted(text, weights) % 11] == text[17].upper()


def _chile(text: str) -> bool:
    body = text[:-1][::-1]
    rest = 11 - sum(int(digit) * (2 + place % 6) for place, digit in enumerate(body)) % 11
    return "0123456789K0"[rest] == text[-1].upper() if rest < 11 else text[-1] == "0"


def _netherlands(text: str) -> bool:
    return _weighted(text, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _turkey(text: str) -> bool:
    digits = [int(each) for each in text]
    tenth = (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10
    return tenth == digits[9] and sum(digits[:10]) % 10 == digits[10]


class Form(NamedTuple):
    """How a number looks, its check on what is left without separators, and the words that must stand before it."""

    pattern: str
    check: Callable[[str], bool] = lambda _: True
    called: str | None = None


FORMS = (
    Form(r"(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}"),  # United States, social security
    Form(r"(?!000|666|9)[0-9]{3} ?(?!00)[0-9]{2} ?(?!0000)[0-9]{4}", called=r"ssn|social security"),
    Form(
        r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"
    ),  # Britain
    Form(r"(?:[0-9]{8}|[XYZ]-?[0-9]{7})[- ]?[A-HJ-NP-TV-Z]", _spain),
    Form(rf"[12] ?[0-9]{{2}} ?{MONTH} ?(?:[0-9]{{2}}|2[AB]) ?[0-9]{{3}} ?[0-9]{{3}} ?[0-9]{{2}}", _france),
    Form(r"[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]", _italy),
    Form(r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", _brazil),
    Form(r"[0-9]{11}", _brazil, called="cpf"),
    Form(r"[1-9][0-9] [0-9]{3} [0-9]{3} [0-9]{3}", _germany),
    Form(r"[1-9][0-9]{10}", _germany, called=r"steuer\S*|tax id\w*"),
    Form(rf"[0-9]{{2}}(?:[02468][1-9]|[13579][0-2]){DAY}[0-9]{{5}}", _poland, called="pesel"),
    Form(rf"(?:19|20)?[0-9]{{2}}{MONTH}{DAY}[-+][0-9]{{4}}", lambda text: passes_luhn(text[-10:])),  # Sweden
    Form(rf"{DAY}{MONTH}[0-9]{{2}}[-+ABCDEFYXWVU][0-9]{{3}}[0-9A-FHJ-NPR-Y]", _finland),
    Form(rf"[0-9]{{2}}\.{MONTH}\.{DAY}-[0-9]{{3}}\.[0-9]{{2}}", _belgium),
    Form(r"(?<![0-9] )[2-9][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}(?![ -][0-9])", _india),
    Form(rf"[1-9][0-9]{{5}}(?:19|20)[0-9]{{2}}{MONTH}{DAY}[0-9]{{3}}[0-9Xx]", _china),
    Form(r"[0-9]{3}([ -])[0-9]{3}\1[0-9]{3}", passes_luhn, called=r"sin|social insurance"),  # Canada
    Form(r"[1-9][0-9]?\.[0-9]{3}\.[0-9]{3}-[0-9Kk]", _chile),
    Form(rf"[0-9]{{2}}{MONTH}{DAY}[0-9]{{4}}[01][89][0-9]", passes_luhn),  # South Africa
    Form(rf"[0-9]{{2}}{MONTH}{DAY}-[1-8][0-9]{{6}}"),  # Korea
    Form(r"[0-9]{9}", _netherlands, called=r"bsn|burgerservicenummer|sofi\S*"),
    Form(r"[1-9][0-9]{10}", _turkey, called=r"t\.?c\.?|kimlik|tckn"),
)
ALONE = r"(?<![\w.+-])(?:{})(?!\w|[.-]\w)"
PATTERNS = [re.compile(ALONE.format(form.pattern), re.ASCII) for form in FORMS]
ANY = re.compile(ALONE.format("|".join(form.pattern.replace(r"\1", "[ -]") for form in FORMS)), re.ASCII)
"""Matches wherever one of the patterns does: most places have none, and it is told in one go."""
NAMES = [form.called and re.compile(rf"\b(?:{form.called})\b[^\d\n]{{0,12}}$", re.IGNORECASE) for form in FORMS]
SEPARATORS = re.compile(r"[ .+-]")


def national_numbers(text: str, start: int, end: int) -> Iterator[Span]:
    """Find numbers of persons of twenty countries."""
    if not ANY.search(text, start, end):
        return
    for form, pattern, name in zip(FORMS, PATTERNS, NAMES, strict=True):
        for match in pattern.finditer(text, start, end):
            plain = match.group() if form.check is _finland else SEPARATORS.sub("", match.group())
            if form.check(plain) and (not name or name.search(before(text, match.start()))):
                yield Span(*match.span(), "NATIONAL_ID")
