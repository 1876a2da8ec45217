"""Label pairs of texts; copied, with `classifier_service.py`, into every registered classifier of pairs."""

from __future__ import annotations

from .classifier_service import ClassifierService


class PairClassifierService(ClassifierService):
    """Holds the model in `directory` in memory; answers tables with the columns `text` and `text_pair`."""
