"""u-muP keeps the size of activations and gradients over the width; the standard parametrization does not."""

import json
import math
from pathlib import Path

import pytest
from tiny_pretraining import make_tokens, tiny_config

from configs.component import members
from lm_modules.training.coordinate_check import coordinate_check, widened
from lm_modules.training.coordinate_lines import AT_BIRTH, Line, verdict

WIDTHS = (32, 64, 128, 256)
MUON = {"optimization__optimizer": "muon", "optimization__muon_learning_rate": 0.02}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    # a text that is not learned by heart in four steps
    return make_tokens(tmp_path_factory.mktemp("text"), Path(__file__).read_text())


def check(text, output, widths=WIDTHS, steps=4, **changes):
    config = tiny_config(**{"optimization__learning_rate": 0.5, **changes})
    tokens, tokenizer = text
    return coordinate_check(
        config, tokens=tokens, tokenizer=tokenizer, seed=0, widths=widths, steps=steps, output=output
    )


@pytest.mark.parametrize("optimizer", [{}, MUON], ids=["adamw", "muon"])
def test_u_mup_keeps_every_size_over_eightfold_width_and_standard_does_not(text, tmp_path, optimizer):
    found = check(text, tmp_path, **optimizer)["verdicts"]
    assert (found["u_mup"]["num_moving"], found["u_mup"]["num_leaving"]) == (0, 0), found["u_mup"]
    assert found["u_mup"]["num_judged"] == found["standard"]["num_judged"] == 31
    assert found["standard"]["num_moving"] > 15
    assert found["standard"]["steepest_exponent"] > 1
    assert (tmp_path / "coordinate_check.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", members("lm_modules.objectives"))
def test_every_objective_is_measured_whole_and_keeps_its_activations(kind, text, tmp_path):
    widths = (32, 64, 128)
    # of 256 tokens a pair of segments hides some 30, and chance decides how far four steps come
    found = check(text, tmp_path, widths=widths, objective=kind, optimization__batch_tokens=1024)
    lines = json.loads((tmp_path / "coordinate_check.json").read_text())["lines"]
    mine = [line for line in lines if line["parametrization"] == "u_mup"]
    assert {line["part"] for line in mine} == {
        *("embedding", "attention", "feed-forward", "stream", "logits", "gradient")
    }
    assert all(set(line["rms"]) == set(map(str, widths)) for line in lines)
    # a pair has one answer a row, too few numbers for a size
    judged = [line for line in mine if line["part"] != "gradient" and line["name"] != "answer"]
    assert not [line["name"] for line in judged if line["moves"]]
    assert len(found["words"]) == 2


def test_two_widths_are_said_to_be_too_few(text, tmp_path):
    *verdicts, remark = check(text, tmp_path, widths=(32, 64))["words"]
    assert len(verdicts) == 2
    assert remark.startswith("2 widths cannot tell noise from a fault")


def test_the_head_of_a_pair_does_not_outgrow_the_readout_with_the_width(text, tmp_path):
    found = check(text, tmp_path, objective="next_sentence", steps=1)["verdicts"]["u_mup"]
    assert not [each for each in found["moving"] if each.startswith("gradient")]


def test_a_width_changes_what_was_set_in_proportion_and_cuts_a_large_batch():
    config = tiny_config(
        model__width=64,
        model__head_width=16,
        model__key_value_heads=2,
        model__feed_forward_width=96,
        optimization__batch_tokens=32 * 1024,
    )
    wide = widened(config, 112, "standard")
    assert (wide.model.heads, wide.model.key_value_heads, wide.model.feed_forward) == (7, 1, 168)
    assert wide.optimization.batch_tokens == 4096
    assert (wide.model.parametrization.kind, wide.optimization.learning_rate) == ("standard", 1e-3)
    same = widened(config, 128, "u_mup")
    assert (same.model.key_value_heads, same.optimization.learning_rate) == (4, config.optimization.learning_rate)


@pytest.mark.parametrize(
    ("widths", "steps", "message"),
    [((32,), 1, "at least two widths"), ((32, 40), 1, r"40 .*head_width 16; take 32"), ((32, 64), 0, "one step")],
)
def test_what_cannot_be_measured_is_refused(text, tmp_path, widths, steps, message):
    with pytest.raises(ValueError, match=message):
        check(text, tmp_path, widths=widths, steps=steps)


def line(power, *, at=64, value=1.0, when=AT_BIRTH, part="stream", name="layers.0"):
    return Line("u_mup", when, part, name, {width: value * (width / at) ** power for width in (32, 64, 128)})


@pytest.mark.parametrize(
    ("given", "moves", "leaves"),
    [
        (line(0.1), False, False),
        (line(0.5), True, False),
        (line(-0.5), True, False),
        (line(0.0, value=12), False, True),
        (line(0.0, value=12, when="after 4 steps"), False, False),
        (line(0.0, value=0.02), False, True),
        (line(0.0, value=0.02, part="gradient", name="layers.0.attention.query"), False, False),
        (line(-0.5, part="logits"), False, False),
        (line(-0.5, part="logits", when="after 4 steps"), True, False),
        (line(0.5, part="gradient", when="after 4 steps"), False, False),
        (line(0.0, value=math.nan), True, True),
        (line(0.0, value=0.0), False, False),
    ],
)
def test_a_line_is_judged_by_its_power_of_the_width_and_its_size_at_birth(given, moves, leaves):
    if not math.isnan(given.exponent):
        assert given.exponent == pytest.approx(math.log(given.rms[128] / given.rms[32]) / math.log(4), abs=1e-9)
    assert (given.moves, given.leaves) == (moves, leaves)
    found = verdict([given, line(0.0)])
    assert (found["num_moving"], found["num_leaving"]) == (moves, leaves)
