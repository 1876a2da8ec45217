"""One dial: `model.size: 10M` chooses shape, batch and horizon; whatever is set beside it is kept.

    size         weights, those of embedding and readout included where the vocabulary is known; or `12 layers`
    shape        width / depth is 64 up to the width 768 and grows to 128 at the width 4096: GPT-2 small (Radford et al.
                 2019) and GPT-3 6.7B (Brown et al. 2020, arXiv 2005.14165, table 2.1) lie on the line; heads are
                 64 wide, from the width 2048 on 128, and narrower in narrow models. Below 10M weights a step of the
                 width is large, so widths come in finer steps and depths up to two beside the line
    horizon      20 tokens for each weight (Hoffmann et al. 2022, arXiv 2203.15556, section 3.4)
    batch        0.58 * tokens ** 0.571 (Li et al. 2025, arXiv 2503.04715), as the nearest power of two of rows

The learning rate is not touched: with u_mup it stays what it is at any width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from configs.budget import BUDGET_KEYS

if TYPE_CHECKING:
    from configs.model import ModelConfig

SIZE = r"[0-9]+(\.[0-9]+)?[KMB]|[1-9][0-9]* layers"
SHAPE_KEYS = ("width", "depth", "head_width", "key_value_heads", "feed_forward_width")
NUMBERS = (*SHAPE_KEYS, "context_length")
BATCH_KEYS = ("batch_tokens", "batch_tokens_start", "batch_ramp_steps")
TOKENS_PER_WEIGHT = 20
LARGEST_WIDTH, LARGEST_DEPTH = 32_768, 512
FINE_WIDTHS = (*range(32, 128, 16), *range(128, 512, 32), *range(512, 1025, 64))
FARTHEST = 1.5
"""Factor by which a shape may be larger or smaller than the size beside it says."""
SMALL, NEAR = 1e7, 1.1
"""Below so many weights shapes come in finer steps; of those that miss the size by this factor at most, the one nearest
to the line of width and depth is taken."""

_INTEGER = TypeAdapter(int)
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
    if not isinstance(model, Mapping) or model.get("size") is None or not isinstance(optimization, Mapping):
        return section
    if not has_size(model):  # refused by the model section, whose word must not be followed by one on budgets
        budget = {} if any(optimization.get(key) is not None for key in BUDGET_KEYS) else {"budget_steps": 1}
        return section | {"optimization": {**optimization, **budget}}
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
    given |= {key: _whole(given[key]) for key in NUMBERS if given.get(key) is not None}
    size = given["size"]
    if size.endswith("layers"):
        layers = int(size.split()[0])
        if given.setdefault("depth", layers) != layers:
            raise ValueError(
                f"model.size {size!r} and model.depth {given['depth']} contradict each other; leave one out"
            )
        candidates = _candidates(given)
        return given | _as_keys(min(candidates, key=lambda each: abs(each.width / _aspect(each.width) - layers)))
    wanted = float(size[:-1]) * {"K": 1e3, "M": 1e6, "B": 1e9}[size[-1]]
    if vocab_size is None and {"width", "depth"} <= given.keys():
        return given | _as_keys(_candidates(given)[0])  # embedding and readout may make up for any difference
    nearest = _nearest(given, wanted, vocab_size)
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
    asked = wish["model"].get("size") if isinstance(wish, Mapping) and isinstance(wish.get("model"), Mapping) else None
    if not is_size(asked) or not isinstance(section, Mapping):
        return dict(below)
    decided = {"model": {"size", *SHAPE_KEYS}, "optimization": {*BATCH_KEYS, *BUDGET_KEYS}}
    kept = {
        name: {key: each for key, each in value.items() if key not in decided[name]}
        if name in decided and isinstance(value, Mapping)
        else value
        for name, value in section.items()
    }
    return {**below, "pretraining": kept}


def is_size(value: Any) -> bool:
    """Return whether this is a number of weights or layers as it is written after `size:`."""
    return isinstance(value, str) and re.fullmatch(SIZE, value) is not None


def has_size(model: Any) -> bool:
    """Return whether a model section has a size, and beside it no number that could not be one."""
    if not isinstance(model, Mapping) or not is_size(model.get("size")):
        return False
    return all((_whole(model[key]) or 0) > 0 for key in NUMBERS if model.get(key) is not None)


def _whole(value: Any) -> int | None:
    """Return the whole number that a setting stands for, also as text (`"256"`); None where it is none."""
    try:
        return _INTEGER.validate_python(value)
    except ValidationError:
        return None


def _aspect(width: int) -> float:
    """Return the width of a good shape divided by its depth."""
    growth = math.log(2) / math.log(4096 / 768)
    return 64 * min(2.0, max(1.0, width / 768) ** growth)


def _nearest(given: Values, wanted: float, vocab_size: int | None) -> ModelConfig:
    """Return the shape that agrees with what is given and comes nearest to so many weights."""

    def miss(shape: ModelConfig) -> float:
        return abs(math.log(num_weights(shape, vocab_size) / wanted))

    def miss_beside_line(shape: ModelConfig) -> tuple[float, float, float]:
        beside = abs(shape.depth - shape.width / _aspect(shape.width))
        return max(miss(shape), math.log(NEAR)), beside, miss(shape)

    if wanted < SMALL:
        return min(_candidates(given, fine=True), key=miss_beside_line)
    return min(_candidates(given), key=miss)


def _candidates(given: Values, *, fine: bool = False) -> list[ModelConfig]:
    """Return the shapes that agree with what is given: those on the line, or for small models those about it, too."""
    found = []
    for width in [given["width"]] if "width" in given else FINE_WIDTHS if fine else range(64, LARGEST_WIDTH + 1, 64):
        head_width = given.get("head_width") or _head_width(width)
        if "width" not in given and (width % head_width or width // head_width % (given.get("key_value_heads") or 1)):
            continue
        on_line = max(1, round(width / _aspect(width)))
        depths: Sequence[int] = range(max(1, on_line - 2), on_line + 3) if fine else [on_line]
        if "depth" in given:
            depths = [given["depth"]]
        elif "width" in given:
            depths = range(1, LARGEST_DEPTH + 1)
        found += [_shape({**given, "width": width, "depth": depth, "head_width": head_width}) for depth in depths]
    if not found:
        fixed = " and ".join(f"{key} {given[key]}" for key in ("head_width", "key_value_heads") if key in given)
        raise ValueError(
            f"no width that goes with model.size {given['size']} has heads for {fixed}; lower or leave it out"
        )
    return found


def _head_width(width: int) -> int:
    """Return the usual width of a head; in narrow models the widest of 64, 32 and 16 that divides."""
    if width >= 2048:
        return 128
    return next((each for each in (64, 32, 16) if width % each == 0), 64)


def _shape(given: Values) -> ModelConfig:
    """Return a shape without asking whether it can be: the model section itself is validated later."""
    from configs.model import ModelConfig

    keys = (*SHAPE_KEYS, "tied_embeddings", "context_length")
    return ModelConfig.model_construct(**{key: given[key] for key in keys if given.get(key) is not None})


def _as_keys(shape: ModelConfig) -> dict[str, int]:
    return {"width": shape.width, "depth": shape.depth, "head_width": shape.head_width}
