import pytest
from pydantic import ValidationError

from configs.model import ModelConfig
from configs.optimization import OptimizationConfig
from configs.pretraining import PretrainingConfig
from configs.size import num_weights
from lm_modules.objectives.causal_lm import CausalLm


def test_defaults_are_complete_and_heads_follow_from_the_width():
    model = PretrainingConfig().model
    assert (model.heads, model.num_key_value_heads, model.feed_forward) == (4, 4, 704)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 100}, r"width 100 is not a multiple of head_width 64; take 128"),
        ({"key_value_heads": 3}, r"key_value_heads 3 does not divide the 4 heads"),
        ({"widht": 64}, r"did you mean 'width'"),
        ({"parametrization": "u_mpu"}, r"did you mean 'u_mup'"),
    ],
)
def test_a_shape_that_cannot_be_is_refused_with_the_remedy(settings, message):
    with pytest.raises(ValidationError, match=message):
        ModelConfig.model_validate(settings)


@pytest.mark.parametrize("settings", [{}, {"budget_steps": 5, "budget_minutes": 1.0}])
def test_exactly_one_budget_is_needed(settings):
    with pytest.raises(ValidationError, match="exactly one of budget_steps, budget_tokens, budget_minutes"):
        OptimizationConfig(**settings)


def test_warmup_and_decay_fit_into_the_budget():
    with pytest.raises(ValidationError, match="add up to more than 1"):
        OptimizationConfig(budget_steps=10, warmup_fraction=0.5, decay_fraction=0.6)


def test_a_momentum_of_muon_without_muon_is_refused_and_settings_survive_being_written():
    with pytest.raises(ValidationError, match=r"muon_momentum 0.9 has no effect with optimizer adamw; set optimizer"):
        OptimizationConfig(budget_steps=10, muon_momentum=0.9)
    for settings in ({"optimizer": "muon", "muon_momentum": 0.9}, {"schedule": "cosine", "decay_fraction": 0.5}, {}):
        config = OptimizationConfig(budget_steps=10, **settings)
        assert OptimizationConfig.model_validate_json(config.model_dump_json()) == config


def test_a_batch_is_made_of_whole_rows():
    with pytest.raises(ValidationError, match=r"batch_tokens 1000 is not a multiple.*take 1024"):
        PretrainingConfig.model_validate({"optimization": {"batch_tokens": 1000, "budget_steps": 1}})


@pytest.mark.parametrize(
    ("objective", "model", "message"),
    [
        ("masked_lm", {"query_key_norm": True}, r"set model.query_key_norm to false"),
        ("masked_lm", {"sliding_window": 64}, r"stock EuroBERT has no local layers.*set model.encoder to modernbert"),
        ("masked_lm", {"encoder": "modernbert", "key_value_heads": 2}, r"leave model.key_value_heads 2 empty"),
        ("next_sentence", {"sliding_window": 64}, r"stock EuroBERT has no local layers"),
        ("causal_lm", {"encoder": "modernbert"}, r"model.encoder modernbert is nothing that a decoder can have"),
        ("causal_lm", {"sliding_window": 64, "local_rope_theta": 500}, r"local_rope_theta 500.0 is nothing that"),
        ("span_denoising", {"sliding_window": 64}, r"model.sliding_window 64 is nothing that stock T5 can have"),
        ("span_denoising", {"encoder": "modernbert"}, r"an encoder-decoder can have; set it to eurobert"),
        ("causal_lm", {"local_rope_theta": 500}, r"local_rope_theta 500 has no effect without local layers"),
    ],
)
def test_what_no_stock_architecture_can_hold_is_refused_before_training(objective, model, message):
    with pytest.raises(ValidationError, match=message):
        PretrainingConfig.model_validate({"objective": objective, "model": model})


@pytest.mark.parametrize("tied", [False, True])
def test_cost_counts_the_weights_that_are_there(tied):
    from lm_modules.model.transformer import build_transformer

    model = ModelConfig(width=64, depth=3, head_width=16, key_value_heads=2, tied_embeddings=tied)
    network = build_transformer(model, 100, model.parametrization.scales(model, 100, 256), causal=True)
    assert num_weights(model, 100) == sum(parameter.numel() for parameter in network.parameters())


def test_cost_counts_the_operations_that_torch_counts():
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from lm_modules.model.transformer import build_transformer

    model = ModelConfig(width=64, depth=2, head_width=16, context_length=32)
    network = build_transformer(model, 100, model.parametrization.scales(model, 100, 256), causal=True)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 32, dtype=torch.long)).sum().backward()
    counted = counter.get_total_flops() / 64
    # torch's counter does not know the attention kernel of CPUs, so the matrices alone are compared.
    attention = 12 * 2 * 64 * 32 / 2
    assert CausalLm().training_flops(model, 100) / 32 - attention == pytest.approx(counted)


def test_a_learning_rate_for_u_mup_is_refused_with_the_standard_parametrization():
    optimization = {"learning_rate": 0.5, "budget_steps": 1}
    settings = {"model": {"parametrization": "standard"}, "optimization": optimization}
    with pytest.raises(ValueError, match=r"learning_rate 0.5 is one for u_mup; .* standard needs one of 1e-4 to 1e-2"):
        PretrainingConfig.model_validate(settings)
    for fitting in ({"learning_rate": 0.05}, {"optimizer": "muon"}):  # beside Muon it is said when the run begins
        PretrainingConfig.model_validate(settings | {"optimization": optimization | fitting})
