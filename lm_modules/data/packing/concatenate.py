"""One stream of documents, cut into rows anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lm_modules.data.packing import Packing

if TYPE_CHECKING:
    import numpy as np


class Concatenate(Packing):
    """All documents one behind the other, as in GPT-3 (Brown et al. 2020, arXiv 2005.14165, appendix B).

    Every place of a row holds text. Rows begin and end within documents, at other places in every epoch.
    """

    kind: Literal["concatenate"] = "concatenate"

    def plan(self, starts_N: np.ndarray, ends_N: np.ndarray, capacity: int) -> None:
        """Return None: rows are cut from the stream."""
        return
