"""Do activations and gradients keep their size when the model is widened? (Yang et al. 2022, arXiv 2203.03466, D.1)

The model of a configuration is built at several widths, under its own parametrization and under every other one. Each
is measured on the same rows at birth and after a few steps at the full learning rate:

    embedding --> stream --> attention --> stream --> feed-forward --> stream --> ... --> logits
    root mean square of each, and of the gradient of each weight

Parametrized well, a measure is about 1 and the same at every width; then one learning rate serves all widths.
`coordinate_lines` judges the measures and `coordinate_picture` draws them.
"""

# B batch, L length, D width, V vocabulary

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from configs.component import members
from configs.pretraining import PretrainingConfig
from lm_modules.data.batches import derived_seed, open_batches
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.attention import Attention
from lm_modules.model.encoder_decoder import EncoderDecoder
from lm_modules.model.feed_forward import FeedForward
from lm_modules.model.scaled import ScaledEmbedding, initialize, scaled_linear
from lm_modules.model.transformer import Layer, Transformer
from lm_modules.objectives import Batch
from lm_modules.progress import TOTAL, Report, keep_going
from lm_modules.training.coordinate_lines import AT_BIRTH, Line, refuse_impossible, remarks, sentence, verdict
from lm_modules.training.coordinate_picture import draw
from lm_modules.training.optimizers import build_optimizers, set_learning_rate
from lm_modules.training.pretraining_module import Corruption

logger = logging.getLogger(__name__)

MOST_TOKENS = 4096
"""A batch of more tokens is cut down to about this many: the sizes are told by a few thousand."""
USUAL = {"u_mup": 1.0, "standard": 1e-3}
"""Learning rates for the parametrizations that a configuration does not set."""
USUAL_MUON = 0.02
SAMPLED_ROWS = 512
"""Logits are measured at this many positions."""
KINDS = {ScaledEmbedding: "embedding", Attention: "attention", FeedForward: "feed-forward", Layer: "stream"}


def coordinate_check(
    config: PretrainingConfig,
    *,
    tokens: Path,
    tokenizer: Path,
    seed: int,
    widths: Sequence[int],
    steps: int,
    output: Path,
    report: Report = keep_going,
) -> dict[str, Any]:
    """Measure every width under every parametrization; return the verdicts.

    Writes `coordinate_check.png` and `coordinate_check.json` (all measures) into `output`. A width that the model
    cannot have is a ValueError.
    """
    refuse_impossible(widths, steps, config.model.head_width)
    if config.compute.threads:
        torch.set_num_threads(config.compute.threads)
    own = config.model.parametrization.kind
    kinds = [own, *(kind for kind in members("lm_modules.model.parametrization") if kind != own)]
    runs = [(widened(config, width, kind), width, kind) for kind in kinds for width in sorted(set(widths))]
    lines: dict[tuple[str, str, str, str], Line] = {}
    for done, (each, width, kind) in enumerate(runs):
        for (when, part, name), rms in measure(each, Path(tokens), Path(tokenizer), seed, steps).items():
            line = lines.setdefault((kind, when, part, name), Line(kind, when, part, name))
            line.rms[width] = rms
        logger.info("%s at width %d is measured", kind, width)
        if report(done + 1, {TOTAL: len(runs)}):
            raise InterruptedError("the coordinate check was called off")
    found = {kind: verdict([line for line in lines.values() if line.parametrization == kind]) for kind in kinds}
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    rows = [line.as_dict() for line in lines.values()]
    (output / "coordinate_check.json").write_text(json.dumps({"verdicts": found, "lines": rows}, indent=1) + "\n")
    draw(list(lines.values()), output / "coordinate_check.png")
    words = [*(sentence(kind, each) for kind, each in found.items()), *remarks(widths)]
    return {"widths": sorted(set(widths)), "steps": steps, "verdicts": found, "words": words}


def widened(config: PretrainingConfig, width: int, parametrization: str) -> PretrainingConfig:
    """Return the configuration at another width: heads grow in number, what was set in proportion stays so."""
    settings = config.model_dump(mode="json")
    model, optimization = settings["model"], settings["optimization"]
    ratio = width / config.model.width
    model["width"] = width
    if config.model.key_value_heads:
        heads, most = width // config.model.head_width, max(1, config.model.key_value_heads * ratio)
        model["key_value_heads"] = max(each for each in range(1, heads + 1) if heads % each == 0 and each <= most)
    if config.model.feed_forward_width:
        model["feed_forward_width"] = round(config.model.feed_forward_width * ratio)
    if parametrization != config.model.parametrization.kind:
        model["parametrization"] = {"kind": parametrization}
        optimization["learning_rate"] = USUAL.get(parametrization, config.optimization.learning_rate)
        if config.optimization.optimizer == "muon" and config.optimization.muon_learning_rate is None:
            optimization["muon_learning_rate"] = USUAL_MUON
    enough = max(2, config.objective.fewest_rows(), MOST_TOKENS // config.model.context_length)
    optimization["batch_tokens"] = min(config.batch_sizes.rows, enough) * config.model.context_length
    optimization["batch_tokens_start"] = optimization["batch_ramp_steps"] = model["size"] = None
    return PretrainingConfig.model_validate(settings)


def measure(
    config: PretrainingConfig, tokens: Path, tokenizer: Path, seed: int, steps: int
) -> dict[tuple[str, str, str], float]:
    """Train a few steps; return root mean squares by (when, part, name)."""
    objective, optimization = config.objective, config.optimization
    batches = open_batches(
        tokens,
        streams=objective.streams(config.model.context_length),
        sizes=config.batch_sizes,
        seed=seed,
    )
    packed = batches.packed
    vocabulary = Vocabulary.of(tokenizer, packed.vocab_size, packed.end_of_text_id)
    device = _device(config)
    network = objective.network(config.model, vocabulary, optimization.batch_tokens)
    initialize(network, torch.Generator().manual_seed(derived_seed(seed, "weights")))
    network.to(device)
    optimizers = build_optimizers(network, optimization)
    set_learning_rate(optimizers, 1.0)
    loss_gradient = config.model.parametrization.scaling(vocabulary.size, optimization.batch_tokens).loss_gradient
    corruption = Corruption(objective, vocabulary, seed)

    def gradient(step: int) -> None:
        batch: Batch = {name: each.to(device) for name, each in corruption(batches[step], "check", step).items()}
        torch.manual_seed(derived_seed(seed, "network", step))
        losses, weights = objective.losses(network, batch), objective.weights()
        total = sum((weights[name] * each for name, each in losses.items()), torch.zeros((), device=device))
        (total * loss_gradient).backward()

    found: dict[tuple[str, str, str], float] = {}
    for step in range(steps + 1):
        if step in (0, steps):
            when = AT_BIRTH if step == 0 else f"after {steps} step{'s' * (steps > 1)}"
            with watched(network) as activations:
                gradient(0)  # the same rows both times
            found |= {(when, *place): rms for place, rms in activations.items()}
            for name, parameter in network.named_parameters():
                if parameter.grad is not None:
                    found[when, "gradient", name.removesuffix(".weight")] = _rms(parameter.grad)
        if step == steps:
            return found
        if step:
            gradient(step)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    return found


@contextmanager
def watched(network: nn.Module) -> Iterator[dict[tuple[str, str], float]]:
    """Note the root mean square of what each part gives out while the block runs, by (kind of part, name)."""
    seen: dict[tuple[str, str], float] = {}

    def note(kind: str, name: str) -> Any:
        return lambda module, inputs, output: seen.__setitem__((kind, name), _rms(output))

    def note_logits(name: str, model: Any) -> Any:
        def hook(module: nn.Module, inputs: Any, hidden_BLD: Tensor) -> None:
            rows = hidden_BLD.detach().flatten(0, -2)
            sampled_ND = rows[:: max(1, len(rows) // SAMPLED_ROWS)]
            seen["logits", name] = _rms(scaled_linear(sampled_ND, model.readout_weight, model.readout_scale))

        return hook

    handles = []
    for name, module in network.named_modules():
        if type(module) in KINDS:
            handles.append(module.register_forward_hook(note(KINDS[type(module)], name)))
        elif name.rpartition(".")[2] == "answer":
            handles.append(module.register_forward_hook(note("logits", name)))
        elif isinstance(module, Transformer | EncoderDecoder) and name != "discriminator":  # it answers, it names none
            norm = module.norm if isinstance(module, Transformer) else module.decoder_norm
            handles.append(norm.register_forward_hook(note_logits(name, module)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _rms(tensor: Tensor) -> float:
    return tensor.detach().float().square().mean().sqrt().item()


def _device(config: PretrainingConfig) -> str:
    return "cuda" if config.compute.accelerator in ("auto", "gpu") and torch.cuda.is_available() else "cpu"
