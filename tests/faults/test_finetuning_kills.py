"""Fine-tuning that is killed again and again, between its evaluations as well, ends with the same bits and reports."""

import hashlib
import os
import random
from functools import partial

import pytest
from beside_sets import write_sets
from killed_training import Kill, attempt
from tiny_models import save_bert, save_labelled

from configs.finetuning import FinetuningConfig
from lm_modules.data.labelled_data import collect
from lm_modules.training import checkpoints
from lm_modules.training.finetuning import finetune


def settings(devices=1, **changes):
    """Return settings that save after every step, and whose learning rate grows too large."""
    return FinetuningConfig(
        dropout=0.1,
        context_length=32,
        compute={"precision": "float32", "accelerator": "cpu", "devices": devices, "checkpoint_every_minutes": 0},
        optimization={
            "learning_rate": 0.1,
            "layer_decay": 0.9,
            "epochs": 8,
            "batch_examples": 16,
            "warmup_fraction": 0.9,
            "evaluations_per_epoch": 1,
            "early_stopping_patience": 2,
        },
        **changes,
    )


def several_heads(folder):
    """Return settings and the directory of their examples: relations, with entities beside."""
    config = settings(**write_sets(folder / "sets"))
    beside = {name: (each.data, each.head) for name, each in config.beside.items()}
    collect(config.data, config.head, folder / "data", seed=0, beside=beside)
    return config, folder / "data"


KINDS = {
    "one head": lambda folder: (settings(), save_labelled(folder / "data")),
    "several heads": several_heads,
    "two ranks": lambda folder: (settings(devices=2), save_labelled(folder / "data")),
}


def end_of(done, workdir):
    """Return what a fine-tuning has come to: digests of all its tensors, and its figures but time and energy."""
    digests = {
        str(path.relative_to(workdir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in workdir.rglob("*.safetensors")
    }
    assert sum(name.startswith("checkpoints/") for name in digests) == 2  # weights and moments of one step
    assert [name for name in digests if name.startswith("best/")] == [
        f"best/{checkpoints.step_name(done.result['best_step'])}/model.safetensors"
    ]
    assert "model/model.safetensors" in digests
    changing = ("model", "seconds", "energy_kilowatt_hours")
    return digests | {name: value for name, value in done.result.items() if name not in changing}


def evaluations_of(done):
    """Return the figures of each evaluation that was heard of, all but the energy."""
    return {
        step: {name: value for name, value in values.items() if not name.startswith("energy")}
        for step, values in done.reports
        if "validation/loss" in values
    }


def saved_step_of(workdir):
    found = checkpoints.newest(workdir / "checkpoints")
    return checkpoints.step_of(found) if found else 0


def a_kill(draw, saved_step, last_step, whole):
    """Choose a moment within the next steps: any, or one in the writing of a state."""
    first = saved_step + 1
    step = draw.randint(first, max(first, min(saved_step + 5, last_step)))
    if draw.random() < 0.5:
        return Kill(step, before_event=draw.randint(1, whole.events // whole.result["steps"]))
    return Kill(step, delay_seconds=draw.uniform(0, whole.seconds_per_step))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fine_tuning_that_is_killed_ends_with_the_same_bits_and_reports(kind, kills, tmp_path):
    seed = int(os.environ.get("KILL_SEED", 0)) or random.SystemRandom().randrange(1, 2**31)
    draw, story = random.Random(seed), [f"KILL_SEED={seed}"]
    base, (config, data) = save_bert(tmp_path / "base"), KINDS[kind](tmp_path)

    def train(workdir, kill=None):
        return attempt(partial(finetune, config, base=base, data=data, workdir=workdir, seed=3), workdir, kill)

    whole, cut, heard = train(tmp_path / "whole"), tmp_path / "cut", {}
    expected = evaluations_of(whole)
    last_step = max(expected)
    assert whole.result["best_step"] < last_step
    try:
        for left in reversed(range(kills + 1)):
            saved = saved_step_of(cut)
            kill = a_kill(draw, saved, last_step - 2 * left, whole) if left else None
            story.append(f"from step {saved}: {kill}")
            done = train(cut, kill)
            assert done.reports[0][0] == saved + 1
            for step, figures in evaluations_of(done).items():  # some are told twice, and then alike
                assert figures == expected[step]
                heard[step] = figures
        assert heard == expected
        assert end_of(done, cut) == end_of(whole, tmp_path / "whole")
    except BaseException as error:
        error.add_note("\n".join(story))
        raise
