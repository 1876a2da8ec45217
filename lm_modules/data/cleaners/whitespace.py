"""Takes away spaces and blank lines that say nothing."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from lm_modules.data.cleaners import Cleaner

RUN = re.compile("[ \t]{2,}|\t")
RUN_INSIDE = re.compile("(?<=[^ \t\n])(?:[ \t]{2,}|\t)")


class Whitespace(Cleaner):
    """Joins runs of spaces, takes them from the ends of lines, and bounds blank lines.

    Odd spaces, as ROOTS maps them (Laurençon et al. 2022, arXiv 2303.03915), are left to `unicode`, which goes first.

    In code, spaces at the beginning of a line and inside strings mean something: `spaces: keep` there.
    """

    kind: Literal["whitespace"] = "whitespace"
    spaces: Literal["join", "join_inside_lines", "keep"] = "join"
    """Runs of spaces and tabs become one space: everywhere, or not where a line begins, or nowhere."""
    max_blank_lines: int = Field(default=1, ge=0)
    """Most blank lines in a row."""

    def clean(self, text: str) -> str:
        """Return the text without them; the last line keeps its end if it has one."""
        if self.spaces != "keep" and ("  " in text or "\t" in text):
            text = (RUN if self.spaces == "join" else RUN_INSIDE).sub(" ", text)
        lines = [line.rstrip(" \t") for line in text.split("\n")]
        if self.spaces == "join":
            lines = [line.removeprefix(" ") for line in lines]
        most = "\n" * (self.max_blank_lines + 1)
        text = re.sub(f"\n{{{len(most) + 1},}}", most, "\n".join(lines))
        return text.strip("\n") + "\n" * text.endswith("\n") if text.strip("\n") else ""
