"""As many documents in a row as fit, none cut that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lm_modules.data.packing import Packing

if TYPE_CHECKING:
    import numpy as np

    from lm_modules.data.row_plan import Plan


class BestFit(Packing):
    """Best-fit packing (Ding et al. 2024, Fewer truncations improve language modeling, arXiv 2404.10830, section 3).

    Documents that are longer than a row are cut into full rows first. What is left goes, the longest first, where it
    leaves the least room. Ding et al. take the rows as they come out; so do we, and training shuffles them.
    """

    kind: Literal["best_fit"] = "best_fit"

    def plan(self, starts_N: np.ndarray, ends_N: np.ndarray, capacity: int) -> Plan:
        """Return the rows: the full ones, then the packed ones, the longest piece of each at its beginning."""
        import numpy as np

        from lm_modules.data.row_plan import best_fit_decreasing, full_rows, planned

        full, starts_N, lengths_N = full_rows(starts_N, ends_N, capacity)
        order_N = np.argsort(-lengths_N, kind="stable")
        rows_N = best_fit_decreasing(lengths_N[order_N], capacity)
        return planned(starts_N[order_N], lengths_N[order_N], rows_N, capacity, full)
