"""Whether activations and gradients keep their size when the model is widened."""

from __future__ import annotations

from configs.pretraining import PretrainingConfig
from tasks import progress
from tasks.artifacts import CoordinateCheck, Tokenizer, Tokens
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated


@cached_task("lm_modules.training.coordinate_check")
def check_coordinates(
    config: PretrainingConfig,
    tokens: Tokens,
    tokenizer: Tokenizer,
    seed: int,
    widths: tuple[int, ...],
    steps: int,
    run_id: str,
) -> CoordinateCheck:
    """Measure the model at several widths and file the picture and the numbers."""
    with own_work_directory() as directory, progress.bar("coordinate check", unit="model") as bar:
        result = run_isolated(
            "lm_modules.training.coordinate_check:coordinate_check",
            {
                "config": config,
                "tokens": tokens.local(),
                "tokenizer": tokenizer.local(),
                "seed": seed,
                "widths": widths,
                "steps": steps,
                "output": directory / "coordinate_check",
            },
            name="the coordinate check",
            report=bar.report,
            threads=config.compute.threads,
            log=directory / "log.txt",
        )
        return CoordinateCheck.file(
            directory / "coordinate_check",
            run_id=run_id,
            name="coordinate_check",
            parents=[tokens, tokenizer],
            facts=result,
        )
