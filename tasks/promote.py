"""Whether a tuned model becomes the champion: by a comparison declared beforehand, on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.promotion import PromotionConfig
from tasks import logged_models, registry
from tasks.artifacts import Evaluation, Finetuned, Verdict
from tasks.caching import is_no_mistake
from tasks.processes import run_isolated

ATTEMPTS = 3
"""How often the decision is taken anew because another promotion came first."""


@task(
    cache_policy=NO_CACHE,
    persist_result=True,
    result_serializer="json",
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_no_mistake,
)
def promote(
    config: PromotionConfig,
    replicates: int,
    tuned: Finetuned,
    evaluation: Evaluation,
    seed: int,
    run_id: str,
) -> Verdict:
    """Register the tuned model; make it the champion if it beats the one in use, or every declared baseline if none is.

    The comparison is paired, on the held-out examples, at the configured confidence. A model that does not win becomes
    `@challenger`, with the reason. One that a person took back by `rootstock rollback` stays it, whatever its figures:
    the nightly run would otherwise bring it back.
    """
    version = registry.register(
        config.registered_name, tuned.model.uri, {"rootstock.digest": tuned.model.digest, "rootstock.run_id": run_id}
    )
    for _ in range(ATTEMPTS):
        champion = registry.champion(config.registered_name)
        if champion and champion.uri == tuned.model.uri:
            return _already(config, champion)
        if taken_back := registry.rolled_back(config.registered_name, version):
            return _challenger(config, version, champion, f"It was rolled back: {taken_back}")
        found = run_isolated(
            "lm_modules.evaluation.promotion:compare_for_promotion",
            {
                "config": config,
                "replicates": replicates,
                "evaluation": evaluation.local(),
                "data": tuned.data.local(),
                "champion": logged_models.fetch_model(champion.uri) if champion else None,
                "seed": seed,
            },
            name="the comparison with the champion",
        )
        if found["incomparable"]:
            return _challenger(config, version, champion, found["incomparable"])
        try:
            return _decide(config, version, champion, found["comparisons"], found["better_unasked"])
        except registry.ChampionChanged:
            continue
    raise RuntimeError(f"the champion of {config.registered_name} moved {ATTEMPTS} times meanwhile; run this again")


def _decide(
    config: PromotionConfig,
    version: str,
    champion: registry.Version | None,
    comparisons: list[dict[str, Any]],
    better_unasked: list[dict[str, Any]],
) -> Verdict:
    """Write the verdict into the registry and return it."""
    if not comparisons:
        return _challenger(config, version, champion, "It was compared with nothing.")
    reason = " ".join(_sentence(each) for each in comparisons)
    if not all(each["better"] for each in comparisons):
        return _challenger(config, version, champion, reason, comparisons)
    reason = " ".join([reason, *(_warning(each) for each in better_unasked)])
    name, before = config.registered_name, champion.version if champion else None
    note = {"verdict": "promoted", "reason": reason, "comparisons": comparisons}
    registry.move_champion(name, version, note, expected_champion=before)
    return Verdict(
        registered_name=name,
        version=version,
        alias=registry.CHAMPION,
        promoted=True,
        reason=reason,
        comparisons=tuple(comparisons),
        champion_before=before,
        champion_after=version,
    )


def _challenger(
    config: PromotionConfig,
    version: str,
    champion: registry.Version | None,
    reason: str,
    comparisons: Sequence[dict[str, Any]] = (),
) -> Verdict:
    """Leave the champion where it is, with the reason, and return that verdict."""
    name, before = config.registered_name, champion.version if champion else None
    registry.set_challenger(name, version, reason, {"verdict": "not promoted", "comparisons": comparisons})
    return Verdict(
        registered_name=name,
        version=version,
        alias=registry.CHALLENGER,
        promoted=False,
        reason=reason,
        comparisons=tuple(comparisons),
        champion_before=before,
        champion_after=before,
    )


def _already(config: PromotionConfig, champion: registry.Version) -> Verdict:
    """Return the verdict on the model that counts already: nothing moves."""
    return Verdict(
        registered_name=config.registered_name,
        version=champion.version,
        alias=registry.CHAMPION,
        promoted=False,
        reason=f"this model is the champion already. {champion.tags.get('reason', '')}".strip(),
        champion_before=champion.version,
        champion_after=champion.version,
    )


def _sentence(comparison: dict[str, Any]) -> str:
    verb = "beats" if comparison["better"] else "has not proved better than"
    return f"It {verb} {comparison['baseline']}: {_difference(comparison)}."


def _warning(comparison: dict[str, Any]) -> str:
    return f"{comparison['title']}, which it was not asked to beat, is better than it: {_difference(comparison)}."


def _difference(comparison: dict[str, Any]) -> str:
    return (
        f"{comparison['metric']} {comparison['difference']:+.3f}, "
        f"{comparison['confidence']:.0%} interval {comparison['low']:+.3f} to {comparison['high']:+.3f}"
    )
