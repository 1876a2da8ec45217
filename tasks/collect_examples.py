"""Labelled examples, in three splits that share nothing."""

from __future__ import annotations

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.component import Component
from configs.finetuning import FinetuningConfig
from lm_modules.progress import NOTICE
from tasks.artifacts import LabelledData
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated

logger = logging.getLogger(__name__)

MOST_REASONS = 5
"""How many reasons are said in one line; the ledger has all."""


@task(cache_policy=NO_CACHE, persist_result=False)
def fingerprint_examples(data: Component) -> str:
    """Return the digest of all that a labelled set would read, so that changed files are noticed on every run."""
    return run_isolated(
        "lm_modules.data.labelled_data:fingerprint", {"member": data}, name="the fingerprint of the examples"
    )


def labelled_data(config: FinetuningConfig, seed: int, run_id: str, data: Component | None = None) -> LabelledData:
    """Collect what a fine-tuning learns from, with what is learned beside; `data` stands in for its own."""
    data = data or config.data
    beside = {name: (each.data, each.head) for name, each in config.beside.items()}
    contents = [fingerprint_examples(each) for each in (data, *(other for other, _ in beside.values()))]
    return collect_examples(data, config.head, " ".join(contents), seed, beside, run_id=run_id)


@cached_task("lm_modules.data.labelled_data")
def collect_examples(
    data: Component,
    head: Component,
    fingerprint: str,
    seed: int,
    beside: dict[str, tuple[Component, Component]],
    run_id: str,
) -> LabelledData:
    """Read a labelled set (a member of `lm_modules.data.labelled`) as a head needs it, split it and file it.

    `fingerprint` is that of its content, so that changed files are read again. What is learned `beside` it, data and
    head by name, lies in `beside/<name>`.
    """
    with own_work_directory() as directory:
        report = run_isolated(
            "lm_modules.data.labelled_data:collect",
            {"member": data, "head": head, "output": directory / "examples", "seed": seed, "beside": beside},
            name="the collection of labelled examples",
            log=directory / "log.txt",
        )
        for name, each in {"": report, **report.get("beside", {})}.items():
            if each["dropped"]:
                logger.log(NOTICE, "%s", left_out(each["dropped"], name))
        return LabelledData.file(
            directory / "examples", run_id=run_id, name=f"examples-{report['split_by']}", facts=report
        )


def left_out(dropped: dict[str, int], name: str = "") -> str:
    """Return a line about the examples that a collection dropped, by reason; `name` is of what is learned beside."""
    reasons = sorted(dropped.items(), key=lambda item: -item[1])
    told = [f"{number} {reason}" for reason, number in reasons[:MOST_REASONS]]
    if others := sum(number for _, number in reasons[MOST_REASONS:]):
        told.append(f"{others} for other reasons")
    total = sum(dropped.values())
    which = f"labelled example{'' if total == 1 else 's'}{f' of {name}' if name else ''}"
    return f"{total} {which} left out: {', '.join(told)}"
