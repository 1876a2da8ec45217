"""What a stock configuration says of a model's shape, in the words of our `ModelConfig`.

Our network has no biases and few patterns of local layers, so a stock model with more is refused: its weights would not
compute the same in ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from configs.model import ModelConfig
from lm_modules.export.folding import STOCK_ACTIVATIONS, layer_types

ACTIVATIONS = {stock: own for own, stock in STOCK_ACTIVATIONS.items()}
T5_ACTIVATIONS = {f"gated-{own}": own for own in STOCK_ACTIVATIONS}


def llama_shape(stock: Any) -> dict[str, Any]:
    """Return the shape of a Llama, Qwen3, Ministral or EuroBERT; a ValueError names all that ours cannot hold."""
    rope = stock.rope_parameters or {}
    width, heads = stock.hidden_size, stock.num_attention_heads
    window = getattr(stock, "sliding_window", None)
    local = _local_layers(stock, window)
    if stock.model_type == "ministral" and local == {"sliding_window": None}:
        local = None  # ours would be exported as a Llama
    _refuse(
        stock,
        {
            "hidden_act": (stock.hidden_act, *ACTIVATIONS),
            "attention_bias": (getattr(stock, "attention_bias", False), False),
            "mlp_bias": (getattr(stock, "mlp_bias", False), False),
            "rope_type": (rope.get("rope_type", "default"), "default"),
            "head_dim": (stock.head_dim or width // heads, width // heads),
        },
        [] if local is not None else [_pattern(stock, window)],
    )
    return {
        "width": width,
        "depth": stock.num_hidden_layers,
        "head_width": width // heads,
        "key_value_heads": stock.num_key_value_heads or heads,
        "feed_forward_width": stock.intermediate_size,
        "activation": ACTIVATIONS[stock.hidden_act],
        "rope_theta": float(rope.get("rope_theta", 10_000.0)),
        "local_rope_theta": None,
        **(local or {}),
        "norm_epsilon": stock.rms_norm_eps,
        "query_key_norm": stock.model_type == "qwen3",
        "encoder": "eurobert",
        "tied_embeddings": bool(stock.tie_word_embeddings),
    }


def modernbert_shape(stock: Any) -> dict[str, Any]:
    """Return the shape of a ModernBERT; a ValueError names all that our network cannot hold."""
    width, heads, rope = stock.hidden_size, stock.num_attention_heads, stock.rope_parameters
    local = _local_layers(stock, stock.local_attention)
    biases = ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias", "decoder_bias")
    _refuse(
        stock,
        {
            "hidden_activation": (stock.hidden_activation, *ACTIVATIONS),
            "classifier_activation": (stock.classifier_activation, "gelu"),
            **{name: (getattr(stock, name), False) for name in biases},
            **{f"rope_type of {name}": (rope[name]["rope_type"], "default") for name in sorted(set(stock.layer_types))},
        },
        [] if local is not None else [_pattern(stock, stock.local_attention)],
    )
    local = local or {"sliding_window": None}
    local_theta = None if local["sliding_window"] is None else float(rope["sliding_attention"]["rope_theta"])
    return {
        "width": width,
        "depth": stock.num_hidden_layers,
        "head_width": width // heads,
        "key_value_heads": heads,
        "feed_forward_width": stock.intermediate_size,
        "activation": ACTIVATIONS[stock.hidden_activation],
        "rope_theta": float(rope["full_attention"]["rope_theta"]),
        "local_rope_theta": local_theta,
        **local,
        "norm_epsilon": stock.norm_eps,
        "query_key_norm": False,
        "encoder": "modernbert",
        "tied_embeddings": bool(stock.tie_word_embeddings),
    }


def t5_shape(stock: Any) -> dict[str, Any]:
    """Return the shape of a T5 with gated SiLU or GELU; a ValueError names all that our network cannot hold."""
    from lm_modules.model.position_bias import MAX_DISTANCE, NUM_BUCKETS

    start = getattr(stock, "decoder_start_token_id", None)
    _refuse(
        stock,
        {
            "feed_forward_proj": (stock.feed_forward_proj, *T5_ACTIVATIONS),
            "num_decoder_layers": (stock.num_decoder_layers, stock.num_layers),
            "relative_attention_num_buckets": (stock.relative_attention_num_buckets, NUM_BUCKETS),
            "relative_attention_max_distance": (stock.relative_attention_max_distance, MAX_DISTANCE),
            "d_kv": (stock.d_kv, stock.d_model // stock.num_heads),
            "decoder_start_token_id": (stock.pad_token_id if start is None else start, stock.pad_token_id),
        },
    )
    return {
        "width": stock.d_model,
        "depth": stock.num_layers,
        "head_width": stock.d_kv,
        "feed_forward_width": stock.d_ff,
        "activation": T5_ACTIVATIONS[stock.feed_forward_proj],
        "norm_epsilon": stock.layer_norm_epsilon,
        # transformers 5 always says that it is tied, and scales the decoder's output if it truly is
        "tied_embeddings": bool(stock.scale_decoder_outputs),
    }


def _local_layers(stock: Any, window: int | None) -> dict[str, Any] | None:
    """Return the fields that make these layers local and the others global, or None where none do."""
    depth, layers = stock.num_hidden_layers, getattr(stock, "layer_types", None)
    if window is not None and window > 1:
        for every in (ModelConfig.model_fields["global_every"].default, *range(2, depth + 1)):
            fields = {"sliding_window": window, "global_every": every}
            if layer_types(ModelConfig(depth=depth, **fields)) == layers:
                return fields
    return {"sliding_window": None} if layers in (None, ["full_attention"] * depth) else None


def _pattern(stock: Any, window: int | None) -> str:
    runs = ", ".join(f"{len(list(run))} {kind}" for kind, run in groupby(stock.layer_types))
    return (
        f"layer_types {runs} with a window of {window} (held: full_attention in the first "
        "layer and every so many after it, sliding_attention in all others)"
    )


def _refuse(stock: Any, found_and_held: dict[str, tuple[Any, ...]], others: Iterable[str] = ()) -> None:
    """Raise a ValueError unless each value found is among those held, which stand behind it."""
    reasons = [
        f"{name} {found!r} (held: {' or '.join(map(repr, held))})"
        for name, (found, *held) in found_and_held.items()
        if found not in held
    ]
    if reasons := [*reasons, *others]:
        raise ValueError(
            f"our network cannot hold this {stock.model_type}: {', '.join(reasons)}; continue it as it is: set "
            "pretraining.as_it_is to true"
        )
