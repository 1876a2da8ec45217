"""A checkpoint becomes a stock Hugging Face directory, if the stock model computes the same.

The training graph is rebuilt in float32 and folded; the directory is written, opened as any user would open it, and
compared with the graph. A directory that differs is not left behind.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from configs.component import members
from configs.pretraining import PretrainingConfig
from lm_modules.data.special_tokens import roles_of
from lm_modules.data.tokenizers.pretrained import copy_tokenizer
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.export.architectures import Architecture
from lm_modules.export.as_it_is import AsItIs
from lm_modules.export.model_card import model_card
from lm_modules.model.stock import quiet_loading
from lm_modules.training import checkpoints
from lm_modules.training.continuation import Base, build_network

TOLERANCE = 1e-4
"""Largest difference of a logit, in float32."""
GREEDY_TOKENS = 64


def export(checkpoint: Path, tokenizer: Path, output: Path) -> dict[str, Any]:
    """Write the stock model of a checkpoint to `output` and return how well it agrees with the training graph.

    A disagreement is a RuntimeError, and then nothing is written.
    """
    import transformers

    checkpoint, output = Path(checkpoint), Path(output)
    if damage := checkpoints.find_damage(checkpoint):
        raise ValueError(f"checkpoint {checkpoint} is damaged ({damage}); export another one")
    state = checkpoints.read_state(checkpoint)
    network, config = training_graph(checkpoint)
    architecture, base = architecture_of(config), base_of(state)
    codec = _codec(Path(tokenizer), config, taken=base is not None)
    vocab_size = state["vocabulary"]["size"]
    if base is None:
        ids = {f"{each}_token_id": getattr(codec, f"{each}_token_id") for each in ("bos", "eos", "pad", "mask")}
    else:
        ids = base.token_ids
    stock = architecture.stock(network, config.model, vocab_size, ids)
    if base is not None:
        base.complete(stock)
    beside = architecture.beside(network, config.model, vocab_size, ids)

    temporary = output.with_name(f".{output.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with quiet_loading():
            for folder, each in {".": stock, **beside}.items():
                each.save_pretrained(temporary / folder)
                if base is None:
                    codec.save_pretrained(temporary / folder)
                else:
                    copy_tokenizer(Path(tokenizer), temporary / folder)
            reopened = getattr(transformers, architecture.auto_class).from_pretrained(temporary, dtype=torch.float32)
            reopened_beside = {
                folder: type(each).from_pretrained(temporary / folder, dtype=torch.float32).eval()
                for folder, each in beside.items()
            }
        agreement = _compare(
            architecture, network, reopened.eval(), reopened_beside, config.model.context_length, vocab_size
        )
        card = model_card(
            state,
            model=reopened,
            task=architecture.task,
            auto_class=architecture.auto_class,
            num_parameters=reopened.num_parameters(),
            difference=agreement["max_logit_difference"],
            codec=codec,
        )
        (temporary / "README.md").write_text(card)
        shutil.rmtree(output, ignore_errors=True)
        temporary.rename(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return agreement | {
        "architecture": type(reopened).__name__,
        "task": architecture.task,
        "num_parameters": reopened.num_parameters(),
    }


def training_graph(checkpoint: Path) -> tuple[nn.Module, PretrainingConfig]:
    """Return the network that was trained, in float32 on the CPU, with its settings."""
    state = checkpoints.read_state(checkpoint)
    config = PretrainingConfig.model_validate(state["config"])
    network = build_network(config, Vocabulary.restored(**state["vocabulary"]), base_of(state))
    network.load_state_dict(checkpoints.read_tensors(checkpoint, "model"), strict=True)
    return network.float().eval(), config


def architecture_of(config: PretrainingConfig) -> Any:
    """Return what makes a stock model of the network that these settings train."""
    if config.as_it_is:
        return AsItIs(auto_class=config.objective.stock_class)
    kind = config.objective.architecture(config.model)
    return members("lm_modules.export.architectures")[kind](kind=kind)


def base_of(state: dict[str, Any]) -> Base | None:
    """Return the model that the training of this checkpoint began with, or None."""
    return None if state.get("base") is None else Base(**state["base"])


def _codec(tokenizer: Path, config: PretrainingConfig, *, taken: bool) -> Any:
    """Return the tokenizer as `transformers` has it; one that came with the base is only asked, never written."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if taken:
        return PreTrainedTokenizerFast(tokenizer_file=str(tokenizer / "tokenizer.json"), **roles_of(tokenizer))
    codec = AutoTokenizer.from_pretrained(str(tokenizer))
    codec.model_max_length = config.model.context_length
    codec.model_input_names = ["input_ids", "attention_mask"]
    return codec


def _compare(
    architecture: Architecture,
    network: nn.Module,
    stock: Any,
    beside: dict[str, Any],
    context_length: int,
    vocab_size: int,
) -> dict[str, Any]:
    lengths = sorted({max(2, context_length // 3), context_length})
    differences = [architecture.difference(network, stock, vocab_size, lengths)]
    if beside:
        differences.append(architecture.difference_beside(network, beside, vocab_size, lengths))
    if not all(each <= TOLERANCE for each in differences):
        raise RuntimeError(
            f"the stock model's logits differ from the training graph's by {max(differences):.3g}, more than "
            f"{TOLERANCE:g}; nothing was exported"
        )
    num_tokens = min(GREEDY_TOKENS, context_length - 4)
    same = architecture.same_tokens(network, stock, vocab_size, num_tokens, TOLERANCE)
    if same is not None and same < num_tokens:
        raise RuntimeError(f"greedy decoding leaves the training graph after {same} of {num_tokens} tokens")
    written = {} if same is None else {"same_greedy_tokens": same, "num_greedy_tokens": num_tokens}
    return {"max_logit_difference": max(differences), "compared_lengths": lengths, **written}
