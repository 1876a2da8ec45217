"""Lines that stand in very many places: menus, banners, notices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lm_modules.data.deduplication import CopiedPassages

if TYPE_CHECKING:
    import numpy as np

LINE = re.compile(r"[^\n]+\n?")


class Lines(CopiedPassages):
    """Cuts template lines as ROOTS does (`dedup_template_soft`: Laurençon et al. 2022, arXiv 2303.03915, section 3).

    ROOTS counts within one data set and removes all of them; here all sources count together. Code repeats its lines by
    nature; this is for pages.
    """

    kind: Literal["lines"] = "lines"
    min_characters: int = Field(default=15, ge=1)
    """Shorter lines stay."""
    min_occurrences: int = Field(default=10, ge=2)
    """Lines that occur less often stay."""
    keep_first: bool = False
    """Keep the first of them; false cuts them all."""

    def passages(self, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the lines, with their ends."""
        from lm_modules.data.passages import keyed_spans

        return keyed_spans(text, (match.span() for match in LINE.finditer(text)), self.min_characters)
