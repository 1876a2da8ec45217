"""Training on planned rows: it learns, is resumed to the bit, and says what it cannot read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_pretraining import SENTENCE, make_tokens, tiny_config

from lm_modules.training import checkpoints
from lm_modules.training.pretraining import Interrupted, pretrain


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Tokens and tokenizer by packing."""
    tokens, tokenizer = make_tokens(tmp_path_factory.mktemp("text"))
    found = {"concatenate": (tokens, tokenizer)}
    for packing in ("best_fit", "one_document"):
        copy = tokens.with_name(packing)
        shutil.copytree(tokens, copy)
        meta = json.loads((copy / "meta.json").read_text())
        (copy / "meta.json").write_text(json.dumps(meta | {"packing": {"kind": packing}}))
        found[packing] = copy, tokenizer
    return found


def weights(workdir: Path, step: int) -> dict[str, torch.Tensor]:
    return checkpoints.read_tensors(workdir / "checkpoints" / checkpoints.step_name(step), "model")


@pytest.mark.parametrize("packing", ["best_fit", "one_document"])
def test_a_run_that_was_stopped_ends_with_the_same_weights(packing: str, texts, tmp_path: Path) -> None:
    tokens, tokenizer = texts[packing]
    config = tiny_config(model__context_length=48, optimization__batch_tokens=192)
    seen: list[tuple[int, dict]] = []
    places = {"tokens": tokens, "tokenizer": tokenizer}
    whole = pretrain(config, **places, workdir=tmp_path / "whole", seed=3, report=lambda *each: seen.append(each))
    assert seen[0] == (0, {f"rows/{name}": whole[name] for name in ("row_utilization", "documents_cut", "rows")})
    assert whole["train_loss_nats"] < 5.0
    length = 3 * len(SENTENCE) + 1  # two full rows and a rest of which no two fit a row
    assert (whole["documents_cut"], whole["rows"]) == (40, 120)
    assert whole["row_utilization"] == length / (3 * 48)

    with pytest.raises(Interrupted):
        pretrain(config, **places, workdir=tmp_path / "cut", seed=3, report=lambda step, values: step >= 7)
    resumed = pretrain(config, **places, workdir=tmp_path / "cut", seed=3)
    assert resumed["resumed_from_step"]
    one, other = (weights(tmp_path / name, whole["steps"]) for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_is_not_continued_with_another_packing(texts, tmp_path: Path) -> None:
    config = tiny_config(optimization__budget_steps=6)
    pretrain(config, tokens=texts["best_fit"][0], tokenizer=texts["best_fit"][1], workdir=tmp_path, seed=0)
    tokens, tokenizer = texts["one_document"]
    with pytest.raises(ValueError, match="was trained with another packing"):
        pretrain(config, tokens=tokens, tokenizer=tokenizer, workdir=tmp_path, seed=0)


def test_an_objective_that_would_read_padding_is_refused(texts, tmp_path: Path) -> None:
    tokens, tokenizer = texts["best_fit"]
    with pytest.raises(ValueError, match=r"packing best_fit fills rows up.*span_denoising would read; set it to conc"):
        pretrain(tiny_config(objective="span_denoising"), tokens=tokens, tokenizer=tokenizer, workdir=tmp_path, seed=0)


@pytest.mark.parametrize("objective", ["masked_lm", "next_sentence", "replaced_token_detection"])
def test_encoders_train_on_padded_rows(objective: str, texts, tmp_path: Path) -> None:
    tokens, tokenizer = texts["one_document"]
    config = tiny_config(objective=objective, optimization__budget_steps=4)
    trained = pretrain(config, tokens=tokens, tokenizer=tokenizer, workdir=tmp_path, seed=0)
    assert (trained["steps"], trained["skipped_steps"]) == (4, 0)
