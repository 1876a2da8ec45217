import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from broken_steps import no_number_at
from tiny_pretraining import SENTENCE, make_tokens, tiny_config

from configs.component import members
from lm_modules.data.packed import write_packed
from lm_modules.objectives.causal_lm import CausalLm
from lm_modules.training import checkpoints
from lm_modules.training.pretraining import Interrupted, pretrain
from lm_modules.training.pretraining_module import Diverged, PretrainingModule
from lm_modules.training.reporting import TOTAL

OF_THE_MACHINE = ("train/tokens_per_second", "train/mfu", "train/data_wait_fraction")
PROGRAM = """
import os, sys, time
from pathlib import Path
from tiny_pretraining import tiny_config
from lm_modules.training.pretraining import pretrain

def report(step, values):
    if "train/loss" in values:
        Path(sys.argv[2], "step").write_text(str(step))
        time.sleep(float(sys.argv[3]))
    return False

pretrain(tiny_config(compute__progress_every_seconds=0.0), tokens=Path(sys.argv[1], "tokens"),
         tokenizer=Path(sys.argv[1], "tokenizer"), workdir=Path(sys.argv[2]), seed=3, report=report)
"""


def run(text, workdir, report=None, seed=3, **changes):
    arguments = {} if report is None else {"report": report}
    return pretrain(tiny_config(**changes), tokens=text[0], tokenizer=text[1], workdir=workdir, seed=seed, **arguments)


def weights(result):
    return checkpoints.read_tensors(Path(result["checkpoint"]), "model")


def assert_equal_bits(one, other):
    assert set(one) == set(other)
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.fixture(scope="module")
def undisturbed(text, tmp_path_factory):
    torch.set_num_threads(1)
    seen = []
    result = run(text, tmp_path_factory.mktemp("undisturbed"), lambda step, values: seen.append((step, values)))
    return result, seen


def test_the_loss_falls_on_a_periodic_text(undisturbed):
    result, seen = undisturbed
    validation = [values["validation/loss"] for _, values in seen if "validation/loss" in values]
    assert validation[-1] < validation[0] < 5.5
    assert result["validation_loss_nats"] == validation[-1]
    assert result["steps"] == 24
    assert result["tokens_seen"] == 24 * 256
    assert result["resumed_from_step"] is None


def test_bits_per_byte_are_the_loss_over_the_bytes_of_the_text(undisturbed, text):
    # One token a byte, and the end-of-text tokens are scored but stand for no byte.
    result, _ = undisturbed
    num_bytes = len((SENTENCE * 12).encode())
    num_tokens = num_bytes + 4
    scored = num_tokens - num_tokens % 32
    bits = result["validation_loss_nats"] / np.log(2) * scored
    assert result["validation_bits_per_byte"] == pytest.approx(bits / (scored - scored // (3 * len(SENTENCE) + 1)))


def test_reports_carry_the_agreed_names(undisturbed):
    _, seen = undisturbed
    assert {name for _, values in seen for name in values} == {
        "train/loss",
        "train/learning_rate",
        "train/gradient_norm",
        "train/tokens_per_second",
        "train/mfu",
        "train/data_wait_fraction",
        TOTAL,
        "validation/loss",
        "validation/bits_per_byte",
        "system/cpu_utilization_percentage",
        "system/process_busy_cores",
        "system/process_memory_megabytes",
        "energy/kilowatt_hours",
        "energy/co2_kilograms",
        "about_the_figures.txt",
        "samples/step-00000012.txt",
        "samples/step-00000024.txt",
    }


def test_equal_seeds_give_equal_bits_and_others_do_not(text, tmp_path, undisturbed):
    assert_equal_bits(weights(run(text, tmp_path / "same")), weights(undisturbed[0]))
    other = weights(run(text, tmp_path / "other", seed=4, optimization__budget_steps=1))
    assert not torch.equal(other["embedding.weight"], weights(undisturbed[0])["embedding.weight"])


def start(text, workdir, pause_seconds):
    workdir.mkdir(exist_ok=True)
    paths = [str(Path(__file__).parents[2] / "support"), str(Path(__file__).parents[3])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", PROGRAM, str(text[0].parent), str(workdir), str(pause_seconds)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for_step(process, workdir, step):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        seen = workdir / "step"
        if seen.exists() and int(seen.read_text() or 0) >= step:
            return
        time.sleep(0.02)
    raise AssertionError(f"step {step} was not reached")


def test_a_killed_run_ends_with_the_same_bits(text, tmp_path, undisturbed):
    process = start(text, tmp_path, 0.1)
    wait_for_step(process, tmp_path, 15)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    result = run(text, tmp_path)
    assert result["resumed_from_step"] == 12
    assert_equal_bits(weights(result), weights(undisturbed[0]))
    for name in ("train_loss_nats", "validation_loss_nats", "validation_bits_per_byte"):
        assert result[name] == undisturbed[0][name]


def test_sigterm_ends_after_the_step_with_a_checkpoint(text, tmp_path, undisturbed):
    process = start(text, tmp_path, 0.1)
    wait_for_step(process, tmp_path, 8)
    process.terminate()
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Interrupted: stopped in order after step" in complaint
    saved = checkpoints.read_state(checkpoints.newest(tmp_path / "checkpoints"))["step"]
    assert saved >= 8
    result = run(text, tmp_path)
    assert result["resumed_from_step"] == saved
    assert_equal_bits(weights(result), weights(undisturbed[0]))


def test_a_listener_can_ask_for_an_end(text, tmp_path):
    with pytest.raises(Interrupted, match="after step 5 of 24") as stopped:
        run(text, tmp_path, lambda step, values: step >= 5, compute__progress_every_seconds=0.0)
    assert checkpoints.find_damage(stopped.value.checkpoint) is None


def test_a_damaged_checkpoint_is_passed_over_and_the_end_is_the_same(text, tmp_path, caplog, undisturbed):
    with pytest.raises(Interrupted):
        run(text, tmp_path, lambda step, values: step >= 20, compute__progress_every_seconds=0.0)
    newest = checkpoints.newest(tmp_path / "checkpoints")
    content = (newest / "model.safetensors").read_bytes()
    (newest / "model.safetensors").write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING):
        result = run(text, tmp_path)
    assert newest.name in caplog.text
    assert result["resumed_from_step"] == 18
    assert_equal_bits(weights(result), weights(undisturbed[0]))


def test_a_finished_run_is_not_trained_again(text, tmp_path, undisturbed):
    run(text, tmp_path)
    again = run(text, tmp_path)
    assert again["resumed_from_step"] == 24
    assert again["validation_bits_per_byte"] == undisturbed[0]["validation_bits_per_byte"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"model__rope_theta": 500.0}, "model"),
        ({"optimization__learning_rate": 0.3}, "optimization"),
        ({"objective": "masked_lm"}, "objective"),
    ],
)
def test_other_settings_are_refused_with_both_fingerprints(text, tmp_path, changes, word):
    run(text, tmp_path, optimization__budget_steps=2)
    with pytest.raises(ValueError, match=rf"another {word} \(fingerprint [0-9a-f]{{64}}, now [0-9a-f]{{64}}\)"):
        run(text, tmp_path, **({"optimization__budget_steps": 2} | changes))


def test_another_tokenizer_file_is_refused_with_both_fingerprints(text, tmp_path):
    tokens, tokenizer = make_tokens(tmp_path / "text")  # the tokens name no tokenizer, so the file itself must tell
    run((tokens, tokenizer), tmp_path / "run", optimization__budget_steps=2)
    file = tokenizer / "tokenizer.json"
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    content = json.loads(file.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["A"], vocabulary["B"] = vocabulary["B"], vocabulary["A"]
    file.write_text(json.dumps(content))
    now = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(
        ValueError, match=rf"another tokenizer \(fingerprint {before}, now {now}\); continue with the same"
    ):
        run((tokens, tokenizer), tmp_path / "run", optimization__budget_steps=2)


def test_other_tokens_and_seeds_are_refused(text, tmp_path):
    run(text, tmp_path / "run", optimization__budget_steps=2)
    other = make_tokens(tmp_path / "other", SENTENCE.upper())
    with pytest.raises(ValueError, match="another tokens"):
        run(other, tmp_path / "run", optimization__budget_steps=2)
    with pytest.raises(ValueError, match="another seed"):
        run(text, tmp_path / "run", optimization__budget_steps=2, seed=9)


def test_the_loss_does_not_depend_on_how_the_batch_is_cut(text, tmp_path, undisturbed):
    whole = weights(run(text, tmp_path / "whole", optimization__budget_steps=4))
    for rows in (1, 3):
        cut = weights(
            run(text, tmp_path / f"cut{rows}", optimization__budget_steps=4, optimization__micro_batch_rows=rows)
        )
        for name, weight in whole.items():
            torch.testing.assert_close(cut[name], weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", members("lm_modules.objectives"))
def test_every_objective_resumes_to_the_same_bits_however_its_batches_are_made(text, tmp_path, kind):
    changes = {"objective": kind, "optimization__budget_steps": 8, "compute__checkpoint_every_steps": 3}
    changes |= {"compute__progress_every_seconds": 0.0}
    whole = run(text, tmp_path / "whole", **changes)
    with pytest.raises(Interrupted):
        run(text, tmp_path / "resumed", lambda step, values: step >= 4, **changes)
    resumed = run(text, tmp_path / "resumed", **changes, compute__data_workers=2)
    assert resumed["resumed_from_step"] == 4
    assert_equal_bits(weights(resumed), weights(whole))


def test_muon_resumes_to_the_same_bits(text, tmp_path, undisturbed):
    changes = {"optimization__optimizer": "muon", "optimization__muon_learning_rate": 0.05}
    changes |= {"compute__progress_every_seconds": 0.0}
    whole = run(text, tmp_path / "whole", **changes)
    assert whole["validation_loss_nats"] < undisturbed[0]["validation_loss_nats"] + 0.5
    with pytest.raises(Interrupted):
        run(text, tmp_path / "resumed", lambda step, values: step >= 10, **changes)
    resumed = run(text, tmp_path / "resumed", **changes)
    assert resumed["resumed_from_step"] == 10
    assert_equal_bits(weights(resumed), weights(whole))


@pytest.mark.parametrize("kind", members("lm_modules.objectives"))
def test_the_loss_of_every_objective_is_that_of_the_whole_step(text, tmp_path, kind):
    def losses(rows):
        seen = {}

        def note(step, values):
            seen.setdefault(step, {}).update(values)
            return False

        changes = {"objective": kind, "optimization__budget_steps": 5, "compute__progress_every_seconds": 0.0}
        run(text, tmp_path / f"cut{rows}", note, optimization__micro_batch_rows=rows, **changes)
        return [
            {name: value for name, value in values.items() if name.startswith("train/") and name not in OF_THE_MACHINE}
            for _, values in sorted(seen.items())
        ]

    whole = losses(None)
    assert len(whole[0]) >= 3
    for rows in (1, 4):
        for one, other in zip(losses(rows), whole, strict=True):
            assert one == pytest.approx(other, rel=1e-5, abs=1e-5)


def test_a_budget_in_tokens_is_rounded_up_to_steps(text, tmp_path):
    result = run(text, tmp_path, optimization__budget_steps=None, optimization__budget_tokens=1000)
    assert result["steps"] == 4


def test_a_budget_in_minutes_fixes_the_steps_before_the_first(text, tmp_path):
    changes = {"optimization__budget_steps": None, "optimization__budget_minutes": 1e-2}
    with pytest.raises(Interrupted) as stopped:
        run(text, tmp_path, lambda step, values: step >= 3, compute__progress_every_seconds=0.0, **changes)
    planned, totals = stopped.value.steps, set()

    def report(step, values):
        totals.update({values[TOTAL]} if "train/loss" in values else ())
        return False

    result = run(text, tmp_path, report, **changes)
    assert result["steps"] == planned
    assert totals == {planned}
    assert result["resumed_from_step"] == 3


def test_bf16_trains_as_well(text, tmp_path, undisturbed):
    result = run(text, tmp_path, compute__precision="bf16")
    assert result["precision"] == "bf16"
    assert result["validation_loss_nats"] == pytest.approx(undisturbed[0]["validation_loss_nats"], abs=0.15)
    assert weights(result)["embedding.weight"].dtype == torch.float32


def test_an_empty_validation_split_says_what_to_do(tmp_path):
    tokens, tokenizer = make_tokens(tmp_path)
    write_packed(tokens, "validation", [], vocab_size=258, end_of_text_id=0)
    with pytest.raises(ValueError, match="validation split is empty; raise"):
        run((tokens, tokenizer), tmp_path / "run")


def test_a_step_without_a_number_is_left_out_counted_and_told(text, tmp_path, monkeypatch, caplog):
    no_number_at(monkeypatch, 5, 9)
    with caplog.at_level(logging.WARNING):
        whole = run(text, tmp_path / "whole", compute__progress_every_seconds=0.0)
    assert whole["skipped_steps"] == 2
    assert whole["steps"] == 24
    assert "step 5 has a loss of nan" in caplog.text
    assert all(torch.isfinite(weight).all() for weight in weights(whole).values())
    with pytest.raises(Interrupted):
        run(text, tmp_path / "cut", lambda step, values: step >= 7, compute__progress_every_seconds=0.0)
    assert_equal_bits(weights(run(text, tmp_path / "cut")), weights(whole))


@pytest.mark.parametrize(
    ("changes", "nats", "skipped"),
    [
        ({}, 7.0, 1),
        ({}, 4.0, 0),
        ({"optimization__spike_nats": 3.0}, 4.0, 1),
        ({"optimization__spike_nats": None}, 7.0, 0),
        ({"objective": "replaced_token_detection"}, 200.0, 0),  # 50 times what it is for a label
        ({"objective": "replaced_token_detection"}, 300.0, 1),
    ],
)
def test_a_spike_is_left_out(text, tmp_path, monkeypatch, changes, nats, skipped):
    whole = PretrainingModule._gradient

    def spiked(self, batch):
        parts = whole(self, batch)
        return {name: value + nats * (self.step == 60) for name, value in parts.items()}

    monkeypatch.setattr(PretrainingModule, "_gradient", spiked)
    assert run(text, tmp_path, optimization__budget_steps=64, **changes)["skipped_steps"] == skipped


def test_no_step_of_a_healthy_run_is_a_spike_of_its_whole_loss(text, tmp_path):
    changes = {"objective": "replaced_token_detection", "optimization__batch_tokens": 32}  # whose batches differ most
    assert run(text, tmp_path, optimization__budget_steps=200, **changes)["skipped_steps"] == 0


def test_a_loss_that_stays_no_number_ends_the_run(text, tmp_path):
    with pytest.raises(Diverged, match="lower optimization"):
        run(text, tmp_path, optimization__learning_rate=1e300)


class UnfitForStep(CausalLm):
    """A decoder whose loss is no number for some row of some batch."""

    def corrupt(self, tokens_BL, vocabulary, generator):
        batch = super().corrupt(tokens_BL, vocabulary, generator)
        spoilt = torch.rand((), generator=generator) < 0.3
        noise_B = torch.zeros(len(tokens_BL))
        noise_B[-1] = torch.nan if spoilt else 0.0
        return batch | {"noise": noise_B}

    def losses(self, network, batch):
        losses = super().losses(network, batch)
        return {"loss": losses["loss"] + batch["noise"].mean()} if torch.is_grad_enabled() else losses


@pytest.mark.parametrize("changes", [{}, {"optimization__micro_batch_rows": 3}, {"compute__devices": 2}])
def test_a_batch_with_a_number_that_is_none_is_left_out_whole(text, tmp_path, changes, caplog):
    config = tiny_config(**changes).model_copy(update={"objective": UnfitForStep()})
    result = pretrain(config, tokens=text[0], tokenizer=text[1], workdir=tmp_path, seed=3)
    assert 2 <= result["skipped_steps"] < 12
    assert caplog.text.count("it is left out") == result["skipped_steps"]
    assert result["validation_loss_nats"] < 5
    assert all(torch.isfinite(weight).all() for weight in weights(result).values())


@pytest.mark.parametrize("devices", [1, 2])
def test_all_ranks_go_back_together(text, tmp_path, devices, caplog):
    changes = {"compute__devices": devices, "optimization__max_skipped_steps": 1, "optimization__budget_steps": 16}
    config = tiny_config(**changes, compute__checkpoint_every_steps=1)
    config = config.model_copy(update={"objective": UnfitForStep()})
    result = pretrain(
        config, tokens=text[0], tokenizer=text[1], workdir=tmp_path, seed=29
    )  # whose steps 7, 8, 11 and 12 are spoilt
    assert "going back to step 6; from there on these steps are left out: 7, 8" in caplog.text
    assert "going back to step 10; from there on these steps are left out: 11, 12" in caplog.text
    assert (result["steps"], result["skipped_steps"]) == (16, 4)
    assert all(torch.isfinite(weight).all() for weight in weights(result).values())


@pytest.mark.parametrize("devices", [1, 2])
def test_all_ranks_go_back_to_the_first_step_together(text, tmp_path, devices, caplog):
    changes = {"compute__devices": devices, "optimization__max_skipped_steps": 1, "optimization__budget_steps": 16}
    config = tiny_config(**changes, compute__checkpoint_every_steps=100)
    config = config.model_copy(update={"objective": UnfitForStep()})
    result = pretrain(config, tokens=text[0], tokenizer=text[1], workdir=tmp_path, seed=29)
    assert "the first step; from there on these steps are left out: 7, 8" in caplog.text
    assert "the first step; from there on these steps are left out: 11, 12" in caplog.text
    assert (result["steps"], result["skipped_steps"]) == (16, 4)
    assert all(torch.isfinite(weight).all() for weight in weights(result).values())


def test_tokens_of_another_tokenizer_are_refused_with_sizes_and_digests(text, tmp_path):
    tokens, tokenizer = make_tokens(tmp_path)
    meta = json.loads((tokens / "meta.json").read_text())
    digest = hashlib.sha256((tokenizer / "tokenizer.json").read_bytes()).hexdigest()
    (tokens / "meta.json").write_text(json.dumps(meta | {"tokenizer_digest": digest}))
    assert run((tokens, tokenizer), tmp_path / "same", optimization__budget_steps=1)["steps"] == 1
    (tokens / "meta.json").write_text(json.dumps(meta | {"tokenizer_digest": "b" * 64, "vocab_size": 1000}))
    words = rf"another tokenizer \(1000 entries, digest b{{64}}\).*\({meta['vocab_size']} entries, digest {digest}\)"
    with pytest.raises(ValueError, match=words):
        run((tokens, tokenizer), tmp_path / "other", optimization__budget_steps=1)


def test_a_context_longer_than_the_data_says_what_to_do(text, tmp_path):
    changes = {"model__context_length": 8192, "optimization__batch_tokens": 8192}
    with pytest.raises(ValueError, match=r"too few for rows of 8193; add text or shorten model\.context_length"):
        run(text, tmp_path, **changes)


def test_an_unknown_objective_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="unknown kind 'mask_lm'; did you mean 'masked_lm'"):
        tiny_config(objective="mask_lm")
