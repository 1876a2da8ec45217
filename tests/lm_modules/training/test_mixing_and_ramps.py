"""Runs of several parts, and runs whose batch grows."""

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import transformers
from tiny_pretraining import make_tokens, tiny_config

from configs import batch_sizes
from configs.batch_sizes import BatchSizes
from lm_modules.data.batches import open_batches
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.export.export import export, training_graph
from lm_modules.objectives import NOT_SCORED
from lm_modules.training import checkpoints
from lm_modules.training.pretraining import Interrupted, pretrain
from lm_modules.training.reporting import TOTAL

PARTS = {
    "prose": {"sources": ["web"], "weight": 0.7},
    "code": {"objective": {"kind": "causal_lm", "fill_in_middle_fraction": 0.5}, "sources": ["books"], "weight": 0.3},
}
MIXTURE = {"objective": {"kind": "mixture", "parts": PARTS}}
ENCODERS = {
    "eurobert": {},
    "modernbert": {"model__encoder": "modernbert", "model__activation": "gelu", "model__sliding_window": 8},
}
WORDS_AND_PAIRS = {
    "words": {"objective": {"kind": "masked_lm", "chosen_fraction": 0.3}, "sources": ["web"], "weight": 0.5},
    "pairs": {"objective": "next_sentence", "weight": 0.5},
}
TWO_OBJECTIVES = {"objective": {"kind": "mixture", "parts": WORDS_AND_PAIRS}}
RAMP = {"optimization__batch_tokens_start": 64, "optimization__batch_ramp_steps": 6}


def run(text, workdir, stop_at=None, **changes):
    """Return the result and the figures of every step."""
    seen = {}

    def report(step, values):
        seen.setdefault(step, {}).update(values)
        return step == stop_at

    config = tiny_config(**({"optimization__budget_steps": 12, "compute__progress_every_seconds": 0.0} | changes))
    return pretrain(config, tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, report=report), seen


def assert_resumes_to_the_same_bits(text, tmp_path, changes):
    whole, _ = run(text, tmp_path / "whole", **changes)
    with pytest.raises(Interrupted):
        run(text, tmp_path / "resumed", stop_at=5, **changes)
    resumed, _ = run(text, tmp_path / "resumed", **changes, compute__data_workers=2)
    assert resumed["resumed_from_step"] == 5
    assert resumed["tokens_seen"] == whole["tokens_seen"]
    one, other = (checkpoints.read_tensors(Path(each["checkpoint"]), "model") for each in (whole, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)


def assert_does_not_depend_on_the_cut(text, tmp_path, changes):
    names = ("loss", *tiny_config(**changes).objective.weights())

    def losses(rows):
        _, seen = run(text, tmp_path / f"cut{rows}", **changes, optimization__micro_batch_rows=rows)
        losses_alone = {"train/learning_rate", "train/gradient_norm", *(f"train/{name}" for name in names)}
        return [{name: each[name] for name in each if name in losses_alone} for each in seen.values()]

    whole = losses(None)
    for rows in (1, 3, 4):
        for one, other in zip(losses(rows), whole, strict=True):
            assert one == pytest.approx(other, rel=1e-5, abs=1e-5)


def test_each_part_logs_its_loss_and_the_whole_is_their_weighted_sum(text, tmp_path):
    _, seen = run(text, tmp_path, **MIXTURE)
    for values in seen.values():
        whole = 0.7 * values["train/prose"] + 0.3 * values["train/code"]
        assert values["train/loss"] == pytest.approx(whole, rel=1e-6)
    last = seen[12]
    assert last["validation/loss"] == pytest.approx(0.7 * last["validation/prose"] + 0.3 * last["validation/code"])
    assert last["validation/prose"] < seen[1]["train/prose"]
    assert "validation/bits_per_byte" not in last  # the rows of code have middles to fill in


def test_a_mixture_resumes_to_the_same_bits(text, tmp_path):
    assert_resumes_to_the_same_bits(text, tmp_path, MIXTURE)


def test_a_mixture_with_rows_of_several_lengths_does_not_depend_on_the_cut(text, tmp_path):
    parts = {
        "regular": {"objective": "span_denoising", "weight": 0.6},
        "extreme": {"objective": {"kind": "span_denoising", "noise_fraction": 0.5, "mean_span": 8}, "weight": 0.4},
    }
    changes = {"objective": {"kind": "mixture", "parts": parts}, "optimization__budget_steps": 4}
    assert_does_not_depend_on_the_cut(text, tmp_path, changes)


def test_a_mixture_of_objectives_with_parts_of_their_own_does_not_depend_on_the_cut(text, tmp_path):
    parts = {name: {"objective": "next_sentence", "sources": [name]} for name in ("web", "books")}
    changes = {"objective": {"kind": "mixture", "parts": parts}, "optimization__budget_steps": 4}
    assert_does_not_depend_on_the_cut(text, tmp_path, changes)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_two_objectives_resume_and_do_not_depend_on_the_cut(text, tmp_path, encoder):
    changes = {**TWO_OBJECTIVES, **ENCODERS[encoder]}
    assert_resumes_to_the_same_bits(text, tmp_path, changes)
    assert_does_not_depend_on_the_cut(text, tmp_path, {**changes, "optimization__budget_steps": 4})


@pytest.mark.parametrize("encoder", ENCODERS)
def test_two_objectives_log_their_losses_and_their_exports_have_the_same(text, tmp_path, encoder):
    result, seen = run(text, tmp_path / "run", **TWO_OBJECTIVES, **ENCODERS[encoder])
    names = ("words", "pairs/masked_lm", "pairs/next_sentence")
    for values in seen.values():
        assert values["train/loss"] == pytest.approx(sum(values[f"train/{name}"] for name in names) / 2, rel=1e-6)
    last = seen[12]
    assert last["validation/loss"] == pytest.approx(sum(last[f"validation/{name}"] for name in names) / 2)
    assert last["validation/words"] < seen[1]["train/words"] - 0.5

    facts = export(result["checkpoint"], text[1], tmp_path / "model")
    assert facts["max_logit_difference"] <= 1e-4
    network, config = training_graph(Path(result["checkpoint"]))
    vocabulary = Vocabulary.restored(**checkpoints.read_state(Path(result["checkpoint"]))["vocabulary"])
    batch = fresh_batch(text, config, vocabulary)
    losses = config.objective.losses(network, batch)
    finder = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "model")
    judge = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model" / "next_sentence")
    real_BL = (batch["pairs/segments"] >= 0).long()
    expected = {
        "words": nats(finder(batch["words/tokens"]), batch["words/labels"]),
        "pairs/masked_lm": nats(finder(batch["pairs/tokens"], attention_mask=real_BL), batch["pairs/labels"]),
        "pairs/next_sentence": nats(judge(batch["pairs/tokens"], attention_mask=real_BL), batch["pairs/follows"]),
    }
    assert set(losses) == set(expected)
    for name, loss in expected.items():
        torch.testing.assert_close(losses[name], loss, rtol=1e-5, atol=1e-5)


def fresh_batch(text, config, vocabulary):
    """Return a batch that was not trained on."""
    length, sizes = config.model.context_length, BatchSizes(8, config.model.context_length, 8)
    batches = open_batches(text[0], streams=config.objective.streams(length), sizes=sizes, seed=99)
    return config.objective.corrupt_rows(batches[0], vocabulary, torch.Generator().manual_seed(4))


def nats(output, labels):
    """Return the loss of a stock model's logits."""
    return F.cross_entropy(output.logits.flatten(0, -2), labels.flatten(), ignore_index=NOT_SCORED)


def test_renamed_sources_are_refused_on_resuming_a_run_that_asks_for_them(text, tmp_path):
    tokens, tokenizer = make_tokens(tmp_path / "text")
    run((tokens, tokenizer), tmp_path / "mixed", **MIXTURE, optimization__budget_steps=2)
    run((tokens, tokenizer), tmp_path / "plain", optimization__budget_steps=2)
    meta = tokens / "meta.json"
    meta.write_text(meta.read_text().replace('"web",\n        "books"', '"books",\n        "web"'))
    with pytest.raises(ValueError, match="another sources"):
        run((tokens, tokenizer), tmp_path / "mixed", **MIXTURE, optimization__budget_steps=2)
    assert run((tokens, tokenizer), tmp_path / "plain", optimization__budget_steps=2)[0]["resumed_from_step"] == 2


def test_a_growing_batch_is_counted_as_it_is(text, tmp_path):
    result, seen = run(text, tmp_path, **RAMP)
    rows = [2, 3, 4, 5, 6, 7, *[8] * 6]
    assert result["tokens_seen"] == 32 * sum(rows)
    assert seen[12]["train/loss"] < seen[1]["train/loss"]


def test_a_budget_in_tokens_counts_what_was_read(text, tmp_path):
    changes = {"optimization__budget_steps": None, "optimization__budget_tokens": 1000, **RAMP}
    result, _ = run(text, tmp_path, **changes)
    assert result["steps"] == 7  # 2 + 3 + 4 + 5 + 6 + 7 rows are 864 tokens, and a step of 8 rows has 256
    assert result["tokens_seen"] == 864 + 256


def test_a_budget_in_minutes_is_told_by_steps_of_the_final_size(text, tmp_path):
    changes = {"optimization__budget_steps": None, "optimization__budget_minutes": 1e-2, **RAMP}
    with pytest.raises(Interrupted) as stopped:
        run(text, tmp_path, stop_at=2, **changes)
    result, seen = run(text, tmp_path, **changes)
    assert result["steps"] == stopped.value.steps
    assert {values[TOTAL] for values in seen.values() if TOTAL in values} == {result["steps"]}


def test_a_growing_batch_resumes_to_the_same_bits(text, tmp_path):
    assert_resumes_to_the_same_bits(text, tmp_path, RAMP)


def test_a_growing_batch_does_not_depend_on_the_cut(text, tmp_path):
    assert_does_not_depend_on_the_cut(text, tmp_path, {**RAMP, "optimization__budget_steps": 5})


@pytest.mark.parametrize("sizes", [BatchSizes(8, 32, 2, 6), BatchSizes(8, 32, 8), BatchSizes(100, 4, 3, 7)])
def test_batch_sizes_agree_with_counting(sizes):
    rows = [sizes.num_rows(step) for step in range(40)]
    assert rows == sorted(rows)
    assert (rows[0], rows[-1]) == (sizes.first_rows, sizes.rows)
    for step in range(40):
        assert sizes.first_row(step) == sum(rows[:step])
    for tokens in (0, 1, 32, 33, 500, sum(rows[:30]) * sizes.row_tokens):
        steps = sizes.steps_for(tokens)
        assert sizes.first_row(steps) * sizes.row_tokens >= tokens
        assert steps == 0 or sizes.first_row(steps - 1) * sizes.row_tokens < tokens


def test_the_ramp_is_drawn_as_it_is():
    drawn, after = re.search(r"rows +([\d ]+)\| ([\d ]+)", batch_sizes.__doc__).groups()
    sizes = BatchSizes(rows=16, row_tokens=64, first_rows=8, ramp_steps=5)
    assert [sizes.num_rows(step) for step in range(8)] == [int(each) for each in (drawn + after).split()]
