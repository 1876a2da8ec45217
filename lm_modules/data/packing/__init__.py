"""How documents fill the rows that training reads: one way a file.

    concatenate     | a a a b | b b b c | c c d d |     one stream, cut anywhere
    best_fit        | a a a . | b b b b | d d c c |     no document is cut that fits a row
    one_document    | a a a . | b b b b | c c . . | d d . . |

Rows can only be planned when their length is known, that is when training begins. A plan follows from the lengths of
the documents and of the row alone, and takes a second for a million documents.
"""

# N pieces of documents

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from configs.component import Component

if TYPE_CHECKING:
    import numpy as np

    from lm_modules.data.row_plan import Plan


class Packing(Component):
    """Base of the family."""

    @abstractmethod
    def plan(self, starts_N: np.ndarray, ends_N: np.ndarray, capacity: int) -> Plan | None:
        """Return the rows of documents that begin and end here; None where the text is one stream."""
