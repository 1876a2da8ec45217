"""Joins lines of prose that were broken at a width, so that a line is a paragraph, as rules about lines expect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from lm_modules.data.cleaners import Cleaner
from lm_modules.data.documents import Profile

ITEM = re.compile(r"\s*(?:[-*•>|#=+~]|\(?(?:\d{1,3}|[A-Za-z]|[IVXivx]{2,5})[.)] |\[)")
TABLE = re.compile(r"\S {3,}\S|\|")
FEWEST_BREAKS = 3


class Unwrap(Cleaner):
    """Joins a line to the next where the next one's first word had no room on it (how wrapping works, e.g. RFC 3676).

    A text is taken for wrapped if most breaks inside its paragraphs are of that sort; verse and lists are not. As they
    stand, rules on lines drop many wrapped novels: those of FineWeb 45 % of parts of eleven of them.
    """

    kind: Literal["unwrap"] = "unwrap"
    profiles: tuple[Profile, ...] | None = ("wrapped",)
    """The kinds of text that it is for, where `sources` does not say which; null means all kinds."""
    min_width: int = Field(default=40, ge=10)
    """Lines broken at a smaller width are verse, or columns."""
    max_width: int = Field(default=100, ge=20)
    """A longer line is a paragraph already."""
    min_wrapped_fraction: float = Field(default=0.7, gt=0, le=1)
    """Share of the breaks inside paragraphs that a lack of room must explain."""

    def clean(self, text: str) -> str:
        """Return the text with longer lines, joined until nothing more is to be joined."""
        while (joined := self._joined(text)) != text:
            text = joined
        return text

    def _joined(self, text: str) -> str:
        lines = text.split("\n")
        breaks = [after for after in range(len(lines) - 1) if self._is_inside(lines, after)]
        width = max((len(lines[place].rstrip()) for after in breaks for place in (after, after + 1)), default=0)
        forced = {after for after in breaks if _wanted(lines, after) > width}
        if width < self.min_width or len(forced) < max(FEWEST_BREAKS, self.min_wrapped_fraction * len(breaks)):
            return text
        return "".join(_parts(lines, forced))

    def _is_inside(self, lines: list[str], after: int) -> bool:
        """Whether the break after a line stands inside a paragraph of prose."""
        line, following = lines[after], lines[after + 1]
        if not line.strip() or not following.strip() or len(line) > self.max_width or ITEM.match(following):
            return False
        begins = after == 0 or not lines[after - 1].strip()
        if len(following) > self.max_width:
            return False
        same = _indentation(line) == _indentation(following) or (begins and not ITEM.match(line))
        return same and not TABLE.search(line) and not TABLE.search(following)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _wanted(lines: list[str], after: int) -> int:
    """Return the width that a line would have had with the next one's first word."""
    return len(lines[after].rstrip()) + 1 + len(lines[after + 1].split(None, 1)[0])


def _parts(lines: list[str], joined: set[int]) -> Iterator[str]:
    """Yield the lines and what goes between them: after a dash nothing, since it may stand inside a word."""
    for number, line in enumerate(lines):
        line = line.lstrip() if number - 1 in joined else line
        if number not in joined:
            yield line + "\n" * (number < len(lines) - 1)
        else:
            yield line.rstrip()
            yield "" if line.rstrip().endswith(("-", "\u2014")) and not line.rstrip().endswith(" -") else " "
