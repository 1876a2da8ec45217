"""What is told of one document agrees with the corpus, and shows no personal data."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from configs.data_preparation import DataPreparationConfig
from flows.explanation import explanation
from lm_modules.data.explanation import _changes, explain
from lm_modules.data.preparation import prepare

QUESTION = "what causes the precipitation to fall from the clouds in winter evenings every year again and again"


def explained(folder: Path, text: str, **settings: Any) -> list[str]:
    """Prepare sixty rows and a text, and explain the text."""
    rows = [f"row {number} has some words in it" for number in range(60)] + [text]
    folder.mkdir()
    (folder / "rows.jsonl").write_text("\n".join(json.dumps({"text": row}) for row in rows))
    config = DataPreparationConfig.model_validate(
        {
            "sources": [{"kind": "jsonl", "path": str(folder / "rows.jsonl")}],
            "split": {"validation_fraction": 0.05, "test_fraction": 0.0},
            **settings,
        }
    )
    prepare(config, folder / "corpus", seed=1)
    return explain(config, 1, "rows.jsonl:61", folder / "corpus")


@pytest.mark.parametrize("asked", [True, False])
def test_decontamination_is_told_as_it_was(asked: bool, tmp_path: Path) -> None:
    examples = [{"text": f"{QUESTION} number {number}", "label": "ab"[number % 2]} for number in range(4)]
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, examples)))
    sets = [{"kind": "jsonl", "path": str(tmp_path / "questions.jsonl")}]
    text = f"It says: {QUESTION} indeed." if asked else "It asks nothing of the kind."
    told = explained(tmp_path / "texts", text, decontamination={"mode": "drop", "sets": sets})
    lines = [line for line in told if line.startswith("decontamination")]
    assert lines == ["decontamination drops it: holds texts of jsonl" if asked else "decontamination keeps it as it is"]
    assert any("It is in " in line for line in told) != asked


def test_a_document_that_a_filter_drops_was_not_asked(tmp_path: Path) -> None:
    told = explained(
        tmp_path / "texts", "too short", filters=[{"kind": "length", "min_words": 5}], decontamination={"mode": "drop"}
    )
    assert told[-1] == "decontamination was not asked, as it was dropped before"


def test_no_personal_data_is_shown(tmp_path: Path) -> None:
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *[f"MIIEp{number:059d}" for number in range(9)], "and so on"])
    text = f"Write to john.smith@gmail.com\u200b today, or\n{'a ' * 70}4111 1111 1111 1111\n{key} "
    told = explained(tmp_path / "texts", text, cleaners=["unicode", "personal_data", "whitespace"])
    said = "\n".join(told)
    assert "john" not in said
    assert "4111" not in said
    assert "MIIEp" not in said
    assert any(line.startswith("personal_data rewrites it") and "1 EMAIL" in line for line in told)
    assert "Write to PI:EMAIL" in told[0]


def test_it_is_kept_nowhere() -> None:
    assert explanation.persist_result is False


def test_a_change_far_into_a_line_is_shown(tmp_path: Path) -> None:
    told = explained(tmp_path / "texts", f"{'word ' * 100}caf\u00e9\u00a0au lait", cleaners=["unicode"])
    (place,) = [number for number, line in enumerate(told) if line.startswith("unicode rewrites it")]
    assert told[place + 1].startswith("    -...'")
    assert r"café\xa0au lait" in told[place + 1]
    assert "café au lait" in told[place + 2]


def test_documents_are_found_by_what_people_know_of_them(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        lines = [json.dumps({"text": f"text {number} of the source {name} by itself"}) for number in range(30)]
        (tmp_path / name / "x.jsonl").write_text("\n".join([*lines, "{torn", *([] if name == "one" else ["[]"])]))
    sources = [{"kind": "jsonl", "name": name, "path": str(tmp_path / name)} for name in ("one", "two")]
    config = DataPreparationConfig.model_validate({"sources": sources})
    prepare(config, tmp_path / "corpus", seed=0)

    def told(document: str) -> list[str]:
        return explain(config, 0, document, tmp_path / "corpus")

    assert "of two: " in told("two/x.jsonl:3")[0]
    assert told("x.jsonl:32") == ["x.jsonl:32 of two could not be read: not a JSON object"]
    with pytest.raises(ValueError, match=r"several sources have .* say which: one/x\.jsonl:3, two/x\.jsonl:3"):
        told("x.jsonl:3")
    with pytest.raises(ValueError, match=r"no source has a document 'x\.jsonl:300'; did you mean"):
        told("x.jsonl:300")


def test_many_lines_that_changed_are_compared_in_no_time(tmp_path: Path) -> None:
    before = [f"line {number}" for number in range(20_000)]
    after = [f"{line}{' x' * (number % 2)}" for number, line in enumerate(before)]
    started = time.perf_counter()
    found = _changes("\n".join(before), "\n".join(after))
    assert time.perf_counter() - started < 2
    assert found[0] == "    -'line 1'"
    assert found[-1] == "    ... and perhaps more in the lines that follow"
