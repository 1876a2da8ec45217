from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from configs.data_preparation import DataPreparationConfig
from lm_modules.data.corpus import read_corpus
from lm_modules.data.documents import SPLITS
from lm_modules.data.preparation import fingerprint, prepare

SENTENCE = "This is sentence number {} of a text that says something about the number {} and little else."


def write_texts(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.txt").write_text(SENTENCE.format(number_words(number), number_words(number)))
    return folder


def number_words(number: int) -> str:
    """Return letters that differ for every number, because copies are found by letters only."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def config_for(path: Path, kind: str = "text_files", **rest) -> DataPreparationConfig:
    return DataPreparationConfig.model_validate({"sources": [{"kind": kind, "path": str(path)}], **rest})


def all_documents(corpus: Path) -> dict[str, list]:
    return {split: list(read_corpus(corpus, split)) for split in SPLITS}


def contents(corpus: Path) -> dict[str, bytes]:
    return {str(path.relative_to(corpus)): path.read_bytes() for path in corpus.rglob("*") if path.is_file()}


def test_three_broken_lines_among_a_thousand_are_named_and_the_rest_is_kept(tmp_path) -> None:
    lines = [json.dumps({"text": SENTENCE.format(number_words(n), number_words(n))}).encode() for n in range(1000)]
    lines[10], lines[500], lines[999] = (
        b'{"text": "cut off',
        b'{"body": "wrong field of a good line"}',
        b'{"text": "\xff\xfe"}',
    )
    path = tmp_path / "texts.jsonl"
    path.write_bytes(b"\n".join(lines))
    report = prepare(config_for(path, "jsonl"), tmp_path / "corpus", seed=0)
    ledger = [json.loads(line) for line in (tmp_path / "corpus" / "ledger.jsonl").read_text().splitlines()]
    assert [(row["line"], row["file"]) for row in ledger] == [(11, str(path)), (501, str(path)), (1000, str(path))]
    assert [row["reason"] for row in ledger] == ["not JSON", "no field 'text'", "not UTF-8"]
    assert report["documents"] == 997
    assert sum(map(len, all_documents(tmp_path / "corpus").values())) == 997
    assert json.loads((tmp_path / "corpus" / "report.json").read_text()).items() <= report.items()


def test_every_missing_document_has_a_reason(tmp_path) -> None:
    folder = write_texts(tmp_path / "texts", 40)
    (folder / "short.txt").write_text("too short")
    (folder / "copy.txt").write_text((folder / "3.txt").read_text().replace(" ", "\n", 1))
    (folder / "empty.txt").write_text(" \n")
    (folder / "latin.txt").write_bytes("café".encode("latin-1"))
    report = prepare(config_for(folder), tmp_path / "corpus", seed=0)
    reasons = {step["step"]: step["reasons"] for step in report["steps"]}
    assert reasons == {
        "read": {"empty": 1, "not UTF-8; save it as UTF-8, or name its encoding (encoding: cp1252)": 1},
        "unicode": {},
        "identify_languages": {},
        "length": {"fewer than 5 words": 1},
        "exact": {"copy of an earlier document": 1},
    }
    assert report["ledger_lines"] == 4
    assert "1 files of text_files could not be read, or not to their end; see the ledger" in report["warnings"]
    assert report["documents"] == 40 == sum(report["splits"][split]["documents"] for split in SPLITS)


def test_equal_seeds_give_equal_corpora_and_the_split_is_disjoint(tmp_path) -> None:
    folder = write_texts(tmp_path / "texts", 200)
    first = prepare(config_for(folder), tmp_path / "first", seed=1)
    again = prepare(config_for(folder), tmp_path / "again", seed=1)
    other = prepare(config_for(folder), tmp_path / "other", seed=2)
    assert first["sha256"] == again["sha256"] != other["sha256"]
    ids = [{document.id for document in documents} for documents in all_documents(tmp_path / "first").values()]
    assert len(set.union(*ids)) == sum(map(len, ids)) == 200
    assert 2 <= len(ids[1]) <= 25


def test_equal_corpora_are_equal_to_the_byte(tmp_path) -> None:
    folder = write_texts(tmp_path / "texts", 30)
    for name in ("first", "again"):
        report = prepare(config_for(folder), tmp_path / name, seed=0)
    assert report["seconds"] > 0
    assert set(report["seconds_by_step"]) == {"read", "unicode", "identify_languages", "length", "exact"}
    assert contents(tmp_path / "first") == contents(tmp_path / "again")


def test_a_line_put_in_at_the_top_moves_no_other(tmp_path) -> None:
    lines = [json.dumps({"text": SENTENCE.format(number_words(n), number_words(n))}) for n in range(150)]
    path = tmp_path / "texts.jsonl"
    found = []
    for name in ("before", "after"):
        path.write_text("\n".join(lines))
        prepare(config_for(path, "jsonl"), tmp_path / name, seed=0)
        found.append({split: [each.text for each in texts] for split, texts in all_documents(tmp_path / name).items()})
        lines.insert(0, json.dumps({"text": "An entirely new text with enough words in it."}))
    before, after = found
    for split in SPLITS:
        assert before[split] == [text for text in after[split] if not text.startswith("An entirely new")]


def test_copies_that_are_kept_lie_in_one_split(tmp_path) -> None:
    path = tmp_path / "texts.jsonl"
    rows = [{"text": SENTENCE.format(number_words(n % 50), number_words(n % 50))} for n in range(200)]
    path.write_text("\n".join(map(json.dumps, rows)))
    prepare(config_for(path, "jsonl", deduplication=[]), tmp_path / "corpus", seed=0)
    texts = [{document.text for document in documents} for documents in all_documents(tmp_path / "corpus").values()]
    assert len(set.union(*texts)) == sum(map(len, texts)) == 50


def test_an_edited_file_stays_in_its_split(tmp_path) -> None:
    folder = write_texts(tmp_path / "texts", 60)
    prepare(config_for(folder), tmp_path / "before", seed=0)
    for file in folder.iterdir():
        file.write_text(file.read_text() + " And a word more.")
    prepare(config_for(folder), tmp_path / "after", seed=0)
    before, after = all_documents(tmp_path / "before"), all_documents(tmp_path / "after")
    assert {split: [each.id for each in before[split]] for split in SPLITS} == {
        split: [each.id for each in after[split]] for split in SPLITS
    }


def test_half_a_character_is_replaced_and_counted(tmp_path) -> None:
    path = tmp_path / "texts.jsonl"
    rows = [{"text": f"{SENTENCE.format(number_words(n), '')} \ud83d", "book": f"\ud83d {n}"} for n in range(9)]
    path.write_text("\n".join(map(json.dumps, rows)))
    source = {"kind": "jsonl", "path": str(path), "group_field": "book"}
    config = DataPreparationConfig.model_validate({"sources": [source], "cleaners": []})
    report = prepare(config, tmp_path / "corpus", seed=0)
    assert report["steps"][0]["modified"] == 9
    documents = [each for documents in all_documents(tmp_path / "corpus").values() for each in documents]
    assert {(each.text[-1], each.group[0]) for each in documents} == {("\ufffd", "\ufffd")}


def test_adding_documents_moves_none_of_the_others(tmp_path) -> None:
    folder = write_texts(tmp_path / "texts", 150)
    prepare(config_for(folder), tmp_path / "before", seed=0)
    (folder / "new.txt").write_text("An entirely new text with enough words in it.")
    prepare(config_for(folder), tmp_path / "after", seed=0)
    before, after = all_documents(tmp_path / "before"), all_documents(tmp_path / "after")
    for split in SPLITS:
        assert {each.id for each in before[split]} == {each.id for each in after[split]} - {"new.txt"}


def test_groups_stay_together(tmp_path) -> None:
    path = tmp_path / "texts.jsonl"
    rows = [{"text": SENTENCE.format(number_words(n), number_words(n)), "book": f"book {n % 40}"} for n in range(400)]
    path.write_text("\n".join(map(json.dumps, rows)))
    config = DataPreparationConfig.model_validate(
        {"sources": [{"kind": "jsonl", "path": str(path), "group_field": "book"}], "split": {"test_fraction": 0.2}}
    )
    prepare(config, tmp_path / "corpus", seed=0)
    groups = [{document.group for document in documents} for documents in all_documents(tmp_path / "corpus").values()]
    assert all(groups)
    assert len(set.union(*groups)) == sum(map(len, groups)) == 40


@pytest.mark.parametrize("count", [3, 4, 10])
def test_a_few_documents_still_fill_every_split_and_the_report_says_so(tmp_path, count: int) -> None:
    report = prepare(config_for(write_texts(tmp_path / "texts", count)), tmp_path / "corpus", seed=0)
    documents = all_documents(tmp_path / "corpus")
    assert all(documents.values())
    assert sum(map(len, documents.values())) == count
    assert any("moved there from train" in warning for warning in report["warnings"])


def test_too_few_documents_are_refused_with_the_remedy(tmp_path) -> None:
    words = r"1 document is too few for the splits.*nothing is left for validation; add text.*smaller document_char"
    with pytest.raises(ValueError, match=words):
        prepare(config_for(write_texts(tmp_path / "texts", 1)), tmp_path / "corpus", seed=0)


def test_no_document_left_names_what_dropped_them(tmp_path) -> None:
    folder = write_texts(tmp_path / "texts", 5)
    config = config_for(folder, filters=[{"kind": "length", "min_words": 1000}])
    with pytest.raises(ValueError, match="5 by length: fewer than 1000 words"):
        prepare(config, tmp_path / "corpus", seed=0)


def test_a_filter_that_drops_much_of_a_source_is_a_warning(tmp_path) -> None:
    folder = write_texts(tmp_path / "texts", 20)
    for number in range(15):
        (folder / f"short{number}.txt").write_text("short")
    warnings = prepare(config_for(folder), tmp_path / "corpus", seed=0)["warnings"]
    assert any(warning.startswith("length dropped 43% of text_files (15 of 35)") for warning in warnings)


def test_filters_judge_only_the_sources_that_they_name(tmp_path) -> None:
    prose, code = write_texts(tmp_path / "prose", 10), write_texts(tmp_path / "code", 10)
    for folder in (prose, code):
        (folder / "repeats.txt").write_text("again and again and again and again " * 20 + folder.name)
    sources = [{"kind": "text_files", "name": folder.name, "path": str(folder)} for folder in (prose, code)]
    filters = [{"kind": "repetition", "sources": ["prose"]}]
    config = {"sources": sources, "filters": filters, "deduplication": []}
    report = prepare(DataPreparationConfig.model_validate(config), tmp_path / "corpus", seed=0)
    assert report["sources"]["prose"]["documents_out"] == 10
    assert report["sources"]["code"]["documents_out"] == 11


def test_changed_files_and_settings_change_the_fingerprint(tmp_path) -> None:
    folder = write_texts(tmp_path / "texts", 3)
    first = fingerprint(config_for(folder))
    assert first == fingerprint(config_for(folder))
    assert first != fingerprint(config_for(folder, deduplication=[]))
    (folder / "1.txt").write_text("changed")
    assert first != fingerprint(config_for(folder))


def test_a_stop_ends_the_work(tmp_path) -> None:
    folder = write_texts(tmp_path / "texts", 250)
    with pytest.raises(InterruptedError, match="after 0 of 1 parts"):
        prepare(config_for(folder), tmp_path / "corpus", seed=0, report=lambda step, values: True)


def test_nothing_needs_to_be_held_out(tmp_path) -> None:
    split = {"validation_fraction": 0, "test_fraction": 0}
    report = prepare(config_for(write_texts(tmp_path / "texts", 1), split=split), tmp_path / "corpus", seed=0)
    assert {name: sizes["documents"] for name, sizes in report["splits"].items()} == {
        "train": 1,
        "validation": 0,
        "test": 0,
    }
    assert list(read_corpus(tmp_path / "corpus", "test")) == []


def test_preparing_needs_neither_torch_nor_training() -> None:
    code = "import sys, lm_modules.data.preparation, lm_modules.data.labelled_data; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "lm_modules.training"} & set(loaded)


def test_languages_are_told_where_they_are_likely_and_sources_know_better(tmp_path) -> None:
    texts = {
        "guess": "Read/write support for Maildir, mbox, MH, Babyl, and MMDF mailboxes.",
        "german": "Die Sprache eines Textes erkennt man an seinen Buchstaben und an den kurzen Wörtern darin.",
        "told": "Die Sprache eines Textes sagt die Quelle, wenn sie bekannt ist, und dann wird nicht geraten.",
    }
    sources = []
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
        language = {"language": "gsw"} if name == "told" else {}
        sources.append({"kind": "text_files", "name": name, "path": str(tmp_path / f"{name}.txt"), **language})
    split = {"validation_fraction": 0, "test_fraction": 0}
    config = DataPreparationConfig.model_validate({"sources": sources, "split": split})
    report = prepare(config, tmp_path / "corpus", seed=0)
    found = {document.source: document.language for document in read_corpus(tmp_path / "corpus", "train")}
    assert found == {"guess": None, "german": "de", "told": "gsw"}
    assert {name: each["documents"] for name, each in report["languages"].items()} == {"unknown": 1, "de": 1, "gsw": 1}


def test_a_kill_while_finished_parts_are_removed_does_not_stop_the_next_run(tmp_path, monkeypatch) -> None:
    config = config_for(write_texts(tmp_path / "texts", 40))
    first = prepare(config, tmp_path / "first", seed=0)
    whole_rmtree = shutil.rmtree

    def killed(path, **options) -> None:
        if Path(path).name == "corpus.parts.removed" and Path(path).exists():
            next(Path(path).rglob("stats.json")).unlink()
            raise KeyboardInterrupt
        whole_rmtree(path, **options)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        prepare(config, tmp_path / "corpus", seed=0, report=lambda *_: patched.setattr(shutil, "rmtree", killed))
    again = prepare(config, tmp_path / "corpus", seed=0)
    assert again["sha256"] == first["sha256"]
    assert not list(tmp_path.glob("*.parts*"))


def test_sources_that_could_not_be_told_apart_are_refused(tmp_path) -> None:
    both = [{"kind": "jsonl", "path": str(tmp_path / name), "epochs": 3} for name in ("a", "b")]
    with pytest.raises(ValueError, match=r"two sources are called 'jsonl'.*`name: ...`"):
        DataPreparationConfig.model_validate({"sources": both})
    DataPreparationConfig.model_validate({"sources": [both[0], both[1] | {"name": "other"}]})


def questions(folder: Path, texts: list[str]) -> Path:
    """Return a labelled data directory that holds the texts out."""
    folder.mkdir()
    rows = [json.dumps({"id": str(number), "text": text, "label": "a"}) for number, text in enumerate(texts)]
    for split, lines in {"train": [], "validation": rows[::2], "test": rows[1::2]}.items():
        (folder / f"{split}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_no_evaluation_text_is_trained_on_also_when_passages_are_cut_out(tmp_path) -> None:
    passage = "This passage stands in every one of these texts, and is taken out of all of them but for the first.\n\n"
    asked = [SENTENCE.format(number_words(number), number_words(number)) for number in range(40)]
    others = [SENTENCE.format(number_words(number), number_words(number)) for number in range(1000, 1040)]
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in [passage + each for each in asked] + others))
    config = config_for(
        texts,
        "jsonl",
        deduplication=[{"kind": "paragraphs"}],
        decontamination={"mode": "drop"},
        split={"validation_fraction": 0.3, "test_fraction": 0.3},
    )
    evaluation = {"asked": questions(tmp_path / "asked", asked)}
    report = prepare(config, tmp_path / "corpus", seed=0, evaluation=evaluation)
    left = {split: {each.text.strip() for each in found} for split, found in all_documents(tmp_path / "corpus").items()}
    assert not left["train"] & set(asked)
    assert left["test"] & set(asked)
    dropped = 80 - report["documents"]
    assert 0 < dropped == report["contamination"]["asked"]["documents"]
    apart = [json.loads(line) for line in (tmp_path / "corpus" / "contaminated.jsonl").read_text().splitlines()]
    assert len(apart) == dropped
    assert {each["text"].removeprefix(passage) for each in apart} <= set(asked)
