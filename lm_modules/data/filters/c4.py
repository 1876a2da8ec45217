"""Drops pages of which too few sentences are left when menus, notices and code are taken away."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from lm_modules.data.documents import Document, Profile
from lm_modules.data.filters import Filter
from lm_modules.data.filters._sentences import num_sentences

CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
LINE_ENDS = (".", "?", "!", '"', "'")
NOTICES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


class C4(Filter):
    """The rules of C4 (Raffel et al. 2020, JMLR 21:140, section 2.2) about whole pages.

    A line is worth reading if it ends with a mark, has some words and none that is endless, and speaks neither of
    Javascript nor of cookies. A page is kept for its sentences in such lines. The lines themselves are rewritten by no
    filter: all of a page that is kept stays. C4's list of bad words is `flagged_words`, for a list of your own.
    """

    kind: Literal["c4"] = "c4"
    profiles: tuple[Profile, ...] | None = ("web",)
    """The kinds of text that it judges, where `sources` does not say which; null judges all kinds."""
    min_sentences: int = Field(default=5, ge=0)
    """Fewest sentences in lines worth reading."""
    min_line_words: int = Field(default=3, ge=0)
    """Fewest words of a line worth reading."""
    max_word_characters: int = Field(default=1000, ge=1)
    """Most characters of a word in a line worth reading."""
    end_marks: bool = True
    """Whether a line worth reading ends with a full stop, question mark, exclamation mark or quote; FineWeb asks for
    none."""

    def cannot_judge(self, language: str | None) -> str | None:
        """Return why its words and marks fit no other language than English."""
        return None if language in (None, "en") else "its marks and notices are English; every page is kept"

    def reason_to_drop(self, document: Document) -> str | None:
        """Return the first rule that the document breaks."""
        if self.cannot_judge(document.language):
            return None
        found = 0
        for raw in document.text.splitlines():
            words = raw.split()
            line = CITATION.sub("", raw.strip()) if "[" in raw else raw.strip()
            if max(map(len, words), default=0) > self.max_word_characters:
                continue
            if self.end_marks and (not line.endswith(LINE_ENDS) or line.endswith("...")):
                continue
            if len(words) < self.min_line_words:
                continue
            lower = line.lower()
            if "lorem ipsum" in lower:
                return "lorem ipsum"
            if "javascript" in lower:
                continue
            if "{" in line:
                return "a curly bracket"
            if not any(notice in lower for notice in NOTICES):
                found += num_sentences(line)
        return f"fewer than {self.min_sentences} sentences" if found < self.min_sentences else None
