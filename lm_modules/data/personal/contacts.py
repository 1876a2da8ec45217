"""How a person is reached: e-mail addresses, phone numbers, and user names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lm_modules.data.personal.spans import Span, before

DOMAIN = re.compile(r"@(?:[^\W_](?:[\w-]*[^\W_])?\.)+([^\W\d_]{2,24}|xn--[a-z0-9]{2,59})(?![\w(]|-\w|@)")
MOST_LOCAL_CHARACTERS = 64
FILE_ENDINGS = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "py", "txt", "html", "json", "zip"})
"""Ends of names of files ("logo@2x.png")."""
USER = re.compile(r"(?<![\w@./:=`*])@[^\W\d]\w{2,38}(?![\w@]|\.\w)")
DECORATOR = re.compile(r"[ \t]*(?:[*#/]+[ \t]*)?$")
TAGS_OF_CODE = frozenset(
    {"param", "params", "return", "returns", "throws", "raises", "see", "since", "deprecated", "author", "version"}
    | {"todo", "override", "property", "staticmethod", "classmethod", "media", "import", "keyframes", "include", "link"}
    | {"charset", "example", "code", "type", "typedef", "private", "public", "abstract"}
)

EXTENSION = r"(?:\s?(?:x|ext\.?)\s?[0-9]{1,6}\b)?"
DIGITS = r"(?:[ .\-/\u00a0]?\(?[0-9]\)?)"
INTERNATIONAL = re.compile(
    rf"(?<![\w+])(?:(?:\+|00)1{DIGITS}{{10}}|\+[2-9]{DIGITS}{{7,13}}|00[2-9]{DIGITS}{{8,13}})"
    rf"(?![0-9]|[.,:][0-9]){EXTENSION}"
)
AMERICAN = re.compile(
    r"(?<![\w.,+/=-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?[0-9]{3}[ .-]|[2-9][0-9]{2}([ .-])[0-9]{3}\1)[0-9]{4}"
    rf"(?:x[0-9]{{1,6}}(?!\w)|(?!\w|[.-]\w){EXTENSION})"
)
NATIONAL = re.compile(rf"(?<![\w.,+/=-])(?<![0-9]:)\(?0[1-9]{DIGITS}{{7,9}}(?!\w|[.,:/-]\w)")
BRACKETED = re.compile(r"(?<![\w.,+/=-])\([1-9][0-9]{1,4}\)[ -]?[0-9]{3,5}[ -][0-9]{3,5}(?!\w|[.,:/-]\w)")
BARE = re.compile(rf"(?<![\w.,+/-])(?<![0-9]:)\(?[0-9]{DIGITS}{{6,13}}(?!\w|[.,:/-]\w)")
BEGINS_WITH_DATE = re.compile(r"[0-9]{2}([./-])[0-9]{2}\1(?:19|20)[0-9]{2}(?![0-9])|[0-9]{4}-[0-9]{2}-[0-9]{2}")
IN_A_FORMULA = re.compile(r"[-*/%=<>(,] $|\breturn $")
CALLED_PHONE = re.compile(
    r"(?:\b(?:(?:tele)?(?:phone|fax)|tel|telefon\w*|téléphone|teléfono|tél|mobile|mobil|cell|call|whatsapp|hotline|sms)\b"
    r"|[\u260e\u2706\U0001f4de\U0001f4f1])[^\w\n]{0,3}"
    r"(?:(?:no|nr|number|num|us|me|him|her|at|on|is|under)\b[^\w\n]{0,3}){0,2}$",
    re.IGNORECASE,
)
CALLED_OTHERWISE = re.compile(
    r"(?:\b(?:isbn|issn|doi|order|invoice|ref|reference|ticket|case|serial|sku|part|model|version|build|patent|pmid|rfc"
    r"|account|item|tracking|batch|lot|no|nr|number|id)\b|#)[^\w\n]{0,3}(?:(?:no|nr|number|id|is)\b[^\w\n]{0,3})?$",
    re.IGNORECASE,
)


def emails(text: str) -> Iterator[Span]:
    """Find addresses of e-mail, by their "@" and a domain; also the password and host of a URL that holds one."""
    if "@" not in text:
        return
    last = 0
    for match in DOMAIN.finditer(text):
        start = at = sign = match.start()
        # Every "@" begins a new local part, so that a chain of addresses ("a@b.org@c.org") is found at once.
        while start > max(sign - MOST_LOCAL_CHARACTERS, last) and (
            text[start - 1].isalnum() or text[start - 1] in "._%+-'@"
        ):
            start -= 1
            sign = start if text[start] == "@" else sign
        last = match.end()
        while start < at and text[start] in ".'-%@":
            start += 1
        if start < at and match.group(1).lower() not in FILE_ENDINGS:
            yield Span(start, match.end(), "EMAIL")


def users(text: str) -> Iterator[Span]:
    """Find names of users ("@ann_b"), but no decorators and tags, which begin a line of code."""
    if "@" not in text:
        return
    for match in USER.finditer(text):
        line_before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        after = text[match.end() : match.end() + 1]
        begins_line = DECORATOR.fullmatch(line_before) is not None
        if match.group()[1:].lower() not in TAGS_OF_CODE and not (begins_line and after in ("", "\n", "(", "\r")):
            yield Span(*match.span(), "USER")


def phones(text: str, start: int, end: int) -> Iterator[Span]:
    """Find phone numbers: with the code of a country, in the forms of some countries, or called a phone number."""
    for match in INTERNATIONAL.finditer(text, start, end):
        stays: object
        if match.group()[0] != "+":
            stays = _is_called_otherwise(text, match)
        else:
            is_plain = match.group()[1:].replace(".", "", 1).isdigit()
            stays = is_plain and ("." in match.group() or IN_A_FORMULA.search(before(text, match.start())))
        if not stays:
            yield Span(*match.span(), "PHONE")
    for pattern in (AMERICAN, BRACKETED, NATIONAL):
        for match in pattern.finditer(text, start, end):
            if (pattern is not NATIONAL or _is_national(match.group())) and not _is_called_otherwise(text, match):
                yield Span(*match.span(), "PHONE")
    for match in BARE.finditer(text, start, end):
        if CALLED_PHONE.search(before(text, match.start())) and not BEGINS_WITH_DATE.match(match.group()):
            yield Span(*match.span(), "PHONE")


def _is_national(number: str) -> bool:
    """Whether the digits after the code of a place are in pairs, or in few groups; a date is neither."""
    code, *groups = re.findall("[0-9]+", number)
    pairs = len(groups) >= 3 and {*map(len, groups)} == {2}
    few = 1 <= len(groups) <= 3 and min(map(len, groups)) >= 3
    return len(code) <= 5 and (pairs or few) and not BEGINS_WITH_DATE.match(number)


def _is_called_otherwise(text: str, match: re.Match[str]) -> bool:
    words = before(text, match.start())
    return bool(CALLED_OTHERWISE.search(words)) and not CALLED_PHONE.search(words)
