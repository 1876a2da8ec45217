"""What a pretraining ends with, in figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lm_modules.training.pretraining_run import Run


def figures(run: Run, resumed_from: int | None, checkpoint: Path) -> dict[str, Any]:
    """Return what a finished run has come to, how fast, and on what."""
    module, held_out = run.module, run.validation.figures
    tokens_per_second = module.tokens_seen / max(module.clock.seconds, 1e-9)
    return {
        "steps": module.step,
        "tokens_seen": module.tokens_seen,
        "skipped_steps": module.num_skipped,
        "seconds": module.clock.seconds,
        "tokens_per_second": tokens_per_second,
        "train_loss_nats": sum(losses) / len(losses) if (losses := module.recent_losses) else None,
        "validation_loss_nats": held_out["loss"],
        "validation_loss_nats_before": run.validation.before.get("loss"),
        "validation_bits_per_byte": held_out.get("bits_per_byte"),
        "num_parameters": sum(parameter.numel() for parameter in module.network.parameters()),
        "precision": run.precision,
        "compiled": run.compiled,
        **run.telemetry.figures(tokens_per_second),
        "resumed_from_step": resumed_from,
        "begins_with": _begins_with(run),
        **run.batches.figures(),
        "checkpoint": str(checkpoint),
    }


def _begins_with(run: Run) -> str:
    if run.base is None:
        return "random weights"
    return f"{run.base.config['model_type']}, {'as it is' if run.config.as_it_is else 'imported'}"
