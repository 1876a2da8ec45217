"""Labelled examples, in three splits that share nothing."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.component import Component
from configs.finetuning import FinetuningConfig
from tasks.artifacts import LabelledData
from tasks.caching import cached_task, own_work_directory
from tasks.processes import run_isolated


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
        return LabelledData.file(
            directory / "examples", run_id=run_id, name=f"examples-{report['split_by']}", facts=report
        )
