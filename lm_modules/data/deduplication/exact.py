"""Exact copies, up to case, spacing and punctuation."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Literal

from lm_modules.data.deduplication import CopiedDocuments

if TYPE_CHECKING:
    import numpy as np

NOT_LETTERS = re.compile(r"[\W\d_]+")


class Exact(CopiedDocuments):
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
        return hashlib.sha256((letters or " ".join(text.split())).encode(errors="surrogatepass")).digest()[:16]

    def sketch(self, text: str) -> np.ndarray:
        """Return [2], uint64: the digest."""
        import numpy as np

        return np.frombuffer(self.key(text), "<u8").astype(np.uint64)

    def band_keys(self, sketches: np.ndarray) -> np.ndarray:
        """Return [documents, 1]: the first half of the digest."""
        return sketches[:, :1]

    def alike(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return where the whole digests are equal."""
        return (first == second).all(axis=1)
