"""Several ranks fine-tune what one would, end together, and leave nothing behind."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import torch.distributed as distributed
from beside_sets import write_sets
from head_examples import EXAMPLES, SETTINGS
from safetensors.torch import load_file
from tiny_models import save_bert, save_labelled, save_llama, save_t5

from configs.component import members
from configs.finetuning import FinetuningConfig
from lm_modules.data.labelled_data import collect
from lm_modules.hardware.memory import TooLarge
from lm_modules.heads.sequence_classification import SequenceClassification
from lm_modules.training import finetuning_evaluations
from lm_modules.training.callbacks.stopping import Interrupted
from lm_modules.training.finetuning import finetune
from lm_modules.training.finetuning_module import FineTuning
from lm_modules.training.followers import FollowerDied
from lm_modules.training.ranks import Ranks
from lm_modules.training.reporting import keep_going

torch.set_num_threads(1)
TWO = {"devices": 2, "accelerator": "cpu", "precision": "float32"}
ONE = TWO | {"devices": 1}


def settings(compute: dict[str, Any], **changes: Any) -> FinetuningConfig:
    optimization = {"learning_rate": 1e-3, "layer_decay": 0.9, "epochs": 3, "batch_examples": 16}
    optimization |= changes.pop("optimization", {})
    changes = {"dropout": 0.0, "context_length": 32, "compute": compute, **changes}
    return FinetuningConfig(optimization=optimization, **changes)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_labelled(tmp_path_factory.mktemp("labelled") / "data")


def run(
    config: FinetuningConfig, base: Path, data: Path, workdir: Path, report: Callable[[int, Any], bool] = keep_going
) -> dict[str, Any]:
    return finetune(config, base=base, data=data, workdir=workdir, seed=3, report=report)


def curve(config: FinetuningConfig, base: Path, data: Path, workdir: Path) -> dict[tuple[int, str], float]:
    """Fine-tune, and return every loss and score that was reported."""
    seen: dict[tuple[int, str], float] = {}

    def note(step: int, values: dict[str, float]) -> bool:
        seen.update({(step, name): value for name, value in values.items() if "loss" in name or "validation" in name})
        return False

    run(config, base, data, workdir, note)
    return seen


def weights(workdir: Path) -> dict[str, torch.Tensor]:
    return load_file(workdir / "model" / "model.safetensors")


def assert_same(one: Path, other: Path, **tolerance: float) -> None:
    first, second = weights(one), weights(other)
    assert set(first) == set(second)
    # a shift of all positions changes no answer: the gradient of this bias is rounding, of which Adam makes whole steps
    for name in set(first) - {"qa_outputs.bias"}:
        torch.testing.assert_close(first[name], second[name], **(tolerance or {"atol": 0.0, "rtol": 0.0}), msg=name)


def save_examples(directory: Path, kind: str) -> Path:
    """Save seven examples of a head: steps of five rows and of two."""
    head: Any = members("lm_modules.heads")[kind].model_validate(SETTINGS.get(kind, {}))
    fields = [head.checked(each) for each in EXAMPLES[kind]]
    directory.mkdir()
    for split, number in (("train", 7), ("validation", 3), ("test", 3)):
        rows = [{"id": f"{split}-{n}", **fields[n % 3], "group": None} for n in range(number)]
        (directory / f"{split}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    labels = sorted({label for each in fields for label in head.classes(each)})
    (directory / "labels.json").write_text(json.dumps(labels))
    (directory / "head.json").write_text(head.model_dump_json())
    return directory


HEADS = [
    *((kind, save_llama, "full", 2) for kind in EXAMPLES),
    ("token_classification", save_bert, "full", 2),
    ("seq2seq", save_t5, "full", 2),
    ("sequence_classification", save_llama, "lora", 2),
    # a share of the step of two rows is empty
    ("sequence_classification", save_llama, "full", 3),
    ("chat", save_llama, "full", 3),
    ("preference", save_llama, "lora", 3),
]


@pytest.mark.parametrize(
    ("kind", "save", "adapter", "devices"), HEADS, ids=[f"{k}-{s.__name__}-{a}-{d}" for k, s, a, d in HEADS]
)
def test_ranks_learn_what_one_process_learns(tmp_path, kind, save, adapter, devices):
    base, data = save(tmp_path / "base"), save_examples(tmp_path / "data", kind)
    head = {"kind": kind, **SETTINGS.get(kind, {})}
    change = {
        "data": {"kind": "jsonl", "path": str(data / "train.jsonl")},
        "head": head,
        "adapter": adapter,
        "context_length": 64,
        "optimization": {"batch_examples": 5, "early_stopping_patience": None},
    }
    whole = curve(settings(ONE, **change), base, data, tmp_path / "one")
    assert max(step for step, _ in whole) == 6
    cut = curve(settings(TWO | {"devices": devices}, **change), base, data, tmp_path / "cut")
    assert cut == pytest.approx(whole, rel=1e-5, abs=1e-6)
    assert_same(tmp_path / "one", tmp_path / "cut", atol=1e-5, rtol=0.0)


def test_ranks_learn_several_heads_as_one_process_does(tmp_path):
    base, sets = save_bert(tmp_path / "base"), write_sets(tmp_path)
    change = {**sets, "optimization": {"batch_examples": 7, "early_stopping_patience": None, "epochs": 1}}
    config = settings(ONE, **change)
    beside = {name: (each.data, each.head) for name, each in config.beside.items()}
    collect(config.data, config.head, tmp_path / "collected", seed=0, beside=beside)
    whole = curve(config, base, tmp_path / "collected", tmp_path / "one")
    cut = curve(settings(TWO, **change), base, tmp_path / "collected", tmp_path / "cut")
    assert any(name.startswith("validation/entities/") for _, name in whole)
    assert cut == pytest.approx(whole, rel=1e-5, abs=1e-6)
    assert_same(tmp_path / "one", tmp_path / "cut", atol=1e-5, rtol=0.0)


def test_what_ranks_drop_is_their_own_and_one_process_drops_what_it_did(base):
    def seed_of(step: int, *place: int) -> int:
        config = settings(ONE)
        head = SequenceClassification()
        network = head.network(base, ["a", "b"])
        return FineTuning(network, head, config.optimization, 10, 5, 0, ranks=Ranks(*place))._dropout_seed(step)

    assert seed_of(7, 0, 1) == seed_of(7, 0, 4) == 5 * 1_000_003 + 7
    assert len({seed_of(step, rank, 4) for step in (7, 8) for rank in range(4)}) == 8


def test_a_stop_ends_all_ranks_after_the_step_and_another_number_goes_on(base, data, tmp_path, monkeypatch):
    monkeypatch.setattr(finetuning_evaluations, "SECONDS_BETWEEN_REPORTS", 0.0)
    whole = run(settings(ONE), base, data, tmp_path / "whole")
    stopped = run(settings(TWO), base, data, tmp_path / "cut", lambda step, values: step == 4)
    assert (stopped["stopped"], stopped["steps"]) == (True, 4)
    steps: list[int] = []
    resumed = run(settings(ONE), base, data, tmp_path / "cut", lambda step, values: bool(steps.append(step)))  # type: ignore[func-returns-value]
    assert min(steps) == 5
    assert resumed["validation/loss"] == pytest.approx(whole["validation/loss"], rel=1e-5)
    assert_same(tmp_path / "whole", tmp_path / "cut", atol=1e-5, rtol=0.0)


def test_a_signal_ends_all_ranks_after_the_step_and_the_next_try_ends_with_the_same_bits(
    base, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(finetuning_evaluations, "SECONDS_BETWEEN_REPORTS", 0.0)
    config = settings(TWO, dropout=0.1)
    run(config, base, data, tmp_path / "whole")
    before = started_here()

    def be_stopped(step: int, values: dict[str, float]) -> bool:
        if step == 4:
            signal.raise_signal(signal.SIGTERM)
        return False

    with pytest.raises(Interrupted, match="in order after step 4 of 18"):
        run(config, base, data, tmp_path / "cut", be_stopped)
    assert started_here() == before
    steps: list[int] = []
    run(config, base, data, tmp_path / "cut", lambda step, values: bool(steps.append(step)))  # type: ignore[func-returns-value]
    assert min(steps) == 5
    assert_same(tmp_path / "whole", tmp_path / "cut")


def test_all_ranks_stop_early_with_the_first(base, data, tmp_path):
    change = {"learning_rate": 0.3, "epochs": 40, "warmup_fraction": 0.9, "early_stopping_patience": 2}
    result = run(settings(TWO, optimization=change), base, data, tmp_path)
    assert result["best_step"] + 6 == result["steps"] < 240


class SmallMemory(SequenceClassification):
    """A head that takes more memory than rank 1 has where more rows than these go through at once."""

    rows: int

    def loss(self, network: Any, batch: Any, label_smoothing: float = 0.0) -> Any:
        loss = super().loss(network, batch, label_smoothing)  # what went before has left its traces
        too_many = len(batch["input_ids"]) > self.rows
        if torch.is_grad_enabled() and distributed.is_initialized() and distributed.get_rank() == 1 and too_many:
            torch.empty(2**56, dtype=torch.uint8)  # more than any machine can address
        return loss


def test_where_memory_ends_on_one_rank_all_halve(base, data, tmp_path, caplog):
    def on_small(rows: int, workdir: str) -> dict[str, Any]:
        config = settings(TWO, dropout=0.1).model_copy(update={"head": SmallMemory(rows=rows)})
        return run(config, base, data, tmp_path / workdir)

    with caplog.at_level(logging.WARNING):
        on_small(4, "small")
    assert [each.getMessage()[:39] for each in caplog.records] == ["out of memory with 8 examples at once: "]
    run(settings(TWO, dropout=0.1, optimization={"micro_batch_examples": 4}), base, data, tmp_path / "asked")
    assert_same(tmp_path / "small", tmp_path / "asked")
    with pytest.raises(TooLarge, match=r"with a single example at once; lower finetuning\.context_length"):
        on_small(0, "never")


def started_here() -> set[psutil.Process]:
    """Return the processes that the fork server of this process has started."""
    return {each for each in psutil.Process().children(recursive=True) if "forkserver" in " ".join(each.cmdline())}


def test_a_rank_that_dies_is_named_and_the_next_try_ends_as_if_nothing_had_been(base, data, tmp_path):
    config = settings(TWO, dropout=0.1)
    run(config, base, data, tmp_path / "whole")
    before = started_here()

    def kill_the_other(step: int, values: dict[str, float]) -> bool:
        if step == 9:
            (other,) = started_here() - before
            other.kill()
        return False

    with pytest.raises(FollowerDied, match="rank 1 was ended by SIGKILL; the same command continues"):
        run(config, base, data, tmp_path / "cut", kill_the_other)
    assert started_here() == before
    assert not (tmp_path / "cut" / "result.json").exists()
    steps: list[int] = []
    run(config, base, data, tmp_path / "cut", lambda step, values: bool(steps.append(step)))  # type: ignore[func-returns-value]
    assert min(steps) == 9  # what it reported was not saved
    assert_same(tmp_path / "whole", tmp_path / "cut")


PROGRAM = """
import sys, time
from pathlib import Path
from configs.finetuning import FinetuningConfig
from lm_modules.training.finetuning import finetune

def report(step, values):
    if "validation/loss" in values:
        print(step, flush=True)
        if step >= int(sys.argv[5]):
            time.sleep(600)
    return False

if __name__ == "__main__":
    config = FinetuningConfig.model_validate_json(sys.argv[1])
    done = finetune(config, base=sys.argv[2], data=Path(sys.argv[3]), workdir=Path(sys.argv[4]), seed=3, report=report)
    print(f"loss {done['validation/loss']}" + chr(10), end="", flush=True)  # in one piece: two ranks may write at once
"""


def start(workdir: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    program = workdir.parent / "program.py"
    program.write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        [sys.executable, *launcher, str(program), *arguments], stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.slow
def test_nothing_outlives_a_killed_fine_tuning_and_the_next_ends_with_the_same_bits(base, data, tmp_path):
    config = settings(TWO, dropout=0.1)
    run(config, base, data, tmp_path / "whole")
    arguments = [config.model_dump_json(), str(base), str(data), str(tmp_path / "cut"), "6"]
    with start(tmp_path / "cut", *arguments) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["3", "6"]
        others = psutil.Process(process.pid).children(recursive=True)
        assert len(others) >= 2  # a fork server and rank 1
        process.send_signal(signal.SIGKILL)
    assert not psutil.wait_procs(others, timeout=10)[1]
    steps: list[int] = []
    run(config, base, data, tmp_path / "cut", lambda step, values: bool(steps.append(step)))  # type: ignore[func-returns-value]
    assert min(steps) == 6  # what it reported was not saved
    assert_same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.slow
def test_torchrun_may_start_the_ranks(base, data, tmp_path):
    config = settings(TWO, dropout=0.1)
    here = run(config, base, data, tmp_path / "here")
    arguments = [settings(ONE, dropout=0.1).model_dump_json(), str(base), str(data), str(tmp_path / "there"), "999"]
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    with start(tmp_path / "there", *arguments, launcher=launcher) as process:
        told, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    lines = told.split("\n")
    assert lines.count(f"loss {here['validation/loss']}") == 2
    assert [line for line in lines if line.isdigit()] == ["3", "6", "9", "12", "15", "18"]  # from the first alone
    assert_same(tmp_path / "here", tmp_path / "there")
