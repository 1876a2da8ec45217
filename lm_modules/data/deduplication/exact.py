"""Exact copies, up to case, spacing and punctuation."""

from __future__ import annotations

import hashlib
import re
from typing import Literal

from lm_modules.data.deduplication import Deduplication

NOT_LETTERS = re.compile(r"[\W\d_]+")
SPACES = re.compile(r"\s+")


class Exact(Deduplication):
    """Compares a sha256 of the text (ROOTS compares letters only: Laurençon et al. 2022, arXiv 2303.03915, section 3).

    ROOTS removes white space, digits and ASCII punctuation and keeps the case; here all that is no letter goes, and the
    case too. A text without letters is compared as it is, so that two tables of figures do not become copies.
    """

    kind: Literal["exact"] = "exact"
    letters_only: bool = False
    """Ignore everything but letters, and their case; false ignores only differences of white space."""

    def key(self, text: str) -> bytes:
        """Return the digest that copies share, 16 bytes."""
        letters = NOT_LETTERS.sub("", text).lower() if self.letters_only else ""
        return hashlib.sha256((letters or SPACES.sub(" ", text).strip()).encode(errors="surrogatepass")).digest()[:16]
