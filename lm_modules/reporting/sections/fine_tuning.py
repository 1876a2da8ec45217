"""The sweep: every trial with its state, what mattered, how the trials went."""

from __future__ import annotations

from collections.abc import Iterator

from lm_modules.reporting.blocks import Badge, Block, Cell, Drawing, Drawings, Link, Paragraph, Section, Table, Tone
from lm_modules.reporting.charts import Series, bar, line_chart
from lm_modules.reporting.facts import ReportFacts, SweepFacts, TrialFacts
from lm_modules.reporting.words import duration, number, percent

TONES: dict[str, Tone] = {
    "completed": "good",
    "pruned": "plain",
    "failed": "bad",
    "continued": "plain",
    "running": "warn",
}


def sweep(facts: ReportFacts) -> Section:
    """Return the table of trials, their curves and the importance of each hyperparameter."""
    sweep = facts.sweep
    if not sweep or not sweep.trials:
        return Section("Fine-tuning sweep")
    blocks: list[Block] = [Paragraph(_in_words(sweep)), _trials(sweep)]
    if any(trial.curve for trial in sweep.trials):
        blocks.append(Drawings([_curves(sweep)]))
    blocks += _not_ended_well(sweep)
    if sweep.importance:
        blocks.append(_importance(sweep.importance))
    elif sweep.why_no_importance:
        blocks.append(Paragraph(sweep.why_no_importance))
    return Section("Fine-tuning sweep", blocks)


def _in_words(sweep: SweepFacts) -> str:
    states = [trial.state for trial in sweep.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in TONES if state in states)
    text = f"{len(states)} trials: {counts}."
    if sweep.best:
        text += f" Trial {sweep.best.number} is the best by {sweep.metric} on the validation split: "
        text += f"{number(sweep.best.value)}. The test split was not looked at."
    if sweep.best and len(values := sweep.values_of_the_best) > 1:
        text += (
            f" With {len(values)} seeds it gave {', '.join(map(number, values))}: {number(sum(values) / len(values))}"
        )
        text += " on average, the best of those that were repeated."
    return text


def _not_ended_well(sweep: SweepFacts) -> Iterator[Paragraph]:
    """Say why trials failed, and which others went on with those that were cut off."""
    continued_as = {trial.retry_of: trial.number for trial in sweep.trials}
    for trial in sweep.trials:
        if trial.number in continued_as:
            yield Paragraph(f"Trial {trial.number} was cut off and continued as trial {continued_as[trial.number]}.")
        elif trial.error:
            yield Paragraph(f"Trial {trial.number} failed: {trial.error}", "bad")


def _trials(sweep: SweepFacts) -> Table:
    names = list(dict.fromkeys(name for trial in sweep.trials for name in trial.params))
    best = sweep.best.number if sweep.best else None
    rows = [_row(trial, names) for trial in sweep.trials]
    columns = ["trial", "state", sweep.metric.split("/")[-1], *_short(names), "time", "Wh"]
    highlighted = next((index for index, trial in enumerate(sweep.trials) if trial.number == best), None)
    return Table(columns, rows, numeric=frozenset(columns) - {"trial", "state"}, highlighted=highlighted)


def _row(trial: TrialFacts, names: list[str]) -> list[Cell]:
    return [
        Link(str(trial.number), trial.run_url),
        Badge(trial.state, TONES.get(trial.state, "plain")),
        number(trial.value),
        *(number(trial.params.get(name), 3) for name in names),
        duration(trial.seconds) if trial.seconds is not None else "-",
        number(trial.watt_hours),
    ]


def _short(names: list[str]) -> list[str]:
    """Return the last word of each dotted path, or the whole path where two would look alike."""
    last = [name.split(".")[-1] for name in names]
    return [word if last.count(word) == 1 else name for word, name in zip(last, names, strict=True)]


def _curves(sweep: SweepFacts) -> Drawing:
    best = sweep.best.number if sweep.best else None
    others = [Series(trial.curve, look="faint") for trial in sweep.trials if trial.curve and trial.number != best]
    chosen = [Series(trial.curve) for trial in sweep.trials if trial.curve and trial.number == best]
    words = f"{sweep.metric} of each trial over its steps; the best trial stands out."
    return Drawing(line_chart(others + chosen, words), words, title=sweep.metric)


def _importance(importance: dict[str, float]) -> Table:
    rows: list[list[Cell]] = [
        [name, percent(share, 0), Drawing(bar(share, percent(share, 0)), "")]
        for name, share in sorted(importance.items(), key=lambda item: -item[1])
    ]
    caption = "How much of the spread between trials each hyperparameter explains; rough where trials are few."
    return Table(["hyperparameter", "importance", ""], rows, caption, frozenset({"importance"}))
