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

from configs.pretraining import PretrainingConfig
from lm_modules.export import llama
from lm_modules.export.model_card import model_card
from lm_modules.export.parity import logit_difference, same_greedy_tokens
from lm_modules.model.parametrization import Scales
from lm_modules.model.stock import quiet_loading
from lm_modules.objectives import Vocabulary
from lm_modules.training import checkpoints

TOLERANCE = 1e-4
"""Largest difference of a logit, in float32."""
GREEDY_TOKENS = 64


def export(checkpoint: Path, tokenizer: Path, output: Path) -> dict[str, Any]:
    """Write the stock model of a checkpoint to `output` and return how well it agrees with the training graph.

    A disagreement is a RuntimeError, and then nothing is written.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    checkpoint, output = Path(checkpoint), Path(output)
    if damage := checkpoints.find_damage(checkpoint):
        raise ValueError(f"checkpoint {checkpoint} is damaged ({damage}); export another one")
    state = checkpoints.read_state(checkpoint)
    graph, config, scales = training_graph(checkpoint)
    codec = AutoTokenizer.from_pretrained(str(tokenizer))
    codec.model_max_length = config.model.context_length
    codec.model_input_names = ["input_ids", "attention_mask"]
    ids = {f"{each}_token_id": getattr(codec, f"{each}_token_id") for each in ("bos", "eos", "pad")}
    stock = LlamaForCausalLM(llama.stock_config(config.model, vocab_size=state["vocabulary"]["size"], **ids))
    stock.load_state_dict(llama.fold(graph.state_dict(), config.model, scales), strict=True)

    temporary = output.with_name(f".{output.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with quiet_loading():
            stock.save_pretrained(temporary)
            codec.save_pretrained(temporary)
            reopened = AutoModelForCausalLM.from_pretrained(temporary, dtype=torch.float32).eval()
        agreement = _compare(graph, reopened, config.model.context_length, state["vocabulary"]["size"])
        card = model_card(
            state,
            architecture=type(reopened).__name__,
            num_parameters=reopened.num_parameters(),
            difference=agreement["max_logit_difference"],
        )
        (temporary / "README.md").write_text(card)
        shutil.rmtree(output, ignore_errors=True)
        temporary.rename(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return agreement | {"architecture": type(reopened).__name__, "num_parameters": reopened.num_parameters()}


def training_graph(checkpoint: Path) -> tuple[nn.Module, PretrainingConfig, Scales]:
    """Return the network that was trained, in float32 on the CPU, with its settings and its table of scales."""
    state = checkpoints.read_state(checkpoint)
    config = PretrainingConfig.model_validate(state["config"])
    vocabulary, batch_tokens = Vocabulary(**state["vocabulary"]), config.optimization.batch_tokens
    network = config.objective.network(config.model, vocabulary, batch_tokens)
    network.load_state_dict(checkpoints.read_tensors(checkpoint, "model"), strict=True)
    scales = config.model.parametrization.scales(config.model, vocabulary.size, batch_tokens)
    return config.objective.backbone(network).float().eval(), config, scales


def _compare(graph: nn.Module, stock: Any, context_length: int, vocab_size: int) -> dict[str, Any]:
    lengths = sorted({max(2, context_length // 3), context_length})
    difference = logit_difference(graph, stock, vocab_size, lengths)
    if not difference <= TOLERANCE:
        raise RuntimeError(
            f"the stock model's logits differ from the training graph's by {difference:.3g}, more than {TOLERANCE:g}; "
            "nothing was exported"
        )
    num_tokens = min(GREEDY_TOKENS, context_length - 4)
    prompt = torch.randint(0, vocab_size, (4,), generator=torch.Generator().manual_seed(1))
    same = same_greedy_tokens(graph, stock, prompt, num_tokens, TOLERANCE)
    if same < num_tokens:
        raise RuntimeError(f"greedy decoding leaves the training graph after {same} of {num_tokens} tokens")
    return {
        "max_logit_difference": difference,
        "compared_lengths": lengths,
        "same_greedy_tokens": same,
        "num_greedy_tokens": num_tokens,
    }
