"""Training that begins at a model from elsewhere instead of random weights.

    imported     a stock architecture that is ours in disguise (Llama, Qwen3, Ministral, EuroBERT, ModernBERT, T5): its
                 weights become our network's, under the configured parametrization, and the export folds them back
    as it is     any other: the stock model is trained, with the standard parametrization, and saved

Which of the two is `pretraining.as_it_is`; where that is open, the architecture decides.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import transformers
from torch import nn
from transformers import AutoConfig, GenerationConfig
from transformers.models.auto import modeling_auto

from configs.component import members
from configs.model import ModelConfig
from configs.pretraining import HIGHEST_STANDARD_RATE, PretrainingConfig
from lm_modules.data.input_files import file_digest
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize, scales_of
from lm_modules.model.stock import quiet_loading
from lm_modules.model.stock_network import (
    StockEncoderDecoder,
    StockNetwork,
    read_out_in_chunks,
    require_isolation,
    require_reading,
)

logger = logging.getLogger(__name__)

MODEL_TYPES = {
    "AutoModelForCausalLM": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "AutoModelForMaskedLM": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    "AutoModelForSeq2SeqLM": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
}
"""The model types that each class of `transformers` opens."""


@dataclass(frozen=True)
class Base:
    """What must be known of a model to build a network for it, and to export that again."""

    digest: str
    """sha256 of its configuration and weights."""
    config: dict[str, Any]
    """Its complete stock configuration."""
    generation: dict[str, Any] | None
    """How it wants to be asked to write."""

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Read it from a model directory."""
        files = sorted(each for each in directory.glob("*") if each.name == "config.json" or "safetensors" in each.name)
        digest = hashlib.sha256("".join(f"{file_digest(each)}  {each.name}\n" for each in files).encode()).hexdigest()
        path = directory / "generation_config.json"
        generation = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        return cls(digest, _stock_config(directory).to_dict(), generation)

    @property
    def stock_config(self) -> Any:
        """Its configuration as `transformers` has it."""
        return AutoConfig.for_model(**self.config)

    @property
    def vocab_size(self) -> int:
        """Rows of its embedding."""
        return int(self.stock_config.vocab_size)

    @property
    def token_ids(self) -> dict[str, Any]:
        """The ids of its special tokens, such as `eos_token_id`, as far as it tells them."""
        names = [f"{each}_token_id" for each in ("bos", "eos", "pad", "mask", "cls", "sep")]
        return {name: self.config[name] for name in names if name in self.config}

    def complete(self, stock: Any) -> None:
        """Give an exported model what the base says of itself beyond its shape: how far it reads, how it writes."""
        if "max_position_embeddings" in self.config:
            stock.config.max_position_embeddings = self.config["max_position_embeddings"]
        if self.generation is not None:
            stock.generation_config = GenerationConfig.from_dict(self.generation)


def resolved(config: PretrainingConfig, base: Path) -> PretrainingConfig:
    """Return the settings with the shape of the base filled in and the way decided; done twice it changes nothing.

    A setting of `model` that is neither its default nor the base's is a ValueError, and so is a base that the
    objective cannot train.
    """
    stock = _stock_config(base)
    importer = importers().get(stock.model_type)
    as_it_is = importer is None if config.as_it_is is None else config.as_it_is
    _require_readable_rows(config, stock)
    if as_it_is:
        shape = _described(stock) | {"parametrization": {"kind": "standard"}}
        model = ModelConfig.model_validate(config.model.model_dump() | shape)
        _require_trainable_as_it_is(config, stock)
        logger.info("%s is continued as it is (%s), with the standard parametrization", base, stock.model_type)
    else:
        if importer is None:
            raise ValueError(
                f"pretraining.base: {base} is a {stock.model_type}, which our network cannot become "
                f"({', '.join(sorted(importers()))} it can); leave pretraining.as_it_is out, or set it to true"
            )
        model = _filled(config.model, importer.shape(stock), base)
        _require_same_architecture(config, model, stock)
        kind = config.model.parametrization.kind
        logger.info("the weights of %s (%s) become our network's, parametrization %s", base, stock.model_type, kind)
    return config.model_copy(update={"model": model, "as_it_is": as_it_is})


def resolved_settings(config: PretrainingConfig, base: Path) -> dict[str, Any]:
    """Return the same as plain values, which another process can be told."""
    return resolved(config, base).model_dump(mode="json")


def importers() -> dict[str, Any]:
    """Return the architectures whose stock models can become our network, by their `model_type`."""
    found: list[Any] = [each(kind=kind) for kind, each in members("lm_modules.export.architectures").items()]
    return {each.model_type: each for each in found if each.model_type is not None}


def build_network(config: PretrainingConfig, vocabulary: Vocabulary, base: Base | None) -> nn.Module:
    """Return the network of a run with resolved settings; its weights are not yet there."""
    if base is None or not config.as_it_is:
        return config.objective.network(config.model, vocabulary, config.optimization.batch_tokens)
    with quiet_loading():
        stock = _stock_class(config).from_config(base.stock_config, dtype=torch.float32)
    return _wrapped(stock)


def begin(
    config: PretrainingConfig, vocabulary: Vocabulary, base: Path | None, generator: torch.Generator
) -> nn.Module:
    """Return the network of a new run with its first weights: those of the base, or random ones."""
    if base is None:
        network = build_network(config, vocabulary, None)
        initialize(network, generator)
    elif config.as_it_is:
        network = _wrapped(_opened(_stock_class(config), base))
        _require_sound(config, network)
    else:
        network = build_network(config, vocabulary, None)
        importer = importers()[_stock_config(base).model_type]
        stock = _opened(getattr(transformers, importer.auto_class), base)
        network.load_state_dict(importer.unfolded(stock.state_dict(), network, config.model), strict=True)
    return network


def require_same_tokenizer(base: Path, tokenizer: Path) -> None:
    """Raise a ValueError unless the text was cut into tokens by the base's own tokenizer."""
    theirs, ours = (each / "tokenizer.json" for each in (base, tokenizer))
    if not theirs.exists():  # it was made from its older files when it was taken
        return
    digests = [file_digest(each) for each in (theirs, ours)]
    if digests[0] != digests[1]:
        raise ValueError(
            f"the base reads tokens of the tokenizer {digests[0]}, and the text was cut by {digests[1]}; set "
            "tokenization.tokenizer to {kind: pretrained}, which takes the base's"
        )


def _stock_config(directory: Path) -> Any:
    if not (directory / "config.json").is_file():
        raise ValueError(f"pretraining.base: {directory} has no config.json; give the directory of a model")
    try:
        return AutoConfig.from_pretrained(str(directory))
    except (ValueError, KeyError) as error:
        raise ValueError(f"pretraining.base: transformers cannot read {directory} ({error})") from error


def _opened(auto_class: Any, base: Path) -> Any:
    """Return the stock model in float32; one that lacks weights is a ValueError, they would be random."""
    with quiet_loading():
        stock, loading = auto_class.from_pretrained(str(base), dtype=torch.float32, output_loading_info=True)
    if missing := sorted(loading["missing_keys"]):
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise ValueError(
            f"pretraining.base: {base} has not all weights of a {type(stock).__name__}: {some} of {len(missing)} "
            "missing; take a checkpoint with its language-model head, or another objective"
        )
    return stock


def _wrapped(stock: Any) -> StockNetwork:
    return (StockEncoderDecoder if stock.config.is_encoder_decoder else StockNetwork)(stock)


def _stock_class(config: PretrainingConfig) -> Any:
    return getattr(transformers, config.objective.stock_class)


def _filled(model: ModelConfig, shape: dict[str, Any], base: Path) -> ModelConfig:
    """Return the settings with the base's shape where nothing else was set."""
    fields = ModelConfig.model_fields
    own = {name: getattr(model, name) for name in shape}
    differ = [
        f"{name} is {own[name]!r}, and the base has {value!r}"
        for name, value in shape.items()
        if own[name] not in (value, fields[name].default)
    ]
    if differ:
        raise ValueError(
            f"pretraining.model.{'; '.join(differ)}. The shape comes from the base {base}: leave these settings out"
        )
    return ModelConfig.model_validate(model.model_dump() | shape)


def _described(stock: Any) -> dict[str, Any]:
    """Return what can be told of the shape of any model, for the record."""
    width, heads = stock.hidden_size, stock.num_attention_heads
    feed_forward = getattr(stock, "intermediate_size", None) or getattr(stock, "d_ff", None) or 4 * width
    key_value_heads = getattr(stock, "num_key_value_heads", None)
    return {
        "width": width,
        "depth": stock.num_hidden_layers,
        "head_width": width // heads,
        "key_value_heads": key_value_heads,
        "feed_forward_width": feed_forward,
        "tied_embeddings": bool(stock.tie_word_embeddings),
    }


def _require_readable_rows(config: PretrainingConfig, stock: Any) -> None:
    longest, length = getattr(stock, "max_position_embeddings", None), config.model.context_length
    if longest is not None and length > longest:
        raise ValueError(
            f"pretraining.model.context_length {length} is more than the {longest} tokens that the base reads; set it "
            f"to at most {longest}"
        )


def _require_trainable_as_it_is(config: PretrainingConfig, stock: Any) -> None:
    objective, learning_rate = config.objective, config.optimization.learning_rate
    if objective.stock_class is None:
        raise ValueError(
            f"{objective.kind} needs our own network and cannot continue a {stock.model_type} as it is; take "
            "causal_lm, masked_lm or span_denoising"
        )
    if stock.model_type not in MODEL_TYPES[objective.stock_class]:
        raise ValueError(
            f"pretraining.base: {objective.kind} trains an {objective.stock_class}, and a {stock.model_type} is none; "
            "take the objective that fits the base, or another base"
        )
    if learning_rate > HIGHEST_STANDARD_RATE:
        raise ValueError(
            f"pretraining.optimization.learning_rate {learning_rate:g} is one for u_mup; a stock model that is "
            "continued as it is needs one of 1e-5 to 1e-3"
        )


def _require_same_architecture(config: PretrainingConfig, model: ModelConfig, stock: Any) -> None:
    try:
        kind = config.objective.architecture(model)
    except ValueError as error:
        raise ValueError(
            f"{config.objective.kind} cannot train the shape of the base, a {stock.model_type} ({error}); take the "
            "objective that fits the base, or another base"
        ) from error
    if importers()[stock.model_type].kind != kind:
        raise ValueError(
            f"{config.objective.kind} trains a network that is exported as {kind}, and the base is a "
            f"{stock.model_type}; take the objective that fits the base, or another base"
        )


def _require_sound(config: PretrainingConfig, network: StockNetwork) -> None:
    if not isinstance(network, StockEncoderDecoder):
        causal, length = config.objective.stock_class == "AutoModelForCausalLM", config.model.context_length
        require_reading(network, causal=causal, length=length)
        if getattr(config.objective, "isolate_documents", False):
            require_isolation(network, length)
    read_out_in_chunks(network, config.model.context_length)
    if config.optimization.optimizer == "muon":
        table = scales_of(network)
        if all(each.orthogonal_learning_rate is None for each in table.values()):
            raise ValueError(
                f"{type(network.stock).__name__} has no linear maps that Muon could move; set optimization.optimizer "
                "to adamw"
            )
