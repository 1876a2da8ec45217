"""One dial: `model.size: 10M` chooses shape, batch and horizon; whatever is set beside it is kept.

    size         weights, those of embedding and readout included where the vocabulary is known; or `12 layers`
    shape        width / depth is 64 up to the width 768 and grows to 128 at the width 4096: GPT-2 small (Radford et al.
                 2019) and GPT-3 6.7B (Brown et al. 2020, arXiv 2005.14165, table 2.1) lie on the line; heads are
                 64 wide, from the width 2048 on 128
    horizon      20 tokens for each weight (Hoffmann et al. 2022, arXiv 2203.15556, section 3.4)
    batch        0.58 * tokens ** 0.571 (Li et al. 2025, arXiv 2503.04715), as the nearest power of two of rows

The learning rate is not touched: with u_mup it stays what it is at any width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from configs.model import ModelConfig

SIZE = r"[0-9]+(\.[0-9]+)?[KMB]|[1-9][0-9]* layers"
SHAPE_KEYS = ("width", "depth", "head_width", "key_value_heads", "feed_forward_width")
BATCH_KEYS = ("batch_tokens", "batch_tokens_start", "batch_ramp_steps")
BUDGET_KEYS = ("budget_steps", "budget_tokens", "budget_minutes")
TOKENS_PER_WEIGHT = 20
LARGEST_WIDTH, LARGEST_DEPTH = 32_768, 512
FARTHEST = 1.5
"""Factor by which a shape may be larger or smaller than the size beside it says."""

Values = Mapping[str, Any]


def num_layer_weights(model: ModelConfig) -> int:
    """Return the weights of all layers, without embedding and readout."""
    query = 2 * model.width * model.heads * model.head_width
    key_value = 2 * model.width * model.num_key_value_heads * model.head_width
    return model.depth * (query + key_value + 3 * model.width * model.feed_forward)


def num_weights(model: ModelConfig, vocab_size: int | None) -> int:
    """Return all weights, a tied matrix counted once; without a vocabulary those of the layers."""
    return num_layer_weights(model) + (vocab_size or 0) * model.width * (1 if model.tied_embeddings else 2)


def with_size(pretraining: Values, vocab_size: int | None = None) -> dict[str, Any]:
    """Return the pretraining section with what follows from its `model.size` filled in where nothing is set."""
    section, model = dict(pretraining), pretraining.get("model") or {}
    optimization = pretraining.get("optimization") or {}
    if not has_size(model) or not isinstance(optimization, Mapping):
        return section
    model = with_shape(model, vocab_size)
    optimization = {key: value for key, value in optimization.items() if key not in BATCH_KEYS or value is not None}
    shape = _shape(model)
    horizon = TOKENS_PER_WEIGHT * num_weights(shape, vocab_size)
    if not any(optimization.get(key) is not None for key in BUDGET_KEYS):
        optimization["budget_tokens"] = horizon
    if "batch_tokens" not in optimization:
        tokens = optimization.get("budget_tokens") or horizon
        rows = 0.58 * float(tokens) ** 0.571 / shape.context_length
        optimization["batch_tokens"] = 2 ** max(0, round(math.log2(rows))) * shape.context_length
    return section | {"model": model, "optimization": optimization}


def with_shape(model: Values, vocab_size: int | None = None) -> dict[str, Any]:
    """Return the model section with the shape that its `size` asks for; a shape that contradicts it is a ValueError."""
    given = {key: value for key, value in model.items() if key not in SHAPE_KEYS or value is not None}
    size = given["size"]
    candidates = list(_candidates(given))
    if size.endswith("layers"):
        layers = int(size.split()[0])
        if given.setdefault("depth", layers) != layers:
            raise ValueError(
                f"model.size {size!r} and model.depth {given['depth']} contradict each other; leave one out"
            )
        return given | _as_keys(min(candidates, key=lambda each: abs(each.width / _aspect(each.width) - layers)))
    wanted = float(size[:-1]) * {"K": 1e3, "M": 1e6, "B": 1e9}[size[-1]]
    if vocab_size is None and {"width", "depth"} <= given.keys():
        return given | _as_keys(candidates[0])  # embedding and readout may make up for any difference
    nearest = min(candidates, key=lambda each: abs(math.log(num_weights(each, vocab_size) / wanted)))
    found = num_weights(nearest, vocab_size)
    if not wanted / FARTHEST <= found <= wanted * FARTHEST:
        fixed = " and ".join(f"{key} {given[key]}" for key in SHAPE_KEYS if key in given)
        nearest_one = (
            f"model.size is {size}, and the nearest shape{f' with {fixed}' if fixed else ''} has {found:,} weights"
        )
        if vocab_size is None:
            raise ValueError(
                f"{nearest_one} in its layers; take another size{f', or leave out {fixed}' if fixed else ''}"
            )
        raise ValueError(
            f"{nearest_one} with a vocabulary of {vocab_size}; take another size or vocabulary"
            f"{f', or leave out {fixed}' if fixed else ''}"
        )
    return given | _as_keys(nearest)


def without_shape(below: Values, above: Values) -> dict[str, Any]:
    """Return a whole configuration without what the `model.size` of the one above it decides anew."""
    section, wish = below.get("pretraining"), above.get("pretraining")
    asked = isinstance(wish, Mapping) and isinstance(wish.get("model"), Mapping) and wish["model"].get("size")
    if not asked or not isinstance(section, Mapping):
        return dict(below)
    decided = {"model": {"size", *SHAPE_KEYS}, "optimization": {*BATCH_KEYS, *BUDGET_KEYS}}
    kept = {
        name: {key: each for key, each in value.items() if key not in decided[name]}
        if name in decided and isinstance(value, Mapping)
        else value
        for name, value in section.items()
    }
    return {**below, "pretraining": kept}


def has_size(model: Any) -> bool:
    """Return whether a model section has a size, and beside it no number that could not be one."""
    if not isinstance(model, Mapping) or re.fullmatch(SIZE, str(model.get("size"))) is None:
        return False
    numbers = [model[key] for key in (*SHAPE_KEYS, "context_length") if model.get(key) is not None]
    return all(isinstance(each, int) and each > 0 for each in numbers)


def _aspect(width: int) -> float:
    """Return the width of a good shape divided by its depth."""
    growth = math.log(2) / math.log(4096 / 768)
    return 64 * min(2.0, max(1.0, width / 768) ** growth)


def _candidates(given: Values) -> Iterator[ModelConfig]:
    """Yield the shapes that agree with what is given."""
    widths = [given["width"]] if "width" in given else range(64, LARGEST_WIDTH + 1, 64)
    for width in widths:
        head_width = given.get("head_width") or (128 if width >= 2048 else 64)
        if "width" not in given and (width % head_width or width // head_width % (given.get("key_value_heads") or 1)):
            continue
        if "depth" in given:
            depths = [given["depth"]]
        elif "width" in given:
            depths = list(range(1, LARGEST_DEPTH + 1))
        else:
            depths = [max(1, round(width / _aspect(width)))]
        for depth in depths:
            yield _shape({**given, "width": width, "depth": depth, "head_width": head_width})


def _shape(given: Values) -> ModelConfig:
    """Return a shape without asking whether it can be: the model section itself is validated later."""
    from configs.model import ModelConfig

    keys = (*SHAPE_KEYS, "tied_embeddings", "context_length")
    return ModelConfig.model_construct(**{key: given[key] for key in keys if given.get(key) is not None})


def _as_keys(shape: ModelConfig) -> dict[str, int]:
    return {"width": shape.width, "depth": shape.depth, "head_width": shape.head_width}
