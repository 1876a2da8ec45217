"""One stream of documents, cut into rows anywhere."""

from __future__ import annotations

from typing import Literal

import numpy as np

from lm_modules.data.packing import Packing


class Concatenate(Packing):
    """All documents one behind the other, as in GPT-3 (Brown et al. 2020, arXiv 2005.14165, appendix B).

    Every place of a row holds text. Rows begin and end within documents, at other places in every epoch.
    """

    kind: Literal["concatenate"] = "concatenate"

    def plan(self, starts_N: np.ndarray, ends_N: np.ndarray, capacity: int) -> None:
        """Return None: rows are cut from the stream."""
        return
