"""Payment cards and bank accounts: numbers whose check digits tell them from other numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lm_modules.data.personal.spans import Span

CARD = re.compile(
    r"(?<![\w.+-])(?:[2-6][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|3[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5}"
    r"|[2-6][0-9]{12,18})(?!\w|[.-]\w)",
    re.ASCII,
)
BRANDS = re.compile(
    r"4(?:.{12}|.{15}|.{18})"  # Visa
    r"|(?:5[1-5]|22[2-9]|2[3-6]|27[01]|2720)\d*(?<=^.{16})"  # Mastercard
    r"|3[47].{13}"  # American Express
    r"|3(?:0[0-5]|[689].).{11}"  # Diners Club
    r"|(?:6011|64[4-9].|65..).{12}"  # Discover
    r"|35(?:2[89]|[3-8].).{12}"  # JCB
    r"|62.{14,17}"  # UnionPay
    r"|(?:50|5[6-9]|6[0-9]).{10,17}"  # Maestro
)
IBAN = re.compile(r"(?<!\w)[A-Z]{2}[0-9]{2}(?=[ A-Z0-9])")
IBAN_LENGTHS = """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18
    FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20
    LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18
    SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
"""
"""Characters of an account number, by country (SWIFT's registry of IBANs)."""
LENGTHS = {each[:2]: int(each[2:]) for each in IBAN_LENGTHS.split()}


def cards(text: str, start: int, end: int) -> Iterator[Span]:
    """Find numbers of payment cards: of a brand's beginning and length, with the check digit of Luhn (ISO 7812)."""
    for match in CARD.finditer(text, start, end):
        digits = re.sub("[ -]", "", match.group())
        if BRANDS.fullmatch(digits) and passes_luhn(digits) and len(set(digits)) > 1:
            yield Span(*match.span(), "CARD")


def bank_accounts(text: str, start: int, end: int) -> Iterator[Span]:
    """Find international bank account numbers: a country's length, and remainder 1 modulo 97 (ISO 13616)."""
    for match in IBAN.finditer(text, start, end):
        length = LENGTHS.get(match.group()[:2])
        if length and (last := _end_of_account(text, match.start(), length)):
            account = text[match.start() : last].replace(" ", "")
            if int("".join(str(int(each, 36)) for each in account[4:] + account[:4])) % 97 == 1:
                yield Span(match.start(), last, "IBAN")


def _end_of_account(text: str, start: int, length: int) -> int | None:
    """Return where so many capitals and digits end, between which single spaces may stand."""
    end, left = start, length
    while left:
        if text[end : end + 1] == " " and text[end - 1] != " ":
            end += 1
        character = text[end : end + 1]
        if not (character.isascii() and (character.isdigit() or character.isupper())):
            return None
        end, left = end + 1, left - 1
    return None if text[end : end + 1].isalnum() else end


def passes_luhn(digits: str) -> bool:
    """Whether every second digit from the right, doubled, and the others add up to a multiple of ten."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0
