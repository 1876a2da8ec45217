"""Fine-tuning learns, stops, restores, resumes, and says what it did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from killed_finetuning import CODE
from safetensors.torch import load_file
from tiny_models import save_bert, save_labelled, save_llama, save_t5
from transformers import pipeline

from configs.compute import ComputeConfig
from configs.finetuning import FinetuningConfig
from lm_modules.data.documents import Example
from lm_modules.data.labelled_examples import read_examples, read_labels
from lm_modules.data.length_grouping import LengthGroupedBatches
from lm_modules.evaluation.predictions import predict_with_directory
from lm_modules.heads.sequence_classification import SequenceClassification
from lm_modules.model.stock import open_tokenizer
from lm_modules.training import checkpoints, finetuning_evaluations, trainer
from lm_modules.training.callbacks.stopping import Interrupted
from lm_modules.training.finetuned_model import title_of
from lm_modules.training.finetuning import finetune
from lm_modules.training.finetuning_evaluations import Evaluations, Validation, evaluation_steps
from lm_modules.training.finetuning_module import FineTuning, Lessons, parameter_groups
from lm_modules.training.finetuning_state import FinetuningState
from lm_modules.training.layers import block_matrices, depth_of_parameters
from lm_modules.training.reporting import TOTAL, keep_going

torch.set_num_threads(1)


def settings(**changes: object) -> FinetuningConfig:
    optimization = {"learning_rate": 5e-3, "layer_decay": 0.9, "epochs": 3, "batch_examples": 16}
    optimization |= changes.pop("optimization", {})  # type: ignore[arg-type]
    return FinetuningConfig(**{"dropout": 0.1, "context_length": 32, "optimization": optimization, **changes})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_labelled(tmp_path_factory.mktemp("labelled") / "data")


def test_examples_that_do_not_fit_are_counted_and_many_are_a_warning(base, data, tmp_path, caplog):
    config = settings(optimization={"epochs": 1}, context_length=24)
    lengths = [len(each.fields["text"]) for each in read_examples(data, "train")]
    num_cut = sum(length > 24 for length in lengths)
    assert 0 < num_cut < len(lengths) / 2
    result = finetune(config, base=base, data=data, workdir=tmp_path / "some", seed=0, report=keep_going)
    assert (result["cut_examples"], result["examples_without_fitting_answer"]) == (num_cut, 0)
    narrow = config.model_copy(update={"context_length": 8})
    caplog.clear()
    finetune(narrow, base=base, data=data, workdir=tmp_path / "most", seed=0, report=keep_going)
    (said,) = [each for each in caplog.records if "are cut" in each.message]
    assert said.levelname == "WARNING"


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_learns_and_leaves_a_stock_model_that_a_pipeline_opens(base, data, tmp_path, adapter):
    reported = []

    def report(step: int, values: dict[str, float]) -> bool:
        if "validation/loss" in values:
            reported.append((step, values))
        return False

    config = settings(
        adapter=adapter,
        optimization={"epochs": 8, "learning_rate": 1e-2, "layer_decay": 1.0, "early_stopping_patience": None},
    )
    result = finetune(config, base=base, data=data, workdir=tmp_path, seed=0, report=report)
    assert result["validation/macro_f1"] > 0.6
    assert [step for step, _ in reported] == list(range(3, 49, 3))
    assert set(reported[0][1]) == {
        TOTAL,
        "train/loss",
        "validation/loss",
        "validation/macro_f1",
        "validation/accuracy",
        "energy/kilowatt_hours",
    }
    spent = [values["energy/kilowatt_hours"] for _, values in reported]
    assert 0 < spent[0] < spent[-1] == result["energy_kilowatt_hours"]
    assert {values[TOTAL] for _, values in reported} == {48}
    examples = read_examples(data, "validation")
    answers = predict_with_directory(result["model"], examples)
    right = sum(each.value == example.fields["label"] for each, example in zip(answers, examples, strict=True))
    assert right / len(examples) == pytest.approx(result["validation/accuracy"], abs=0.04)  # float32 here, bf16 there
    stock = pipeline("text-classification", model=result["model"], device="cpu")(examples[0].fields["text"])[0]
    assert stock["label"] == answers[0].value
    assert stock["score"] == pytest.approx(answers[0].probability, abs=1e-5)
    assert "macro_f1" in (tmp_path / "model" / "README.md").read_text()


def test_a_finished_fine_tuning_is_not_run_again(base, data, tmp_path):
    first = finetune(settings(), base=base, data=data, workdir=tmp_path, seed=0, report=keep_going)

    def refuse(step: int, values: dict[str, float]) -> bool:
        raise AssertionError("trained again")

    assert finetune(settings(), base=base, data=data, workdir=tmp_path, seed=0, report=refuse) == first
    with pytest.raises(ValueError, match="other settings or data"):
        finetune(settings(dropout=0.2), base=base, data=data, workdir=tmp_path, seed=0, report=keep_going)


def test_ends_in_order_when_the_report_says_stop(base, data, tmp_path):
    result = finetune(settings(), base=base, data=data, workdir=tmp_path, seed=0, report=lambda step, _: step >= 6)
    assert (result["stopped"], result["steps"]) == (True, 6)
    assert "model" not in result


def test_reports_between_evaluations_change_nothing(base, data, tmp_path, monkeypatch):
    quiet = finetune(settings(), base=base, data=data, workdir=tmp_path / "quiet", seed=0, report=keep_going)
    monkeypatch.setattr(finetuning_evaluations, "SECONDS_BETWEEN_REPORTS", 0.0)
    seen = {}

    def report(step: int, values: dict[str, float]) -> bool:
        seen[step] = values
        return False

    told = finetune(settings(), base=base, data=data, workdir=tmp_path / "told", seed=0, report=report)
    assert {name: told[name] for name in told if "/" in name} == {name: quiet[name] for name in quiet if "/" in name}
    assert list(seen) == list(range(1, 19))
    assert {values[TOTAL] for values in seen.values()} == {18}
    assert set(seen[1]) == {TOTAL, "train/loss"}
    losses = [seen[step]["train/loss"] for step in (4, 5)]
    assert min(losses) != max(losses)  # each is the loss of its own step, not the mean since the evaluation


def scores(reports: list[tuple[int, dict[str, float]]]) -> dict[int, dict[str, float]]:
    return {
        step: {name: value for name, value in values.items() if name == "train/loss" or "validation" in name}
        for step, values in reports
        if "validation/loss" in values
    }


@pytest.mark.parametrize("stop", ["the answer to a report", signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_after_the_step_and_what_follows_is_as_if_nothing_had_been(base, data, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(trainer, "WORTHWHILE_SPEEDUP", 1e9)
    monkeypatch.setattr(finetuning_evaluations, "SECONDS_BETWEEN_REPORTS", 0.0)
    common = {"base": base, "data": data, "seed": 3}
    undisturbed, heard = [], []
    whole = finetune(
        settings(),
        workdir=tmp_path / "whole",
        report=lambda step, values: bool(undisturbed.append((step, values))),  # type: ignore[func-returns-value]
        **common,
    )

    def stop_at_4(step: int, values: dict[str, float]) -> bool:
        heard.append((step, values))
        if step == 4 and isinstance(stop, signal.Signals):
            signal.raise_signal(stop)
        return step == 4 and not isinstance(stop, signal.Signals)

    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    if isinstance(stop, signal.Signals):
        with pytest.raises(Interrupted, match="in order after step 4 of 18") as stopped:
            finetune(settings(), workdir=tmp_path / "cut", report=stop_at_4, **common)
        assert checkpoints.find_damage(stopped.value.checkpoint) is None
    else:
        result = finetune(settings(), workdir=tmp_path / "cut", report=stop_at_4, **common)
        assert (result["stopped"], result["steps"], "model" in result) == (True, 4, False)
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before
    resumed = finetune(
        settings(),
        workdir=tmp_path / "cut",
        report=lambda step, values: bool(heard.append((step, values))),  # type: ignore[func-returns-value]
        **common,
    )
    assert [step for step, _ in heard] == list(range(1, 19))
    assert scores(heard) == scores(undisturbed)
    first, second = (load_file(Path(each["model"]) / "model.safetensors") for each in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("minutes", "saved"), [(5.0, []), (0.0, [1, 2, 4, 5])])
def test_the_state_is_saved_between_evaluations_when_it_is_time(base, data, tmp_path, monkeypatch, minutes, saved):
    seen = []
    save = FinetuningState.save

    def note(state: FinetuningState, *arguments: object) -> None:
        save(state, *arguments)
        seen.append([checkpoints.step_of(each) for each in checkpoints.listed(tmp_path / "checkpoints")])

    monkeypatch.setattr(FinetuningState, "save", note)
    config = settings(optimization={"epochs": 1}, compute={"checkpoint_every_minutes": minutes})
    finetune(config, base=base, data=data, workdir=tmp_path, seed=3, report=keep_going)
    assert seen == [[step] for step in sorted([*saved, 3, 6])]  # one copy, of the newest


def test_a_weight_without_moments_is_saved_and_restored_without_them(tmp_path):
    def begin() -> tuple[torch.nn.ModuleDict, torch.optim.Optimizer]:
        network = torch.nn.ModuleDict({"used": torch.nn.Linear(2, 2), "unused": torch.nn.Linear(2, 2)})
        return network, torch.optim.AdamW(network.parameters())

    (network, optimizer), state = begin(), FinetuningState(tmp_path, "test")
    network["used"](torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state.progress.step = 1
    state.save(network, optimizer)
    again, restored = begin()
    FinetuningState(tmp_path, "test").restore(again, restored)
    assert set(restored.state) == set(again["used"].parameters())
    for first, second in zip(network["used"].parameters(), again["used"].parameters(), strict=True):
        assert torch.equal(first, second)
        assert torch.equal(optimizer.state[first]["exp_avg"], restored.state[second]["exp_avg"])


def test_a_killed_fine_tuning_ends_with_the_same_weights_to_the_bit(base, data, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "WORTHWHILE_SPEEDUP", 1e9)
    whole = finetune(settings(), base=base, data=data, workdir=tmp_path / "whole", seed=3, report=keep_going)
    arguments = [settings().model_dump_json(), str(base), str(data), str(tmp_path / "killed"), "6"]
    with subprocess.Popen([sys.executable, "-c", CODE, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["3", "6"]
        process.send_signal(signal.SIGKILL)
    steps = []
    resumed = finetune(
        settings(),
        base=base,
        data=data,
        workdir=tmp_path / "killed",
        seed=3,
        report=lambda step, values: "validation/loss" in values and bool(steps.append(step)),  # type: ignore[func-returns-value]
    )
    assert steps == [6, 9, 12, 15, 18]  # it was killed before it had saved what it reported
    first, second = (load_file(Path(each["model"]) / "model.safetensors") for each in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert {k: v for k, v in whole.items() if "/" in k} == {k: v for k, v in resumed.items() if "/" in k}


@pytest.mark.parametrize("speedup", [0.0, 1e9])
def test_a_stopped_fine_tuning_goes_on_in_the_precision_that_it_began_in(base, data, tmp_path, monkeypatch, speedup):
    monkeypatch.setattr(trainer, "WORTHWHILE_SPEEDUP", speedup)
    whole = finetune(settings(), base=base, data=data, workdir=tmp_path / "whole", seed=3, report=keep_going)
    finetune(settings(), base=base, data=data, workdir=tmp_path / "cut", seed=3, report=lambda step, _: step >= 6)
    monkeypatch.setattr(trainer, "WORTHWHILE_SPEEDUP", 1e9 - speedup)
    resumed = finetune(settings(), base=base, data=data, workdir=tmp_path / "cut", seed=3, report=keep_going)
    assert resumed["validation/loss"] == whole["validation/loss"]


def test_early_stopping_restores_the_best_weights(base, data, tmp_path):
    """A learning rate that grows too large ruins the model after a good beginning."""
    scores = []
    config = settings(
        dropout=0.0,
        optimization={"learning_rate": 0.3, "epochs": 40, "warmup_fraction": 0.9, "early_stopping_patience": 3},
    )
    result = finetune(
        config,
        base=base,
        data=data,
        workdir=tmp_path,
        seed=0,
        report=lambda step, values: (
            "validation/macro_f1" in values and bool(scores.append((values["validation/macro_f1"], -step)))  # type: ignore[func-returns-value]
        ),
    )
    best, step = max(scores)
    assert (result["validation/macro_f1"], result["best_step"]) == (best, -step)
    assert len(scores) == scores.index(max(scores)) + 1 + 3
    assert result["steps"] < 240
    saved = load_file(Path(result["model"]) / "model.safetensors")
    kept = load_file(tmp_path / "best" / f"step-{-step:08d}" / "model.safetensors")
    last = load_file(tmp_path / "checkpoints" / f"step-{result['steps']:08d}" / "model.safetensors")
    assert all(torch.equal(saved[name], kept[name]) for name in saved)
    assert not all(torch.equal(saved[name], last[name]) for name in saved)


def test_random_weights_start_without_the_pretrained_ones(base, data, tmp_path):
    config = settings(adapter="lora", optimization={"epochs": 1, "learning_rate": 1e-9})
    result = finetune(
        config, base=base, data=data, workdir=tmp_path, seed=1, report=keep_going, from_random_weights=True
    )
    pretrained, fresh = (load_file(Path(each) / "model.safetensors") for each in (base, result["model"]))
    name = "model.layers.0.mlp.up_proj.weight"
    assert pretrained[name].shape == fresh[name].shape
    assert not torch.allclose(pretrained[name], fresh[name], atol=1e-3)


@pytest.mark.parametrize("save", [save_llama, save_bert])
def test_learning_rates_fall_from_the_head_to_the_embedding(save, tmp_path):
    config = settings(optimization={"learning_rate": 1e-3, "layer_decay": 0.5, "weight_decay": 0.1})
    network = config.head.network(save(tmp_path), ["a", "b"])
    of_parameter = {
        id(each): group for group in parameter_groups(network, config.optimization) for each in group["params"]
    }
    rates = {name: of_parameter[id(each)]["lr"] for name, each in network.named_parameters()}
    assert len(of_parameter) == len(rates)
    for name, rate in rates.items():
        if "embed" in name:
            expected = 1e-3 * 0.5**3
        elif ".0." in name:
            expected = 1e-3 * 0.5**2
        elif ".1." in name:
            expected = 1e-3 * 0.5
        else:
            expected = 1e-3
        assert rate == pytest.approx(expected), name
    decays = {each.ndim > 1: of_parameter[id(each)]["weight_decay"] for each in network.parameters()}
    assert decays == {True: 0.1, False: 0.0}


def test_the_blocks_of_a_decoder_come_after_those_of_its_encoder(tmp_path):
    network = SequenceClassification().network(save_t5(tmp_path), ["a", "b"])
    depths = depth_of_parameters(network)
    stacks = {"encoder.block.0.": 1, "encoder.block.1.": 2, "encoder.final": 2, "decoder.block.0.": 3}
    for part, depth in (stacks | {"decoder.block.1.": 4, "decoder.final": 5, "classification_head": 5}).items():
        assert {found for name, found in depths.items() if part in name} == {depth}, part
    assert depths["transformer.shared.weight"] == 0
    assert {name.split(".block.")[0] for name in block_matrices(network)} == {
        "transformer.encoder",
        "transformer.decoder",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dropout": {"low": 0.0, "high": 0.2}}, "dropout are ranges"),
        ({"context_length": 65}, "context_length 65 exceeds the model's 64"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_the_remedy(base, data, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        finetune(settings(**changes), base=base, data=data, workdir=tmp_path, seed=0, report=keep_going)


@pytest.mark.parametrize(
    ("num_steps", "steps_per_epoch", "per_epoch", "expected"),
    [(12, 6, 2, {3, 6, 9, 12}), (10, 5, 2, {3, 5, 8, 10}), (3, 3, 5, {1, 2, 3}), (7, 7, 1, {7})],
)
def test_evaluations_are_spread_evenly_and_include_the_last_step(num_steps, steps_per_epoch, per_epoch, expected):
    assert evaluation_steps(num_steps, steps_per_epoch, per_epoch) == expected


def test_nothing_reaches_the_screen(base, data, tmp_path):
    arguments = [settings(optimization={"epochs": 1}).model_dump_json(), str(base), str(data), str(tmp_path), "999"]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=True, env=os.environ
    )
    assert (done.stdout.split(), done.stderr) == (["3", "6"], "")


def test_a_label_that_training_does_not_know_counts_as_missed_in_the_validation(base):
    head, labels, tokenizer = SequenceClassification(multi_label=True), ["a", "b"], open_tokenizer(base, 32)
    network = head.network(base, labels).eval()
    with torch.no_grad():  # to this text it says both labels
        states_BLD = network.model(**tokenizer("one", return_tensors="pt")).last_hidden_state
        network.score.weight.copy_(states_BLD[0, -1].expand(2, -1))
    known, more = (
        Validation(head, [Example("1", {"text": "one", "label": label})], tokenizer, labels).values(network)
        for label in (["a", "b"], ["a", "b", "new"])
    )
    assert known["validation/loss"] == more["validation/loss"]
    assert (known["validation/macro_f1"], more["validation/macro_f1"]) == (1.0, pytest.approx(2 / 3))
    assert (known["validation/accuracy"], more["validation/accuracy"]) == (1.0, 0.0)


def test_a_split_without_anything_to_score_is_refused(base):
    with pytest.raises(ValueError, match=r"none of the 0 validation examples can be scored"):
        Validation(SequenceClassification(), [], open_tokenizer(base, 32), ["animal"])


def test_a_figure_that_is_no_number_does_not_stay_the_best(base, data, tmp_path):
    head, tokenizer = SequenceClassification(), open_tokenizer(base, 32)
    judged = Validation(head, read_examples(data, "validation"), tokenizer, read_labels(data))
    figures = iter([float("nan"), float("nan"), 0.2, float("nan"), 0.1])
    judged.values = lambda network: {"validation/macro_f1": next(figures)}  # type: ignore[method-assign]
    state = FinetuningState(tmp_path, "test")
    network = head.network(base, judged.labels)
    evaluations = Evaluations(
        state, judged, keep_going, steps=set(range(1, 6)), num_steps=5, metric="validation/macro_f1", patience=None
    )
    module = FineTuning(network, head, settings().optimization, 5, 0, tokenizer.pad_token_id)
    rows = [each for several in judged.encoded for each in several]
    trainer.fit(
        trainer.build_trainer(ComputeConfig(accelerator="cpu"), "float32", [evaluations]),
        module,
        Lessons(rows, LengthGroupedBatches([len(each) for each in rows], 2, 0), 0, 5),
    )
    assert (state.progress.best_step, state.progress.best_values["validation/macro_f1"]) == (3, 0.2)


@pytest.mark.parametrize(
    ("data", "title"),
    [
        ({"kind": "csv", "path": "/data/tickets.csv"}, "Sequence classification, fine-tuned on `tickets.csv`"),
        ({"kind": "hugging_face", "dataset": "org/queues"}, "Sequence classification, fine-tuned on `queues`"),
        ("python_topics", "Sequence classification, fine-tuned on python topics"),
    ],
)
def test_the_title_of_the_card_tells_what_it_answers_and_from_what(data, title):
    assert title_of(FinetuningConfig(data=data)) == title
