"""What a model answers to labelled examples, one record each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.component import members
from lm_modules.data.documents import Example
from lm_modules.heads import Encoded, Head, Prediction
from lm_modules.model.stock import labels_of, open_model, open_tokenizer

BATCH_TOKENS = 8192
"""Size of a batch for prediction, padding included: few enough to stay in the caches of a CPU."""


def predict(head: Head, network: Any, encoded: Sequence[Encoded], pad_token_id: int) -> list[Prediction]:
    """Return the answers in the order of the examples; the network is left in the mode it was in.

    Examples are batched by length, so that little is padding.
    """
    device, was_training = next(network.parameters()).device, network.training
    network.eval()
    answers: dict[int, Prediction] = {}
    for rows in _batches([len(each.token_ids) for each in encoded]):
        batch = head.collate([encoded[row] for row in rows], pad_token_id)
        batch = {name: tensor.to(device) for name, tensor in batch.items()}
        answers.update(zip(rows, head.predict(network, batch), strict=True))
    network.train(was_training)
    return [answers[row] for row in range(len(encoded))]


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Return rows by falling length, cut so that rows x longest stays within BATCH_TOKENS."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= BATCH_TOKENS:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def predict_with_directory(directory: str | Path, examples: Sequence[Example]) -> list[Prediction]:
    """Return the answers of the fine-tuned model in a stock directory, in float32.

    The head is read from `head.json`; a directory from elsewhere, without that file, is taken for a classifier.
    """
    head, tokenizer = read_head(directory), open_tokenizer(directory)
    network = open_model(head.auto_class(), directory)
    labels = labels_of(network)
    encoded = [head.encode(each.text, None, tokenizer, labels) for each in examples]
    return predict(head, network, encoded, tokenizer.pad_token_id)


def read_head(directory: str | Path) -> Head:
    """Return the head that the model in this directory was fine-tuned with."""
    path = Path(directory) / "head.json"
    settings = json.loads(path.read_text()) if path.is_file() else {"kind": "sequence_classification"}
    return members("lm_modules.heads")[settings["kind"]].model_validate(settings)  # type: ignore[return-value]


def records(examples: Sequence[Example], predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Return one row an example: id, group (null if it has none), label, prediction, probability."""
    return [
        {
            "id": example.id,
            "group": example.group,
            "label": example.label,
            "prediction": each.value,
            "probability": round(each.probability, 6),
        }
        for example, each in zip(examples, predictions, strict=True)
    ]
