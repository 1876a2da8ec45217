"""The strip of figures at the top, and the run in a few honest sentences."""

from __future__ import annotations

from lm_modules.reporting.blocks import Block, Drawing, Headline, Paragraph, Section, Tone
from lm_modules.reporting.charts import bar, whisker
from lm_modules.reporting.facts import Comparison, LanguageModelScore, ReportFacts, SplitScore
from lm_modules.reporting.words import difference, duration, metric, number, percent

XZ_AIM = 0.95
"""A language model should need at most this part of what `xz -9` needs."""


def headlines(facts: ReportFacts) -> list[Headline]:
    """Return the figures of the strip: bits per byte, the tuned model, the decision, the time."""
    found = [_bits_per_byte(facts), _tuned(facts), _decision(facts), _time(facts)]
    return [each for each in found if each]


def in_short(facts: ReportFacts) -> Section:
    """Return the sentences that say how the run ended, the unwelcome ones included."""
    blocks: list[Block] = []
    score, split = facts.evaluation and facts.evaluation.language_model, facts.evaluation and facts.evaluation.split
    if score:
        blocks.append(_against_xz(score, facts))
    if split:
        blocks += [Paragraph(_in_words(each, split), _tone(each)) for each in split.comparisons]
    if facts.verdict:
        tone: Tone = "good" if facts.verdict.promoted else "warn"
        blocks.append(Paragraph(facts.verdict.reason, tone))
    return Section("In short", blocks)


def _against_xz(score: LanguageModelScore, facts: ReportFacts) -> Paragraph:
    text = (
        f"The language model needs {score.bits_per_byte:.3f} bits for each byte of held-out text; "
        f"xz -9 needs {score.xz_bits_per_byte:.3f} on the same text, so the model needs "
        f"{percent(score.fraction_of_xz)} of that."
    )
    if score.fraction_of_xz <= XZ_AIM:
        return Paragraph(text, "good")
    missed = score.bits_per_byte - XZ_AIM * score.xz_bits_per_byte
    text += f" The aim is at most {percent(XZ_AIM, 0)}: it is missed by {missed:.3f} bits per byte."
    return Paragraph(text + _why_missed(facts), "warn")


def _why_missed(facts: ReportFacts) -> str:
    """Say whether the curve was still falling when the budget ended: the one cause that the run itself shows."""
    points = facts.curves.get("validation/bits_per_byte", [])
    if len(points) < 2:
        return ""
    (step_before, before), (step, last) = points[-2], points[-1]
    if last < before:
        fell = f"{before - last:.3f} bits per byte between steps {number(int(step_before))} and {number(int(step))}"
        return f" Validation still fell by {fell} when the budget ended: a larger budget would bring it lower."
    return " Validation no longer fell when the budget ended: a larger model or more text is needed."


def _in_words(comparison: Comparison, split: SplitScore) -> str:
    challenger, baseline = (_title(name, split) for name in (comparison.challenger, comparison.baseline))
    figures = f"{metric(comparison.metric)} {difference(comparison)}, {percent(comparison.confidence, 0)} interval"
    if comparison.is_better:
        return f"{challenger} is better than {baseline}: {figures}, zero lies outside."
    if comparison.is_worse:
        return f"{challenger} is worse than {baseline}: {figures}, zero lies outside."
    return f"{challenger} and {baseline} cannot be told apart on these examples: {figures}, zero lies inside."


def _tone(comparison: Comparison) -> Tone:
    return "good" if comparison.is_better else "warn"


def _title(name: str, split: SplitScore) -> str:
    return split.models[name].title if name in split.models else name


def _bits_per_byte(facts: ReportFacts) -> Headline | None:
    score = facts.evaluation and facts.evaluation.language_model
    if not score:
        return None
    tone: Tone = "good" if score.fraction_of_xz <= XZ_AIM else "warn"
    words = f"{percent(score.fraction_of_xz)} of what xz -9 needs ({score.xz_bits_per_byte:.3f})"
    drawing = Drawing(bar(score.fraction_of_xz, words, f"bar {tone}"), words)
    return Headline("Bits per byte, held-out text", f"{score.bits_per_byte:.3f}", words, tone, drawing)


def _tuned(facts: ReportFacts) -> Headline | None:
    split = facts.evaluation and facts.evaluation.split
    if not split or "tuned" not in split.models:
        return None
    key, estimate = next(iter(split.models["tuned"].metrics.items()))
    others = [
        f"{model.title} {model.metrics[key].value:.3f}"
        for name, model in split.models.items()
        if name != "tuned" and key in model.metrics
    ]
    words = f"{estimate.low:.3f} to {estimate.high:.3f}; {'; '.join(others)}"
    drawing = Drawing(whisker(estimate, 0, 1, words), words)
    name = metric(key)
    return Headline(f"{name[:1].upper()}{name[1:]}, tuned model", f"{estimate.value:.3f}", words, "plain", drawing)


def _decision(facts: ReportFacts) -> Headline | None:
    verdict = facts.verdict
    if not verdict:
        return None
    champion = f"version {verdict.champion_after} is @champion" if verdict.champion_after else "there is no @champion"
    note = f"{verdict.name or 'The model'}: {champion}"
    if verdict.promoted and verdict.champion_before:
        note += f"; before it was version {verdict.champion_before}"
    elif not verdict.promoted and verdict.version:
        note += f", version {verdict.version} is not"
    value = verdict.decision[:1].upper() + verdict.decision[1:]
    return Headline("Decision", value, note, "good" if verdict.promoted else "warn")


def _time(facts: ReportFacts) -> Headline | None:
    if facts.duration_seconds is None:
        return None
    reused = sum(stage.reused for stage in facts.stages)
    note = f"{len(facts.stages)} stages, {reused} of them reused" if reused else f"{len(facts.stages)} stages"
    cores = facts.environment.get("cores")
    return Headline("Time", duration(facts.duration_seconds), f"{note}; {cores} CPU cores" if cores else note)
