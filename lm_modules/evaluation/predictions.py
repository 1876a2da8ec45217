"""What a model answers to labelled examples, one record each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from lm_modules.data.documents import Example
from lm_modules.data.labelled_examples import read_head
from lm_modules.heads import Encoded, Head, Prediction
from lm_modules.model.stock import labels_of, open_model, open_tokenizer
from lm_modules.training.gradient_sum import is_out_of_memory

BATCH_TOKENS = 8192
"""Size of a batch for prediction, padding included: few enough to stay in the caches of a CPU."""


def predict(
    head: Head,
    network: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    encoded: Sequence[Sequence[Encoded]],
    answered: Collection[int] | None = None,
) -> list[Prediction]:
    """Return the answers in the order of the examples; the network is left in the mode it was in.

    `encoded` is what the head made of each example. Rows are batched by length, so that little is padding; where memory
    ends, a batch is asked in halves. Of examples that are not among the places `answered` (None: of none) the loss is
    enough.
    """
    device, was_training = next(network.parameters()).device, network.training
    network.eval()
    rows = [each for several in encoded for each in several]
    is_asked = [answered is None or number in answered for number, several in enumerate(encoded) for _ in several]
    found: dict[int, Prediction] = {}
    for (ask, wanted), has_target in product(((head.predict, True), (head.losses, False)), (True, False)):
        # a batch tells losses only where all of it has targets
        chosen = [
            row
            for row, asked in enumerate(is_asked)
            if asked == wanted and (rows[row].target is not None) == has_target
        ]
        waiting = _batches([len(rows[row]) for row in chosen])
        while waiting:
            places = waiting.pop(0)
            try:
                batch = head.collate([rows[chosen[place]] for place in places], tokenizer.pad_token_id)
                batch = {name: tensor.to(device) for name, tensor in batch.items()}
                said = ask(network, batch)
            except (RuntimeError, MemoryError) as error:
                if len(places) == 1 or not is_out_of_memory(error):
                    raise
                waiting[:0] = [places[: len(places) // 2], places[len(places) // 2 :]]
                continue
            found.update(zip((chosen[place] for place in places), said, strict=True))
    network.train(was_training)
    answers, start = [], 0
    for example, several in zip(examples, encoded, strict=True):
        said = [found[place] for place in range(start, start + len(several))]
        answers.append(head.answer(example.fields, several, said, tokenizer))
        start += len(several)
    return answers


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
    """Return the answers of the fine-tuned model in a stock directory, in float32; it sees what its head shows it."""
    head, tokenizer = read_head(directory), open_tokenizer(directory)
    network = open_model(head.auto_class(directory), directory)
    return _answers(head, network, tokenizer, examples)


def predict_with_base(
    base: str | Path, head: Head, examples: Sequence[Example], context_length: int
) -> list[Prediction]:
    """Return what a base says before it is fine-tuned, for heads that it has all for (`Head.answers_untuned`)."""
    tokenizer = head.prepare_tokenizer(open_tokenizer(base, context_length))
    return _answers(head, head.network(base, ()).eval(), tokenizer, examples)


def _answers(head: Head, network: Any, tokenizer: Any, examples: Sequence[Example]) -> list[Prediction]:
    labels = labels_of(network)
    encoded = [head.encode(head.asked(each.fields), tokenizer, labels) for each in examples]
    return predict(head, network, tokenizer, examples, encoded)


def records(head: Head, examples: Sequence[Example], predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Return one row an example: id, group, reference, prediction, probability; null for a group or one it has not."""
    return [
        {
            "id": example.id,
            "group": example.group,
            "reference": head.reference(example.fields),
            "prediction": each.value,
            "probability": None if each.probability is None else round(each.probability, 6),
        }
        for example, each in zip(examples, predictions, strict=True)
    ]
