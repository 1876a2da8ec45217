"""What a stock configuration says of a model's shape, in the words of our `ModelConfig`.

Our network has no biases, no windows and one kind of everything, so a stock model with more is refused: its weights
would not compute the same in ours.
"""

from __future__ import annotations

from typing import Any


def llama_shape(stock: Any) -> dict[str, Any]:
    """Return the shape of a Llama, Qwen3 or EuroBERT; a ValueError names all that our network cannot hold."""
    rope = stock.rope_parameters or {}
    width, heads = stock.hidden_size, stock.num_attention_heads
    _refuse(
        stock,
        {
            "hidden_act": (stock.hidden_act, "silu"),
            "attention_bias": (stock.attention_bias, False),
            "mlp_bias": (getattr(stock, "mlp_bias", False), False),
            "rope_type": (rope.get("rope_type", "default"), "default"),
            "sliding_window": (_window(stock), None),
            "head_dim": (stock.head_dim or width // heads, width // heads),
        },
    )
    return {
        "width": width,
        "depth": stock.num_hidden_layers,
        "head_width": width // heads,
        "key_value_heads": stock.num_key_value_heads or heads,
        "feed_forward_width": stock.intermediate_size,
        "rope_theta": float(rope.get("rope_theta", 10_000.0)),
        "norm_epsilon": stock.rms_norm_eps,
        "query_key_norm": stock.model_type == "qwen3",
        "tied_embeddings": bool(stock.tie_word_embeddings),
    }


def t5_shape(stock: Any) -> dict[str, Any]:
    """Return the shape of a T5 with gated SiLU; a ValueError names all that our network cannot hold."""
    from lm_modules.model.position_bias import MAX_DISTANCE, NUM_BUCKETS

    start = getattr(stock, "decoder_start_token_id", None)
    _refuse(
        stock,
        {
            "feed_forward_proj": (stock.feed_forward_proj, "gated-silu"),
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
        "norm_epsilon": stock.layer_norm_epsilon,
        # transformers 5 always says that it is tied, and scales the decoder's output if it truly is
        "tied_embeddings": bool(stock.scale_decoder_outputs),
    }


def _window(stock: Any) -> int | None:
    return stock.sliding_window if getattr(stock, "use_sliding_window", False) else None


def _refuse(stock: Any, found_and_held: dict[str, tuple[Any, Any]]) -> None:
    others = [f"{name} {found!r} (held: {held!r})" for name, (found, held) in found_and_held.items() if found != held]
    if others:
        raise ValueError(
            f"our network cannot hold this {stock.model_type}: {', '.join(others)}; continue it as it is: set "
            "pretraining.as_it_is to true"
        )
