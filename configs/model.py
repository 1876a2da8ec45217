"""The shape of a model, and how its scales are chosen."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from configs.base import Config
from configs.component import OneOf
from configs.size import SIZE, has_size, is_size, with_shape


class ModelConfig(Config):
    """A pre-norm Transformer: RMSNorm, grouped-query attention, gated feed-forward; rotary positions, or biases in
    encoder-decoders."""

    model_config = ConfigDict(title="Model")

    size: str | None = Field(default=None, json_schema_extra={"pattern": f"^({SIZE})$"})
    """`10M`, `124M`, `1B`: about so many weights, embedding and readout included (of the layers alone where the
    vocabulary is not known); or `12 layers`. Chooses width, depth and head_width, and optimization's batch_tokens and
    budget_tokens, where they are not set or null; those that a preset below sets are chosen anew. The layers are
    counted once, so an encoder-decoder comes out larger. Null leaves all as it is set."""
    width: int = Field(default=256, ge=8)
    """Width of the hidden state; a multiple of head_width."""
    depth: int = Field(default=4, ge=1)
    """Number of layers, each of attention and feed-forward."""
    head_width: int = Field(default=64, ge=4, multiple_of=2)
    """Width of one attention head; kept fixed when the model is widened."""
    key_value_heads: int | None = Field(default=None, ge=1)
    """Heads that keys and values have; query heads share them in groups. Null gives each query head its own."""
    feed_forward_width: int | None = Field(default=None, ge=8)
    """Width inside the feed-forward part; null takes 8/3 of the width, rounded up to a multiple of 64."""
    activation: Literal["silu", "gelu"] = "silu"
    """What the gate of the feed-forward part goes through: SwiGLU or GeGLU (GELU in its tanh form, as in T5)."""
    context_length: int = Field(default=256, ge=8)
    """Tokens in a training row, and the longest text that the exported model declares it can read."""
    rope_theta: float = Field(default=10_000.0, gt=1)
    """Base of the rotary frequencies; larger for longer contexts."""
    sliding_window: int | None = Field(default=None, ge=2)
    """Tokens that a local layer reads: in a decoder the last so many, the token itself included; in an encoder half of
    them on either side of it. Null makes no layer local."""
    global_every: int = Field(default=3, ge=2)
    """With a sliding window every so many layers, from the first on, one reads everything; the others are local."""
    local_rope_theta: float | None = Field(default=None, gt=1)
    """Base of the rotary frequencies in local layers; null takes rope_theta (only ModernBERT can hold another)."""
    norm_epsilon: float = Field(default=1e-5, gt=0)
    """Added to the mean square (or the variance) in every norm."""
    query_key_norm: bool = False
    """Norm queries and keys before they meet; steadier at high learning rates (exported as Qwen3)."""
    encoder: Literal["eurobert", "modernbert"] = "eurobert"
    """What an encoder is built as and exported to: EuroBERT is a Llama that reads both ways; ModernBERT has LayerNorm,
    a normed embedding, local layers and one more matrix before the readout."""
    tied_embeddings: bool = False
    """Use one matrix for the token embedding and the readout."""
    parametrization: Annotated[Any, OneOf("lm_modules.model.parametrization")] = "u_mup"
    """How weights begin, how each operation is scaled, and how the learning rate is spread over the weights."""

    @model_validator(mode="before")
    @classmethod
    def _shape_of_the_size(cls, values: Any) -> Any:
        return with_shape(values) if has_size(values) else values

    @field_validator("size", mode="before")
    @classmethod
    def _size_is_a_size(cls, value: Any) -> Any:
        if value is not None and not is_size(value):
            raise ValueError(f"{value!r} is no size; write 10M, 500K, 1.5B or '12 layers'")
        return value

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % self.head_width:
            raise ValueError(
                f"width {self.width} is not a multiple of head_width {self.head_width}; "
                f"take {self.head_width * max(1, round(self.width / self.head_width))} or another head_width"
            )
        if self.heads % self.num_key_value_heads:
            raise ValueError(
                f"key_value_heads {self.key_value_heads} does not divide the {self.heads} heads "
                f"(width {self.width} / head_width {self.head_width}); take a divisor of {self.heads}"
            )
        return self

    @model_validator(mode="after")
    def _local_layers_have_a_window(self) -> Self:
        if self.local_rope_theta is not None and self.sliding_window is None:
            raise ValueError(
                f"local_rope_theta {self.local_rope_theta:g} has no effect without local layers; set sliding_window, "
                "or leave local_rope_theta empty"
            )
        return self

    def refuse_for(self, network: str, field: str) -> None:
        """Raise ValueError unless this field, which such a network cannot have, is at its default."""
        value, default = getattr(self, field), type(self).model_fields[field].default
        if value != default:
            remedy = "leave it empty" if default is None else f"set it to {default}"
            raise ValueError(f"model.{field} {value} is nothing that {network} can have; {remedy}")

    def is_local(self, layer: int) -> bool:
        """Return whether the layer of this number (from 0) reads a window alone."""
        return self.sliding_window is not None and layer % self.global_every > 0

    @property
    def heads(self) -> int:
        """Query heads: the width divided by the width of a head."""
        return self.width // self.head_width

    @property
    def num_key_value_heads(self) -> int:
        """Heads of keys and values, with the default filled in."""
        return self.key_value_heads or self.heads

    @property
    def feed_forward(self) -> int:
        """Width inside the feed-forward part, with the default filled in."""
        return self.feed_forward_width or -(-8 * self.width // (3 * 64)) * 64
