"""How long training takes is said once, in steps, tokens or minutes; what is said above replaces what is said below.

preset                                  budget_tokens: 400M
--set ...optimization.budget_minutes=10                       trains for ten minutes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BUDGET_KEYS = ("budget_steps", "budget_tokens", "budget_minutes")


def refuse_several_budgets(budgets: Mapping[str, Any]) -> None:
    """Raise ValueError unless exactly one of the budgets is not None."""
    given = [name for name in BUDGET_KEYS if budgets.get(name) is not None]
    if not given:
        raise ValueError(f"exactly one of {', '.join(BUDGET_KEYS)} is needed, not none; set one")
    if len(given) > 1:
        raise ValueError(
            f"exactly one of {', '.join(BUDGET_KEYS)} is needed, not {', '.join(given)}; "
            "keep one and leave the others out, or set them to null"
        )


def without_budget(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole configuration without its budget of pretraining, where the one above it gives another."""
    if not any(_optimization(above).get(key) is not None for key in BUDGET_KEYS) or not _optimization(below):
        return dict(below)
    kept = {key: value for key, value in _optimization(below).items() if key not in BUDGET_KEYS}
    return {**below, "pretraining": {**below["pretraining"], "optimization": kept}}


def _optimization(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is said of pretraining's optimization; empty where that is nothing, or no mapping."""
    pretraining = configuration.get("pretraining")
    optimization = pretraining.get("optimization") if isinstance(pretraining, Mapping) else None
    return optimization if isinstance(optimization, Mapping) else {}
