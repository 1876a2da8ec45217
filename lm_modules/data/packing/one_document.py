"""One document in each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lm_modules.data.packing import Packing

if TYPE_CHECKING:
    import numpy as np

    from lm_modules.data.row_plan import Plan


class OneDocument(Packing):
    """A row for each document, the rest of it padded, as in fine-tuning; a longer document is cut into several rows.

    For documents that are about as long as a row, and for objectives of whole documents (RoBERTa's DOC-SENTENCES, Liu
    et al. 2019, arXiv 1907.11692, section 4.2, without filling up). Short documents waste most of a row.
    """

    kind: Literal["one_document"] = "one_document"

    def plan(self, starts_N: np.ndarray, ends_N: np.ndarray, capacity: int) -> Plan:
        """Return a row for each document, behind those that longer ones fill."""
        import numpy as np

        from lm_modules.data.row_plan import full_rows, planned

        full, starts_N, lengths_N = full_rows(starts_N, ends_N, capacity)
        return planned(starts_N, lengths_N, np.arange(len(starts_N)), capacity, full)
