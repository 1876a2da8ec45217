"""The comparisons on which a promotion rests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from configs.promotion import PromotionConfig
from lm_modules.data.labelled_examples import read_examples, read_head
from lm_modules.evaluation.evaluate import CHALLENGER, compare, read_records
from lm_modules.evaluation.predictions import predict_with_directory, records

CHAMPION = "champion"


def compare_for_promotion(
    config: PromotionConfig, *, replicates: int, evaluation: Path, data: Path, champion: Path | None, seed: int
) -> list[dict[str, Any]]:
    """Compare the tuned model with the champion on the test split, or with every declared baseline if there is none.

    The champion answers the same examples anew. A label that it does not know counts against it, as it would in use.
    """
    predictions, head = evaluation / "predictions", read_head(data)
    if champion is not None:
        examples = read_examples(data, "test")
        opponents = {CHAMPION: records(head, examples, predict_with_directory(champion, examples))}
    else:
        opponents = {name: _known(predictions, name) for name in config.baselines_for(head)}
    challenger = read_records(predictions / f"{CHALLENGER}.jsonl")
    return [
        {
            "challenger": CHALLENGER,
            "baseline": name,
            **compare(
                challenger,
                opponent,
                config.metric_for(head),
                confidence=config.confidence,
                replicates=replicates,
                seed=seed,
            ),
        }
        for name, opponent in opponents.items()
    ]


def _known(predictions: Path, name: str) -> list[dict[str, Any]]:
    path = predictions / f"{name}.jsonl"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in predictions.glob("*.jsonl")))
        raise ValueError(f"promotion.baselines: {name!r} was not evaluated; evaluated were {known}")
    return read_records(path)
