"""The figures that a stage ends with."""

from typing import Any

import pytest

from tasks.artifacts import Checkpoint, Model, Pretrained, utilization

TRAINED = {
    "validation_bits_per_byte": None,
    "validation_loss_nats": 2.5,
    "num_parameters": 1_000_000,
    "steps": 600,
    "tokens_per_second": 7315.0,
    "passes_over_the_text": 0.345,
    "mfu": 0.0071,
    "flops_per_token": 1.064e6,
    "flops_formula": "6 x weights",
    "peak_teraflops_per_second": 1.16,
    "peak_source": "timed on 1 CPU thread",
}


def figures(task: str, **trained: Any) -> dict[str, float | str]:
    reference = {"uri": "runs:/1/it", "digest": "0", "run_id": "1"}
    exported = {"task": task, "num_parameters": 1_000_450, "max_logit_difference": 1e-6}
    checkpoint = Checkpoint(facts=TRAINED | trained, **reference)
    return Pretrained(checkpoint=checkpoint, model=Model(facts=exported, **reference)).figures()


def test_pretraining_ends_with_the_loss_first_and_the_parameters_of_the_model_that_was_made():
    found = figures("text-generation")
    assert list(found)[:2] == ["validation loss", "parameters"]
    assert found["parameters"] == 1_000_450
    assert found["passes over the text"] == 0.345
    assert max(len(str(each)) for each in found.values()) < 20


def test_of_a_detector_the_discriminator_alone_is_counted():
    found = figures("token-classification")
    assert found["parameters of the discriminator"] == 1_000_450
    assert "parameters" not in found


@pytest.mark.parametrize("mfu", [None, 0.0071])
def test_the_utilization_has_a_line_of_its_own(mfu):
    words = utilization(TRAINED | {"mfu": mfu})
    if mfu is None:
        assert words is None
        assert "MFU" not in figures("fill-mask", mfu=None)
    else:
        assert figures("fill-mask")["MFU"] == "0.7%"
        assert words == (
            "MFU 0.7% = tokens per second x 1.064 MFLOP (6 x weights) / (devices x 1.16 TFLOP/s, timed on 1 CPU thread)"
        )
