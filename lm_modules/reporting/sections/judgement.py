"""The judgement: every model on the same held-out examples, the paired differences, the decision."""

from __future__ import annotations

from lm_modules.reporting.blocks import Badge, Block, Cell, Drawing, Figures, Paragraph, Section, Table
from lm_modules.reporting.charts import whisker
from lm_modules.reporting.facts import Comparison, Interval, ReportFacts, SplitScore
from lm_modules.reporting.words import count, difference, duration, interval, metric, percent


def evaluation(facts: ReportFacts) -> Section:
    """Return the models on the data's own split, on which decisions rest."""
    split, other = _both_splits(facts)
    if not split:
        return Section("Evaluation")
    remedy = (
        "Decisions rest on this split nevertheless; set finetuning.data.split_by to group to rest them on the other."
    )
    return Section("Evaluation", [*_leakage(split, other, remedy), *_scores(split)])


def other_split(facts: ReportFacts) -> Section:
    """Return the models on the second split."""
    split, other = _both_splits(facts)
    if not other:
        return Section("The other split")
    return Section(
        "The other split", [*_leakage(other, split, "Decisions rest on the split by group."), *_scores(other)]
    )


def beside(facts: ReportFacts) -> list[Section]:
    """Return the models on each set that was learned beside; no decision rests on these."""
    others = facts.evaluation.beside if facts.evaluation else {}
    return [Section(f"Learned beside: {name}", _scores(split)) for name, split in others.items()]


def _both_splits(facts: ReportFacts) -> tuple[SplitScore | None, SplitScore | None]:
    return (facts.evaluation.split, facts.evaluation.other_split) if facts.evaluation else (None, None)


def promotion(facts: ReportFacts) -> Section:
    """Return the decision, its reason and the comparisons that it rests on."""
    verdict = facts.verdict
    if not verdict:
        return Section("Promotion")
    decision = Badge(verdict.decision, "good" if verdict.promoted else "warn")
    items: list[tuple[str, Cell]] = [
        ("decision", decision),
        ("registered model", verdict.name or "-"),
        ("version", verdict.version or "-"),
        ("champion before", f"version {verdict.champion_before}" if verdict.champion_before else "none"),
        ("champion now", f"version {verdict.champion_after}" if verdict.champion_after else "none"),
    ]
    blocks: list[Block] = [Figures(items), Paragraph(verdict.reason)]
    if verdict.comparisons:
        blocks.append(_comparisons(verdict.comparisons, {}))
    return Section("Promotion", blocks)


def _scores(split: SplitScore) -> list[Block]:
    how = {
        "group": ", split by group: no group has examples on both sides",
        "random": ", split at random",
        "given": ", on the split that came with the data",
    }
    text = f"{count(split.num_examples)} held-out examples"
    text += f" of {len(split.labels)} classes" if split.labels else ""
    text += f"{how.get(split.split_by or '', '')}. All models answer the same examples."
    if 0 < split.num_groups < split.num_examples:
        text += f" The intervals draw the {count(split.num_groups)} groups that they come in."
    titles = {name: model.title for name, model in split.models.items()}
    keys = list(dict.fromkeys(key for model in split.models.values() for key in model.metrics))
    blocks: list[Block] = [Paragraph(text), *(_models(split, key) for key in keys)]
    if split.comparisons:
        blocks.append(_comparisons(split.comparisons, titles))
    return blocks + _raw_texts(split)


def _raw_texts(split: SplitScore) -> list[Block]:
    """Return what the models find that are told nothing but the text."""
    rows: list[list[Cell]] = []
    for model in split.models.values():
        if found := model.raw_texts:
            rows.append([model.title, interval(found.f1), *map(count, (found.right, found.found, found.true))])
    caption = (
        "What the models find in the same texts when they are told nothing else: entities, then relations between "
        "these. Right is what has the label and both places of an example; what no example tells of counts as wrong."
    )
    columns = ["model", "F1 in raw texts", "right", "found", "in the examples"]
    return [Table(columns, rows, caption, numeric=frozenset(columns[2:]))] if rows else []


def _models(split: SplitScore, key: str) -> Table:
    scored = {name: model for name, model in split.models.items() if key in model.metrics}
    lowest, highest = _scale([model.metrics[key] for model in scored.values()])
    rows: list[list[Cell]] = []
    for name, model in sorted(scored.items(), key=lambda item: -item[1].metrics[key].value):
        words = interval(model.metrics[key])
        look = "main" if name == "tuned" else "second"
        picture = Drawing(whisker(model.metrics[key], lowest, highest, words, look), "")
        time = duration(model.seconds) if model.seconds is not None else "-"
        rows.append([model.title, words, picture, time])
    best = next((index for index, row in enumerate(rows) if row[0] == _title_of_tuned(split)), None)
    columns = ["model", metric(key), f"{lowest:.3g} to {highest:.3g}", "time"]
    return Table(columns, rows, numeric=frozenset({"time"}), highlighted=best)


def _comparisons(comparisons: list[Comparison], titles: dict[str, str]) -> Table:
    rows: list[list[Cell]] = []
    for each in comparisons:
        alike = [other for other in comparisons if other.metric == each.metric]  # metrics differ in their scale
        reach = max(max(abs(other.low), abs(other.high)) for other in alike) or 1.0
        words = difference(each)
        estimate = Interval(value=each.difference, low=each.low, high=each.high)
        if not each.higher_is_better:
            estimate = Interval(value=-each.difference, low=-each.high, high=-each.low)
        picture = Drawing(whisker(estimate, -reach, reach, words, "main" if each.excludes_zero else "second", True), "")
        pair = f"{titles.get(each.challenger, each.challenger)} - {titles.get(each.baseline, each.baseline)}"
        rows.append([pair, metric(each.metric), words, picture, _zero(each)])
    confidence = percent(comparisons[0].confidence, 0)
    caption = f"Paired differences on the same examples with their {confidence} bootstrap intervals."
    return Table(
        ["difference", "metric", "value", "worse | better", "interval"],
        rows,
        caption,
        whole=frozenset({"metric", "value"}),
    )


def _zero(comparison: Comparison) -> Badge:
    if not comparison.excludes_zero:
        return Badge("includes zero", "warn")
    return Badge("above zero" if comparison.low > 0 else "below zero", "good" if comparison.is_better else "bad")


def _scale(estimates: list[Interval]) -> tuple[float, float]:
    """Return the ends of the axis: 0 to 1 where the figures are fractions, else what holds all intervals."""
    low, high = min(each.low for each in estimates), max(each.high for each in estimates)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _title_of_tuned(split: SplitScore) -> str | None:
    return split.models["tuned"].title if "tuned" in split.models else None


def _leakage(shown: SplitScore, other: SplitScore | None, decisions: str) -> list[Block]:
    """Return why the figures shown are not to be believed, if they are of a random split of texts that have groups."""
    if not other or (shown.split_by, other.split_by) != ("random", "group"):
        return []
    text = (
        "These figures are inflated. Texts of one group are much alike: the docstrings of one Python module share "
        "words, names and whole sentences. A random split puts near-identical ones on both sides, so a model is asked "
        "what it has already seen the answer to; and those test texts that lie in modules on which the language model "
        "was pretrained, it has itself read. "
    )
    pairs = []
    for name in ("tuned", "tfidf"):
        if name in other.models and name in shown.models:
            key = next(iter(other.models[name].metrics))
            apart, mixed = other.models[name].metrics[key].value, shown.models[name].metrics[key].value
            pairs.append(f"{other.models[name].title} {apart:.3f} apart, {mixed:.3f} at random")
    if pairs:
        text += f"The same models with the groups kept apart and with a random split: {'; '.join(pairs)}. "
    return [Paragraph(text + decisions, "warn")]
