"""The comparisons on which a promotion rests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.promotion import PromotionConfig
from lm_modules.data.labelled_examples import read_examples, read_head
from lm_modules.evaluation.evaluate import CHALLENGER, Record, compare, read_records
from lm_modules.evaluation.predictions import predict_with_directory, records
from lm_modules.heads import Head

CHAMPION = "champion"


def compare_for_promotion(
    config: PromotionConfig, *, replicates: int, evaluation: Path, data: Path, champion: Path | None, seed: int
) -> list[dict[str, Any]]:
    """Compare the tuned model with the champion on the test split, or with every declared baseline if there is none.

    The champion answers the same examples anew. A label that it does not know counts against it, as it would in use.
    One that answers with something else, or splits texts into other tokens where figures are means over tokens, cannot
    be compared: a ValueError.
    """
    predictions, head = evaluation / "predictions", read_head(data)
    challenger = read_records(predictions / f"{CHALLENGER}.jsonl")
    if champion is not None:
        _require_same_answers(config.registered_name, head, read_head(champion))
        examples = read_examples(data, "test")
        opponents = {CHAMPION: records(head, examples, predict_with_directory(champion, examples))}
        _require_same_tokens(config.registered_name, challenger, opponents[CHAMPION])
    else:
        opponents = {name: _known(predictions, name) for name in config.baselines_for(head)}
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


def _require_same_answers(name: str, head: Head, champion: Head) -> None:
    """Raise a ValueError if a champion was asked for something else."""
    if (champion.inputs, champion.target, champion.answers) != (head.inputs, head.target, head.answers):
        raise ValueError(
            f"the champion of {name} is a model of {champion.kind}, and this one of {head.kind}; give "
            "promotion.registered_name another name"
        )


def _require_same_tokens(name: str, challenger: Sequence[Record], champion: Sequence[Record]) -> None:
    """Raise a ValueError if likelihoods are of different tokens, so that a mean over tokens compares nothing."""
    counts = [
        {each["id"]: each["prediction"]["tokens"] for each in one if isinstance(each["prediction"], dict)}
        for one in (challenger, champion)
    ]
    if counts[0] != counts[1]:
        raise ValueError(
            f"the champion of {name} reads the answers in other tokens (another tokenizer, chat template or "
            "context_length), so that likelihoods per token cannot be compared; give promotion.registered_name another "
            "name, or fine-tune with the champion's"
        )


def _known(predictions: Path, name: str) -> list[dict[str, Any]]:
    path = predictions / f"{name}.jsonl"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in predictions.glob("*.jsonl")))
        raise ValueError(f"promotion.baselines: {name!r} was not evaluated; evaluated were {known}")
    return read_records(path)
