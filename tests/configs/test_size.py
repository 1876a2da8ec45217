import pytest
from pydantic import ValidationError

from configs.budget import BUDGET_KEYS
from configs.loading import ConfigError, load, to_yaml
from configs.model import ModelConfig
from configs.pretraining import PretrainingConfig
from configs.size import BATCH_KEYS, SHAPE_KEYS, num_weights, with_shape


def sized(preset, size, *overrides):
    return load(preset, [f"pretraining.model.size={size}", *overrides])


def shape_of(config):
    model = config.pretraining.model
    return model.width, model.depth, model.head_width


@pytest.mark.parametrize(
    ("size", "vocab_size", "shape"),
    [
        ("124M", 32_768, (768, 12, 64)),  # GPT-2 small
        ("7B", 32_768, (4096, 32, 128)),  # GPT-3 6.7B, Llama 7B
        ("13B", 32_768, (5120, 40, 128)),  # GPT-3 13B, Llama 13B
        ("12 layers", 32_768, (768, 12, 64)),
        ("32 layers", None, (4096, 32, 128)),
    ],
)
def test_well_known_shapes_are_found_again(size, vocab_size, shape):
    model = with_shape({"size": size}, vocab_size)
    assert (model["width"], model["depth"], model["head_width"]) == shape


@pytest.mark.parametrize("vocab_size", [256, 2048, 32_768])
def test_the_weights_are_about_as_many_as_asked_for_and_width_to_depth_is_64_to_128(vocab_size):
    for size in (10e6, 30e6, 124e6, 350e6, 1e9, 3e9, 7e9, 30e9, 70e9):
        model = ModelConfig.model_validate(with_shape({"size": f"{size / 1e6:g}M"}, vocab_size))
        assert 0.75 < num_weights(model, vocab_size) / size < 1.33
        assert 55 < model.width / model.depth <= 130
        assert model.width % model.head_width == 0


@pytest.mark.parametrize(
    ("size", "vocab_size"),
    [("1M", 512), ("1M", 258), ("500K", 2048), ("200K", 258), ("300K", 258), ("1M", 2048), ("5M", 8192), ("2M", None)],
)
def test_small_sizes_are_met_with_usual_vocabularies(size, vocab_size):
    model = ModelConfig.model_validate(with_shape({"size": size}, vocab_size))
    wanted = float(size[:-1]) * {"K": 1e3, "M": 1e6}[size[-1]]
    assert num_weights(model, vocab_size) / wanted == pytest.approx(1, abs=0.15)
    assert abs(model.depth - model.width / 64) <= 2
    assert model.heads * model.head_width == model.width


@pytest.mark.parametrize(
    ("size", "vocab_size", "shape"),
    [
        ("10M", 2048, (384, 6, 64)),
        ("10M", 32_768, (128, 2, 64)),
        ("30M", 2048, (512, 8, 64)),
        ("1B", 32_768, (1856, 20, 64)),
    ],
)
def test_from_ten_million_weights_on_shapes_lie_on_the_line(size, vocab_size, shape):
    model = with_shape({"size": size}, vocab_size)
    assert (model["width"], model["depth"], model["head_width"]) == shape


@pytest.mark.parametrize(
    "beside",
    [
        *({"width": 512}, {"width": "512"}, {"depth": 12}, {"head_width": 32}, {"key_value_heads": 4}),
        *({"feed_forward_width": 512}, {"width": 256, "head_width": 32, "key_value_heads": 2}),
    ],
)
def test_a_size_in_layers_has_so_many_whatever_is_set_beside_it(beside):
    assert set(beside) <= set(SHAPE_KEYS)
    model = PretrainingConfig.model_validate({"model": {"size": "12 layers", **beside}}).model
    assert model.depth == 12
    assert all(getattr(model, key) == int(value) for key, value in beside.items())
    assert model.width == int(beside.get("width", 768))


def test_the_horizon_is_twenty_tokens_a_weight_and_the_batch_follows_it():
    from lm_modules.model.transformer import build_transformer

    config = sized("small", "1M").pretraining
    model, vocab_size = config.model, 2048
    network = build_transformer(model, vocab_size, model.parametrization.scales(model, vocab_size, 256), causal=True)
    weights = sum(parameter.numel() for parameter in network.parameters())
    assert config.optimization.budget_tokens == 20 * weights
    assert [getattr(config.optimization, key) for key in ("budget_steps", "budget_minutes")] == [None, None]
    rows = 0.58 * (20 * weights) ** 0.571 / model.context_length
    assert config.batch_sizes.rows in (32, 64)
    assert 2**-0.5 <= config.batch_sizes.rows / rows <= 2**0.5


def test_the_dial_replaces_what_a_preset_below_says_and_keeps_the_rest(tmp_path):
    small = load("small").pretraining
    config = sized("small", "10M")
    assert shape_of(config) == (384, 6, 64)
    assert config.pretraining.optimization.batch_tokens != small.optimization.batch_tokens
    assert config.pretraining.optimization.learning_rate == small.optimization.learning_rate
    assert config.pretraining.model.parametrization == small.model.parametrization
    (tmp_path / "mine.yaml").write_text("extends: small\npretraining: {model: {size: 10M}}\n")
    assert load(str(tmp_path / "mine.yaml")).pretraining == config.pretraining
    (tmp_path / "again.yaml").write_text("extends: mine.yaml\npretraining: {model: {size: 1M}}\n")
    assert load(str(tmp_path / "again.yaml")).pretraining == sized("small", "1M").pretraining


def test_what_is_set_beside_the_dial_or_above_it_is_kept():
    beside = ["pretraining.model.depth=4", "pretraining.optimization.budget_steps=70"]
    for overrides in (beside, beside[::-1]):
        config = sized("small", "10M", *overrides).pretraining
        assert config.model.depth == 4
        assert 0.75 < num_weights(config.model, 2048) / 10e6 < 1.33
        assert (config.optimization.budget_steps, config.optimization.budget_tokens) == (70, None)
    before = load("small", ["pretraining.optimization.batch_tokens=4096", "pretraining.model.size=10M"]).pretraining
    assert before.optimization.batch_tokens == 4096
    assert sized("small", "10M", "pretraining.model.width=512").pretraining.model.depth == 3
    grouped = sized("small", "10M", "pretraining.model.key_value_heads=2").pretraining.model
    assert (grouped.heads % 2, grouped.key_value_heads) == (0, 2)


def test_what_is_derived_is_shown_and_loads_back_to_the_same(tmp_path):
    config = sized("gpt_124m", "350M")
    (tmp_path / "shown.yaml").write_text(to_yaml(config))
    assert "width: 1216" in to_yaml(config)
    assert load(str(tmp_path / "shown.yaml")) == config
    section = config.pretraining
    assert PretrainingConfig.model_validate(section.model_dump(mode="json")) == section


@pytest.mark.parametrize(
    ("size", "overrides", "words"),
    [
        (
            "10M",
            ["pretraining.model.width=768", "pretraining.model.depth=12"],
            ["88,", "leave out width 768 and depth 12"],
        ),
        ("50K", [], ["nearest shape has 147,456 weights with a vocabulary of 2048", "another size or vocabulary"]),
        ("12 layers", ["pretraining.model.depth=4"], ["'12 layers' and model.depth 4 contradict"]),
        ("10 Mio", [], ["model.size", "10 Mio"]),
        ("30m", [], ["model.size: '30m' is no size; write 10M, 500K, 1.5B or '12 layers'"]),
        ("12", [], ["model.size: 12 is no size"]),
        ("10M", ["pretraining.model.head_width=40000"], ["model.size 10M has heads for head_width 40000", "lower"]),
        ("10M", ["pretraining.model.width=wide"], ["pretraining.model.width", "'wide'"]),
        ("10M", ["pretraining.model.width=-8"], ["pretraining.model.width", "-8"]),
    ],
)
def test_a_contradiction_is_refused_with_the_remedy(size, overrides, words):
    with pytest.raises(ConfigError) as caught:
        sized("small", size, *overrides)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistyped_size_is_the_only_complaint_where_nothing_else_gives_a_budget(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "extends: small\npretraining: {model: {size: 30m}, optimization: {budget_tokens: null, budget_minutes: null}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(str(tmp_path / "mine.yaml"))
    assert "budget" not in str(caught.value)
    with pytest.raises(ValidationError) as plain:
        PretrainingConfig.model_validate({"model": {"size": "30m"}, "optimization": {"learning_rate": 0.5}})
    assert [each["loc"] for each in plain.value.errors()] == [("model", "size")]


def test_a_number_that_was_quoted_is_a_number_beside_the_dial():
    quoted = PretrainingConfig.model_validate({"model": {"size": "10M", "width": "256"}})
    assert quoted == PretrainingConfig.model_validate({"model": {"size": "10M", "width": 256}})
    assert quoted.model.width == 256


def test_without_a_vocabulary_the_layers_are_counted():
    config = PretrainingConfig.model_validate({"model": {"size": "10M"}})
    assert config.optimization.budget_tokens == 20 * num_weights(config.model, None)
    assert 7.5e6 < num_weights(config.model, None) < 13.3e6
    with pytest.raises(ValidationError, match="in its layers"):
        ModelConfig.model_validate({"size": "10K"})


def test_null_means_that_the_dial_chooses():
    nulls = [f"pretraining.model.{key}=null" for key in SHAPE_KEYS]
    nulls += [f"pretraining.optimization.{key}=null" for key in (*BATCH_KEYS, *BUDGET_KEYS)]
    assert sized("small", "10M", *nulls).pretraining == sized("small", "10M").pretraining


def test_without_the_dial_nothing_is_derived():
    assert load("small").pretraining.model.size is None
    assert load("small").pretraining.model.width == 192
