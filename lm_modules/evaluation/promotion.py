"""The comparisons on which a promotion rests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.promotion import PromotionConfig
from lm_modules.data.labelled_examples import read_examples, read_head
from lm_modules.evaluation.evaluate import CHALLENGER, TITLES, Record, compare, read_records
from lm_modules.evaluation.predictions import predict_with_directory, records
from lm_modules.heads import Head

CHAMPION = "champion"


def compare_for_promotion(
    config: PromotionConfig, *, replicates: int, evaluation: Path, data: Path, champion: Path | None, seed: int
) -> dict[str, Any]:
    """Compare the tuned model with the champion on the test split, or with every declared baseline if there is none.

    The champion answers the same examples anew. A label that it does not know counts against it, as it would in use.
    One that is asked for something else, or splits texts into other tokens where figures are means over tokens, cannot
    be compared: then `incomparable` says why, and there are no `comparisons`. Of a model that wins, `better_unasked`
    are the comparisons with what it need not beat and that is better with the whole interval.
    """
    predictions, head = evaluation / "predictions", read_head(data)
    challenger = read_records(predictions / f"{CHALLENGER}.jsonl")
    if champion is not None:
        if reason := _asked_otherwise(head, read_head(champion)):
            return {"comparisons": [], "incomparable": reason, "better_unasked": []}
        examples = read_examples(data, "test")
        opponents = {CHAMPION: records(head, examples, predict_with_directory(champion, examples))}
        if head.answers == "likelihoods" and (reason := _other_tokens(challenger, opponents[CHAMPION])):
            return {"comparisons": [], "incomparable": reason, "better_unasked": []}
    else:
        opponents = {name: _known(predictions, name) for name in config.baselines_for(head)}

    def compared(name: str, opponent: Sequence[Record]) -> dict[str, Any]:
        found = compare(
            challenger,
            opponent,
            config.metric_for(head),
            confidence=config.confidence,
            replicates=replicates,
            seed=seed,
        )
        return {"challenger": CHALLENGER, "baseline": name, **found}

    comparisons = [compared(name, opponent) for name, opponent in opponents.items()]
    unasked = []
    if all(each["better"] for each in comparisons):
        others = [each.stem for each in sorted(predictions.glob("*.jsonl"))]
        others = [each for each in others if each not in (CHALLENGER, *opponents)]
        unasked = [
            {"title": TITLES.get(name, name), **compared(name, read_records(predictions / f"{name}.jsonl"))}
            for name in others
        ]
    return {
        "comparisons": comparisons,
        "incomparable": None,
        "better_unasked": [each for each in unasked if _is_worse(each)],
    }


def _is_worse(comparison: dict[str, Any]) -> bool:
    """Tell whether the whole interval is on the bad side."""
    return comparison["high"] < 0 if comparison["higher_is_better"] else comparison["low"] > 0


def _asked_otherwise(head: Head, champion: Head) -> str | None:
    """Return how a champion differs in what it is asked for, if it does."""
    asked, of_champion = _asked(head), _asked(champion)
    if asked == of_champion:
        return None
    return (
        f"The champion is a model of {of_champion}, and this one of {asked}; give promotion.registered_name another "
        "name."
    )


def _asked(head: Head) -> str:
    settings = [f"{name} {getattr(head, name)}" for name in head.of_examples]
    return f"{head.kind} ({', '.join(settings)})" if settings else head.kind


def _other_tokens(challenger: Sequence[Record], champion: Sequence[Record]) -> str | None:
    """Return that likelihoods are of different tokens, if they are, so that a mean over tokens compares nothing."""
    counts = [{each["id"]: each["prediction"]["tokens"] for each in one} for one in (challenger, champion)]
    if counts[0] == counts[1]:
        return None
    return (
        "The champion reads the answers in other tokens (another tokenizer, chat template or context_length), so that "
        "likelihoods per token cannot be compared; give promotion.registered_name another name, or fine-tune with the "
        "champion's."
    )


def _known(predictions: Path, name: str) -> list[dict[str, Any]]:
    path = predictions / f"{name}.jsonl"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in predictions.glob("*.jsonl")))
        raise ValueError(f"promotion.baselines: {name!r} was not evaluated; evaluated were {known}")
    return read_records(path)
