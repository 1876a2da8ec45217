"""A step of fine-tuning: however its batch is cut, and whatever its labels count, the gradient is that of the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_sample_weight
from tiny_models import save_labelled, save_llama
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from configs.finetuning import FinetuningConfig, FinetuningOptimizationConfig
from lm_modules.data.labelled_examples import read_examples, read_labels
from lm_modules.hardware.memory import TooLarge
from lm_modules.heads import Encoded
from lm_modules.heads.sequence_classification import SequenceClassification
from lm_modules.heads.token_classification import TokenClassification
from lm_modules.model.stock import open_tokenizer
from lm_modules.training.finetuning import finetune
from lm_modules.training.finetuning_module import FineTuning
from lm_modules.training.reporting import keep_going

torch.set_num_threads(1)
HEAD = SequenceClassification()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_labelled(tmp_path_factory.mktemp("labelled") / "data", num_train=24)


def module_of(base: Path, labels: list[str], **settings: object) -> FineTuning:
    torch.manual_seed(0)
    network = HEAD.network(base, labels)
    optimization = FinetuningOptimizationConfig(learning_rate=1e-3, layer_decay=1.0, epochs=1, **settings)
    module = FineTuning(network, HEAD, optimization, 10, 0, open_tokenizer(base).pad_token_id)
    module.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign]  # there is no Trainer
    return module


def rows_of(base: Path, data: Path, weigh: bool = False) -> list:
    tokenizer, labels = open_tokenizer(base, 32), read_labels(data)
    examples = read_examples(data, "train")
    rows = [row for each in examples for row in HEAD.encode(each.fields, tokenizer, labels)]
    return [replace(row, weights=0.5 + row.target) for row in rows] if weigh else rows


@pytest.mark.parametrize("at_once", [1, 5, 24, 100])
@pytest.mark.parametrize("weigh", [False, True])
def test_micro_batches_add_up_to_the_batch(base, data, at_once, weigh):
    labels, rows = read_labels(data), rows_of(base, data, weigh)
    found = []
    for micro in (None, at_once):
        module = module_of(base, labels, micro_batch_examples=micro, label_smoothing=0.1)
        loss = module._gradient(0, rows)
        found.append([loss, *(each.grad for each in module.network.parameters())])
    for whole, cut in zip(*found, strict=True):
        torch.testing.assert_close(cut, whole, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("clip_norm", [1e-3, 1e6, None])
def test_a_step_is_taken_along_a_gradient_of_at_most_the_clip_norm(base, data, monkeypatch, clip_norm):
    module, lengths = module_of(base, read_labels(data), clip_norm=clip_norm), []
    monkeypatch.setattr(module, "optimizers", lambda: module.optimizer)
    monkeypatch.setattr(
        module.optimizer, "step", lambda: lengths.append(torch.cat([each.grad.flatten() for each in weights]).norm())
    )
    weights = list(module.network.parameters())
    rows = rows_of(base, data)
    module._gradient(0, rows)
    whole = torch.cat([each.grad.flatten() for each in weights]).norm()
    module.optimizer.zero_grad()
    module.training_step({"step": 0, "rows": rows, "beside": ()}, 0)
    torch.testing.assert_close(lengths[0], torch.tensor(1e-3) if clip_norm == 1e-3 else whole, rtol=1e-3, atol=0)


def test_weighed_labels_count_as_those_of_torch(base, data):
    labels, rows = read_labels(data), rows_of(base, data, weigh=True)
    module = module_of(base, labels)
    batch = HEAD.collate(rows, module.pad_token_id)
    logits = module.network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    weights = torch.tensor([0.5 + number for number in range(len(labels))])
    total = cross_entropy(logits, batch["labels"], weight=weights, reduction="sum")
    torch.testing.assert_close(HEAD.loss(module.network, batch), total / len(rows))


def test_balanced_labels_count_the_same_together():
    classes = np.random.default_rng(0).choice(3, 200, p=[0.7, 0.25, 0.05])
    rows = SequenceClassification().balanced([[Encoded([1], target=int(each))] for each in classes])
    assert [row.weights for (row,) in rows] == pytest.approx(compute_sample_weight("balanced", classes))


def test_each_of_several_labels_counts_as_often_there_as_not_there(base):
    head = SequenceClassification(multi_label=True)
    there = (np.random.default_rng(0).random((60, 3)) < [0.5, 0.1, 1.0]).astype(float)
    rows = [row for (row,) in head.balanced([[Encoded([1, 2], target=each)] for each in there.tolist()])]
    for label in range(3):
        expected = compute_sample_weight("balanced", there[:, label])
        assert [row.weights[label] for row in rows] == pytest.approx(expected)
    network = head.network(base, ["a", "b", "c"]).eval()
    batch = head.collate(rows, 0)
    logits = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    stock = binary_cross_entropy_with_logits(
        logits, torch.tensor(there, dtype=torch.float32), torch.tensor([row.weights for row in rows])
    )
    torch.testing.assert_close(head.loss(network, batch), stock)


def test_balanced_tags_count_the_same_together_over_all_words(base):
    head, tokenizer = TokenClassification(), open_tokenizer(base, 16)
    tags = [["O", "O", "B-person"], ["O"] * 30, ["B-place", "O"]]
    encoded = [
        head.encode({"words": [f"w{n}" for n in range(len(each))], "tags": each}, tokenizer, ["O", "B-person"])
        for each in tags
    ]
    assert len(encoded[1]) > 1  # windows
    rows = [row for each in head.balanced(encoded) for row in each]
    weighed = [pair for row in rows for pair in zip(row.target, row.weights, strict=True)]
    total = {tag: sum(weight for each, weight in weighed if each == tag) for tag in (0, 1, -100)}
    assert total == pytest.approx({0: 17, 1: 17, -100: 0})  # 33 words, one, and one whose tag is no label
    network = head.network(base, ["O", "B-person"]).eval()
    batch = head.collate(rows, 0)
    logits = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    of_tag = torch.tensor([34 / (2 * 33), 34 / 2])
    stock = cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), of_tag, reduction="sum")
    torch.testing.assert_close(head.loss(network, batch), stock / 34)


def test_class_weights_are_refused_where_there_are_no_labels():
    with pytest.raises(ValueError, match=r"class_weights has no effect on regression"):
        FinetuningConfig(
            head="regression", data={"kind": "jsonl", "path": "a.jsonl"}, optimization={"class_weights": "balanced"}
        )


def test_where_memory_ends_fewer_examples_are_in_memory_and_a_resumed_run_stays_with_them(
    base, data, tmp_path, monkeypatch, caplog
):
    config = FinetuningConfig(
        dropout=0.1,
        context_length=32,
        optimization={"learning_rate": 1e-3, "layer_decay": 1.0, "epochs": 2, "batch_examples": 12},
    )

    def run(workdir: str, report=keep_going, **optimization) -> dict:
        settings = config.model_copy(update={"optimization": config.optimization.model_copy(update=optimization)})
        return finetune(settings, base=base, data=data, workdir=tmp_path / workdir, seed=0, report=report)

    asked = run("asked", micro_batch_examples=3)
    whole_loss = SequenceClassification.loss
    most = [4]

    def loss(head, network, batch, label_smoothing=0.0):
        if len(batch["input_ids"]) > most[0]:
            raise torch.OutOfMemoryError("out of memory")
        return whole_loss(head, network, batch, label_smoothing)

    monkeypatch.setattr(SequenceClassification, "loss", loss)
    run("found", report=lambda step, _: step >= 2)
    assert "out of memory with 6 examples at once" in caplog.text
    most[0] = 100
    assert run("found")["validation/loss"] == asked["validation/loss"]
    most[0] = 0
    with pytest.raises(TooLarge, match=r"with a single example at once; lower finetuning\.context_length"):
        run("never")
