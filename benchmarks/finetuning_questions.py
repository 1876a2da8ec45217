"""Questions of XQuAD in English (Artetxe et al. 2020) answered by Rootstock and by the Trainer, on the same tiny BERT.

    python benchmarks/finetuning_questions.py FOLDER [--seeds 3] [--epochs 6] [--threads 2] [--check]

FOLDER holds xquad.en.json.gz, or .json, of github.com/google-deepmind/xquad: 1,190 questions about 48 articles, whole
articles of which are held out. The base has random weights and a tokenizer of the training text, so the scores are low:
what is compared is how both learn. The Trainer's side is as in the examples of `transformers` (run_qa.py): windows of
256 tokens that overlap by 64, the best 20 starts with the best 20 ends, answers of at most 30 tokens, here with batches
padded to their longest row, which is faster than all rows at 256. `answer_f1` is of the test split, for the Trainer by
torchmetrics.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetuning_beside_trainer import Contest, Pieces, parser, show
from tiny_bases import save_encoder

OVERLAP, BEST, LONGEST = 64, 20, 30
HEAD = {
    "kind": "extractive_qa",
    "overlap_tokens": OVERLAP,
    "num_best": BEST,
    "max_answer_tokens": LONGEST,
    "no_answer_threshold": None,
}
Rows = list[dict[str, Any]]


def pieces(contest: Contest, splits: Mapping[str, Rows]) -> Pieces:
    """Return what a user of the Trainer writes for answers in a text."""
    from datasets import Dataset
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, DataCollatorWithPadding, Trainer

    tokenizer = AutoTokenizer.from_pretrained(contest.base)
    model = AutoModelForQuestionAnswering.from_pretrained(
        contest.base, hidden_dropout_prob=contest.dropout, attention_probs_dropout_prob=contest.dropout
    )

    def windows(rows: dict[str, Any]) -> Any:
        found = tokenizer(
            [each.lstrip() for each in rows["question"]],
            rows["context"],
            truncation="only_second",
            max_length=contest.context_length,
            stride=OVERLAP,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        found["example"] = [rows["number"][each] for each in found.pop("overflow_to_sample_mapping")]
        for index, offsets in enumerate(found["offset_mapping"]):
            ids = found.sequence_ids(index)
            found["offset_mapping"][index] = [
                place if id == 1 else None for place, id in zip(offsets, ids, strict=True)
            ]
        return found

    def lessons(rows: dict[str, Any]) -> Any:
        found = windows(rows)
        answers = dict(zip(rows["number"], rows["answers"], strict=True))
        targets = [
            target(answers[example][0], offsets)
            for example, offsets in zip(found.pop("example"), found.pop("offset_mapping"), strict=True)
        ]
        found["start_positions"], found["end_positions"] = map(list, zip(*targets, strict=True))
        return found

    def dataset(rows: Rows, encode: Any) -> Any:
        numbered = [{**row, "number": number} for number, row in enumerate(rows)]
        columns = ["number", "question", "context", "answers"]
        return Dataset.from_list([{key: row[key] for key in columns} for row in numbered]).map(
            encode, batched=True, remove_columns=columns
        )

    asked = {split: dataset(splits[split], windows) for split in ("validation", "test")}

    class AnsweringTrainer(Trainer):
        """Scores answers, which come of several windows, as the one of run_qa.py does."""

        def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> Any:
            split = "validation" if metric_key_prefix == "eval" else "test"
            loader = self.get_eval_dataloader(asked[split])
            found = self.evaluation_loop(loader, description=split, metric_key_prefix=metric_key_prefix)
            metrics = {f"{metric_key_prefix}_answer_f1": f1(found.predictions, asked[split], splits[split])}
            self.log(metrics)
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
            return metrics

    return Pieces(
        model=model,
        tokenizer=tokenizer,
        datasets={"train": dataset(splits["train"], lessons), **asked},
        collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8),
        compute_metrics=None,
        trainer=AnsweringTrainer,
        arguments={"label_names": ["start_positions", "end_positions"]},
    )


def target(answer: dict[str, Any], offsets: list[tuple[int, int] | None]) -> tuple[int, int]:
    """Return the tokens of an answer in a window, as run_qa.py finds them; (0, 0) if it is not whole in it."""
    inside = [index for index, place in enumerate(offsets) if place is not None]
    first, last = inside[0], inside[-1]
    start, end = answer["start"], answer["start"] + len(answer["text"])
    if offsets[first][0] > start or offsets[last][1] < end:
        return 0, 0
    while first < len(offsets) and offsets[first] is not None and offsets[first][0] <= start:
        first += 1
    while offsets[last] is not None and offsets[last][1] >= end:
        last -= 1
    return first - 1, last + 1


def f1(logits: tuple[Any, Any], windows: Any, rows: Rows) -> float:
    """Return the mean F1 of the answers, found as `postprocess_qa_predictions` of run_qa.py finds them."""
    import numpy as np
    from torchmetrics.functional.text import squad

    answers: dict[int, tuple[float, str]] = {}
    for start_L, end_L, window in zip(*logits, windows, strict=True):
        places, context = window["offset_mapping"], rows[window["example"]]["context"]
        for first in np.argsort(start_L)[-1 : -BEST - 1 : -1].tolist():
            for last in np.argsort(end_L)[-1 : -BEST - 1 : -1].tolist():
                if max(first, last) >= len(places) or places[first] is None or places[last] is None:
                    continue
                if not first <= last < first + LONGEST:
                    continue
                score = float(start_L[first] + end_L[last])
                if score > answers.get(window["example"], (float("-inf"), ""))[0]:
                    answers[window["example"]] = score, context[places[first][0] : places[last][1]]
    said = [{"id": str(number), "prediction_text": answers.get(number, (0, ""))[1]} for number in range(len(rows))]
    right = [
        {"id": str(number), "answers": {"text": [each["text"] for each in row["answers"]], "answer_start": [0]}}
        for number, row in enumerate(rows)
    ]
    return squad(said, right)["f1"].item() / 100


def main() -> None:
    from configs.component import members
    from lm_modules.data.labelled.squad import Squad
    from lm_modules.data.labelled_data import collect
    from lm_modules.data.labelled_examples import read_examples

    options = parser(__doc__).parse_args()
    head: Any = members("lm_modules.heads")["extractive_qa"].model_validate(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        collect(Squad(path=f"{options.data}/xquad.en.json*"), head, data, seed=0)
        lines = (data / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (data / "train.jsonl").write_text("".join(lines[: options.examples]), encoding="utf-8")
        texts = [head.text(each.fields) for each in read_examples(data, "train")]
        contest = Contest(
            head=HEAD,
            base=save_encoder(Path(folder) / "base", texts, width=64),
            data=data,
            pieces=pieces,
            epochs=options.epochs or 6,
            context_length=256,
        )
        show(contest, options, Path(folder))


if __name__ == "__main__":
    main()
