"""Takes away lines and ends of lines that belong to the page and not to its text."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from lm_modules.data.cleaners import Cleaner
from lm_modules.data.documents import Profile

POLICIES = re.compile(
    r"javascript|terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies", re.IGNORECASE
)
CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
BRACKETS = re.compile(r"([\[\]])")
COUNTER = re.compile(
    r"\d[\d.,]*+\s*+[km]?+\+?+\s*+(?:likes?|shares?|comments?|views?|replies|reply|followers?|following|retweets?|votes?"
    r"|points?|reviews?|subscribers?|posts?|downloads?|reads?)",
    re.IGNORECASE,
)
CORE = re.compile(r"\w(?:.*\w)?", re.DOTALL)
"""A part of a line without what stands around its words."""
WHOLE = re.compile(
    r"(?:(?:click here|tap here|skip|back|go|return|jump)(?: to)?(?: the)?(?: main| top| home| next| previous| page"
    r"| content| navigation| menu| search| of| post)*|(?:main |site )?(?:menu|navigation|search|sitemap|breadcrumbs?)"
    r"|home|about(?: us)?|contact(?: us)?|log ?(?:in|out)|sign ?(?:in|up|out)|register|newsletter|advertisement"
    r"|subscribe(?: now| to our newsletter)?|sponsored(?: content)?|loading|print|follow us(?: on)?"
    r"|share(?: this)?(?: on| via)?(?: post| article| page| story)*|leave a (?:comment|reply)|all rights reserved"
    r"|(?:share on\b|tweet|pin it|facebook|twitter|linkedin|pinterest|whatsapp|instagram|reddit|e-?mail|copy link"
    r"|[,&]| )+"
    r"|accept(?: all)?(?: cookies)?|reject all|cookie settings|add to (?:cart|basket|wishlist)"
    r"|(?:previous|next|older|newer)(?: post| article| page| entries| posts)?s?|you (?:may|might) also like"
    r"|related (?:articles|posts|stories|topics)|(?:read|show|load|view|see) (?:more|all|less))",
    re.IGNORECASE,
)
SEPARATORS = re.compile(r"\s*+[|\u2022\u00b7>\u00bb/]\s*")
BEGINNING = re.compile(r"\s*+(?:sign[- ]in|log[- ]in|advertisement)\b\s*[:|>]\s*(?=\S)", re.IGNORECASE)
END = re.compile(
    r"[\s(\[|>-]*+\b(?:read|show|see|view) more\b[\s.\u2026\u00bb>)\]:|-]*$|[\s(\[]*+\bcontinue reading\b[^.!?]*$",
    re.IGNORECASE,
)
ANYWHERE = re.compile(r"\s*+\b\d* ?items? in (?:your )?(?:cart|basket)\b", re.IGNORECASE)
TERMINAL = (".", "?", "!", '"', "'", "\u201d", "\u2019", "\u3002", "\uff1f", "\uff01", "\u061f", "\u0964")
MOST_EDITED_WORDS = 10
FEW_WORDS = 8
MOST_CHARACTERS = 200
"""Of a line that is looked at for such words: a page of brackets would keep these patterns busy for hours."""


class Boilerplate(Cleaner):
    """Line rules of C4 (Raffel et al. 2019, arXiv 1910.10683) and RefinedWeb (Penedo et al. 2023, arXiv 2306.01116).

    C4 takes away lines about cookies, policies and JavaScript, and marks of citations. RefinedWeb (appendix G) takes
    away lines of capitals, of figures and of counters ("3 likes"), and edits short lines that ask to click. Its phrases
    are not published: those here are our own, and English. They are for the web, where a line is a paragraph.
    """

    kind: Literal["boilerplate"] = "boilerplate"
    profiles: tuple[Profile, ...] | None = ("web",)
    """The kinds of text that it is for, where `sources` does not say which; null means all kinds."""
    policies: bool = True
    """Drop lines that name JavaScript, cookies in use, or policies (C4)."""
    citations: bool = True
    """Take away marks such as [1] and [edit] (C4)."""
    navigation: bool = True
    """Drop lines of menus, sharing and counters, and take "read more" from short lines (RefinedWeb)."""
    figures_and_capitals: bool = True
    """Drop lines of figures alone, and of more than three words mainly in capitals (RefinedWeb)."""
    terminal_punctuation: bool = False
    """Drop lines that do not end like a sentence (C4; FineWeb leaves this out, since it takes too much)."""
    min_line_words: int = Field(default=1, ge=1)
    """Fewest words of a line (C4: 3; RefinedWeb: 2); blank lines stay."""

    def clean(self, text: str) -> str:
        """Return the text without such lines."""
        lines = text.split("\n")
        kept = [cleaned for line in lines if (cleaned := self._line(line)) is not None]
        return "\n".join(kept)

    def _line(self, line: str) -> str | None:
        """Return a line as it stays, None if it does not."""
        if not line.strip():
            return line
        while (edited := self._edited(line)) != line:
            line = edited
        num_words = len(line.split())
        drop = (
            num_words < self.min_line_words
            or (self.policies and POLICIES.search(line))
            or (
                self.navigation
                and len(line) <= MOST_CHARACTERS
                and num_words <= FEW_WORDS
                and all(map(_is_navigation, SEPARATORS.split(line)))
            )
            or (self.figures_and_capitals and _is_figures_or_capitals(line, num_words))
            or (self.terminal_punctuation and (not line.endswith(TERMINAL) or line.endswith("...")))
        )
        return None if drop else line

    def _edited(self, line: str) -> str:
        if self.citations and "[" in line:
            line = CITATION.sub("", line)
            line = _without_nested_citations(line) if CITATION.search(line) else line
        if self.navigation and len(line) <= MOST_CHARACTERS and len(line.split()) <= MOST_EDITED_WORDS:
            for pattern in (BEGINNING, ANYWHERE, END):
                line = pattern.sub("", line)
        return line


def _without_nested_citations(line: str) -> str:
    """Return a line without marks of citations, in one pass however deep they stand in each other ("[[1]]")."""
    kept: list[str] = []
    open_: list[list[str]] = []  # what follows each bracket that may still begin a mark
    for piece in BRACKETS.split(line):
        if piece == "[":
            open_.append([])
        elif piece == "]" and open_ and CITATION.fullmatch(f"[{''.join(open_[-1])}]"):
            open_.pop()
        elif piece == "]":  # it stays, so that no bracket before it begins a mark
            kept += [each for parts in open_ for each in ("[", *parts)] + ["]"]
            open_.clear()
        else:
            (open_[-1] if open_ else kept).append(piece)
    return "".join(kept + [each for parts in open_ for each in ("[", *parts)])


def _is_navigation(part: str) -> bool:
    core = CORE.search(part)
    if core is None:
        return any(sign in part for sign in ",& ")
    return bool(WHOLE.fullmatch(core.group()) or COUNTER.fullmatch(core.group()))


def _is_figures_or_capitals(line: str, num_words: int) -> bool:
    if not any(map(str.isalpha, line)):
        return any(map(str.isdigit, line))
    if num_words <= 3:
        return False
    return sum(map(str.isupper, line)) > sum(map(str.islower, line))
