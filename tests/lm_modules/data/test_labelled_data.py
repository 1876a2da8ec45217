from __future__ import annotations

import csv
import json

import pytest

from lm_modules.data.labelled.csv import Csv
from lm_modules.data.labelled.jsonl import Jsonl
from lm_modules.data.labelled.text_lines import TextLines
from lm_modules.data.labelled_data import collect
from lm_modules.heads.relation_extraction import RelationExtraction
from lm_modules.heads.sequence_classification import SequenceClassification
from lm_modules.heads.token_classification import TokenClassification

HEAD = SequenceClassification()
FIELDS = ("text", "label")


def letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def rows(count: int, labels=("good", "bad")) -> list[dict]:
    return [{"text": f"example {letters(n)} of a text", "label": labels[n % len(labels)]} for n in range(count)]


def write_jsonl(path, found: list[dict]):
    path.write_text("\n".join(map(json.dumps, found)))
    return path


def read(directory, split: str) -> list[dict]:
    return [json.loads(line) for line in (directory / f"{split}.jsonl").read_text().splitlines()]


def test_examples_are_split_and_counted(tmp_path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", rows(300))
    report = collect(Jsonl(path=str(path)), HEAD, tmp_path / "set", seed=0)
    assert json.loads((tmp_path / "set" / "labels.json").read_text()) == ["bad", "good"]
    assert {split: len(read(tmp_path / "set", split)) for split in report["splits"]} == report["splits"]
    assert sum(report["splits"].values()) == 300
    assert 15 <= report["splits"]["validation"] <= 50
    assert 40 <= report["splits"]["test"] <= 85
    assert report["labels"]["good"]["train"] == sum(row["label"] == "good" for row in read(tmp_path / "set", "train"))
    assert collect(Jsonl(path=str(path)), HEAD, tmp_path / "again", seed=0) == report
    assert read(tmp_path / "again", "test") == read(tmp_path / "set", "test")


def test_given_parts_are_respected_and_their_copies_leave_train(tmp_path) -> None:
    train, test = (
        rows(100),
        [{"text": "an unseen text", "label": "good"}, {"text": "", "label": "bad"}],
    )
    test[1]["text"] = train[0]["text"].replace(" ", "  ")
    write_jsonl(tmp_path / "train.jsonl", train)
    write_jsonl(tmp_path / "test.jsonl", test)
    member = Jsonl(path=str(tmp_path / "train.jsonl"), test=str(tmp_path / "test.jsonl"))
    report = collect(member, HEAD, tmp_path / "set", seed=0)
    assert report["split_by"] == "given"
    assert [row["text"] for row in read(tmp_path / "set", "test")] == [row["text"] for row in test]
    assert report["dropped"] == {"copy of an example in test": 1}
    assert report["splits"]["train"] + report["splits"]["validation"] == 99
    assert report["shared_groups"]["train and test"] == 0


def test_held_out_examples_that_are_all_but_copies_are_counted(tmp_path) -> None:
    train = rows(100)
    test = [{"text": train[0]["text"].upper() + "!", "label": "good"}, {"text": "another unseen text", "label": "bad"}]
    write_jsonl(tmp_path / "train.jsonl", train)
    write_jsonl(tmp_path / "test.jsonl", test)
    member = Jsonl(path=str(tmp_path / "train.jsonl"), test=str(tmp_path / "test.jsonl"))
    report = collect(member, HEAD, tmp_path / "set", seed=0)
    assert report["splits"]["test"] == 2
    letters = ["".join(filter(str.isalpha, row["text"])).lower() for row in read(tmp_path / "set", "train")]
    assert report["near_copies"]["test"] == int("".join(filter(str.isalpha, test[0]["text"])).lower() in letters) == 1


def test_unusable_examples_are_dropped_with_their_reason(tmp_path) -> None:
    found = rows(200)
    found += [{"text": " ", "label": "good"}, {"text": "no label here", "label": " "}]
    found += [{"text": "alone in its class", "label": "rare"}, {"text": found[0]["text"], "label": found[0]["label"]}]
    found += [{"text": "a number is no text", "label": None}]
    path = write_jsonl(tmp_path / "a.jsonl", found)
    report = collect(Jsonl(path=str(path)), HEAD, tmp_path / "set", seed=0)
    dropped = dict(report["dropped"])
    copies = {reason: dropped.pop(reason) for reason in list(dropped) if reason.startswith("copy")}
    assert sum(copies.values()) == 1
    assert dropped == {
        "empty text": 1,
        "empty label": 1,
        "only example of its label": 1,
        "field 'label' is neither a string nor a whole number": 1,
    }
    ledger = [json.loads(line) for line in (tmp_path / "set" / "ledger.jsonl").read_text().splitlines()]
    assert {(each["file"], each["id"]) for each in ledger} == {
        (str(path), f"a.jsonl:{line}") for line in (201, 202, 203, 204, 205)
    }
    assert all(each["id"] == f"a.jsonl:{each['line']}" for each in ledger)
    (copy,) = [each for each in ledger if each["reason"].startswith("copy")]
    assert (copy["line"], copy["copy_of"]) == (204, "a.jsonl:1")
    assert report["ledger_lines"] == 5 == len((tmp_path / "set" / "ledger.jsonl").read_text().splitlines())


def test_labels_that_train_does_not_have_are_not_asked_for(tmp_path) -> None:
    write_jsonl(tmp_path / "train.jsonl", rows(50))
    new = [{"text": f"something new {letters(n)}", "label": "new"} for n in range(3)]
    write_jsonl(tmp_path / "test.jsonl", [*new, {"text": "something old", "label": "good"}])
    member = Jsonl(path=str(tmp_path / "train.jsonl"), test=str(tmp_path / "test.jsonl"))
    report = collect(member, HEAD, tmp_path / "set", seed=0)
    assert report["dropped"] == {"label that train does not have": 3}
    assert report["num_labels"] == 2


def test_sentences_and_lists_with_labels_that_train_does_not_have_stay_and_are_counted(tmp_path) -> None:
    tags = {
        "train": [["B-person", "I-person", "O"], ["B-person", "O", "O"], ["O", "O", "O"]],
        "validation": [["B-person", "O", "O"], ["I-place", "O", "O"]],
        "test": [["B-new", "O", "O"], ["B-person", "I-new", "B-new"], ["B-new", "I-new", "I-new"], ["O", "O", "O"]],
    }
    for split, found in tags.items():
        sentences = [{"words": [split, letters(n), "end"], "tags": each} for n, each in enumerate(found)]
        write_jsonl(tmp_path / f"words.{split}.jsonl", sentences)
        several = [{"text": f"{split} {letters(n)}", "label": sorted(set(each))} for n, each in enumerate(found)]
        write_jsonl(tmp_path / f"texts.{split}.jsonl", several)
    for name, head in (("words", TokenClassification()), ("texts", SequenceClassification(multi_label=True))):
        given = {split: str(tmp_path / f"{name}.{split}.jsonl") for split in ("validation", "test")}
        member = Jsonl(path=str(tmp_path / f"{name}.train.jsonl"), **given)
        report = collect(member, head, tmp_path / name, seed=0)
        assert json.loads((tmp_path / name / "labels.json").read_text()) == ["B-person", "I-person", "O"]
        assert report["num_labels"] == 3
        assert report["dropped"] == {}
        assert report["with_unknown_labels"] == {"validation": 1, "test": 3}
        assert report["labels"]["B-new"] == {"train": 0, "validation": 0, "test": 3}
        kept = [row[head.target] for row in read(tmp_path / name, "test")]
        assert kept == (tags["test"] if name == "words" else [sorted(set(each)) for each in tags["test"]])


@pytest.mark.parametrize("kind", [Csv, Jsonl])
def test_numbers_without_a_name_are_set_aside_and_withheld_ones_are_no_label(kind, tmp_path) -> None:
    numbers = [0, 1] * 50 + [2, 2, 3, 4321, 98765, -1, -1]
    found = [{"text": f"text {letters(n)}", "label": number} for n, number in enumerate(numbers)]
    path = write_jsonl(tmp_path / "a.jsonl", found)
    if kind is Csv:
        path = tmp_path / "a.csv"
        path.write_text("\n".join(["text,label", *(f"{row['text']},{row['label']}" for row in found)]))
    report = collect(kind(path=str(path), label_names=("neg", "pos")), HEAD, tmp_path / "set", seed=0)
    assert json.loads((tmp_path / "set" / "labels.json").read_text()) == ["neg", "pos"]
    assert report["dropped"] == {
        "label 2 has no name in label_names": 2,
        "label 3 has no name in label_names": 1,
        "label 100 or more has no name in label_names": 2,
        "field 'label' is neither a string nor a whole number": 2,
    }
    ledger = [json.loads(line) for line in (tmp_path / "set" / "ledger.jsonl").read_text().splitlines()]
    first = 102 if kind is Csv else 101
    assert [row["line"] for row in ledger[:5]] == list(range(first, first + 5))
    assert f"text {letters(100)}" in ledger[0]["excerpt"]
    assert len(ledger) == 7


def test_several_numbers_in_a_cell_are_named_one_by_one(tmp_path) -> None:
    (tmp_path / "a.csv").write_text('text,label\na,"0, 2"\nb,[1]\nc,1\nd,"0, 3"\ne,"neg, new"\n')
    *named, beyond, words = Csv(path=str(tmp_path / "a.csv"), label_names=("neg", "pos", "dull")).examples(FIELDS)
    head = SequenceClassification(multi_label=True)
    found = [head.checked(each.fields)["label"] for each in (*named, words)]
    assert found == [["dull", "neg"], ["pos"], ["pos"], ["neg", "new"]]
    assert beyond.reason == "label 3 has no name in label_names"


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_fraction_beside_a_given_part_is_refused(split: str) -> None:
    with pytest.raises(ValueError, match=rf"{split}_fraction 0.3 has no effect, because '{split}' names examples"):
        Csv.model_validate({"path": "a.csv", split: "b.csv", f"{split}_fraction": 0.3})
    assert Csv.model_validate({"path": "a.csv", f"{split}_fraction": 0.3}).path == "a.csv"


def test_one_label_is_refused_with_the_remedy(tmp_path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", rows(50, labels=("same",)))
    with pytest.raises(ValueError, match=r"1 labels are left in train where 2 are needed.*check the label column"):
        collect(Jsonl(path=str(path)), HEAD, tmp_path / "set", seed=0)


def test_whole_numbers_are_labels_and_groups_stay_together(tmp_path) -> None:
    found = [{**row, "label": n % 2, "book": f"book {n % 30}"} for n, row in enumerate(rows(300))]
    path = write_jsonl(tmp_path / "a.jsonl", found)
    report = collect(Jsonl(path=str(path), group_field="book"), HEAD, tmp_path / "set", seed=1)
    assert report["split_by"] == "group"
    assert list(report["labels"]) == ["0", "1"]
    assert set(report["shared_groups"].values()) == {0}


@pytest.mark.parametrize(("group_field", "how"), [("book", "group"), (None, "random"), ("author", "random")])
def test_how_each_split_came_about_is_told(group_field, how: str, tmp_path) -> None:
    found = [{**row, "book": f"book {n % 30}", "author": None} for n, row in enumerate(rows(300))]
    train = str(write_jsonl(tmp_path / "train.jsonl", found[:250]))
    test = str(write_jsonl(tmp_path / "test.jsonl", found[250:]))
    told = {}
    for parts in ({}, {"test": test}, {"validation": test}):
        report = collect(Jsonl(path=train, group_field=group_field, **parts), HEAD, tmp_path / "set", seed=1)
        told[tuple(parts)] = report["split_by"], report["validation_split_by"]
    assert told == {(): (how, how), ("test",): ("given", how), ("validation",): (how, "given")}


def test_csv_rows_with_problems_are_named_by_line(tmp_path) -> None:
    good = [f'"text {letters(n)}, quoted",{n % 2}' for n in range(60)]
    bad = [b"too,many,values", b"fewer", b"caf\xe9,1", b'"a" b,0']
    path = tmp_path / "a.csv"
    path.write_bytes(b"\n".join([b"text,label", *bad, *map(str.encode, good), b'"never closed,1']))
    report = collect(Csv(path=str(path)), HEAD, tmp_path / "set", seed=0)
    ledger = [json.loads(line) for line in (tmp_path / "set" / "ledger.jsonl").read_text().splitlines()]
    assert [row["line"] for row in ledger] == [2, 3, 4, 5, 66]
    assert [row["reason"] for row in ledger[:3]] == [
        "more values than columns",
        "fewer values than columns",
        "not UTF-8",
    ]
    assert report["num_examples"] == 60
    assert read(tmp_path / "set", "train")[0]["text"].endswith(", quoted")


def test_a_value_of_any_length_is_one_value(tmp_path) -> None:
    limit = csv.field_size_limit()
    long = "a line of a long text, more\n" * 12_000
    (tmp_path / "a.csv").write_text(f'text,label\n"{long}",good\nshort,bad\n')
    found = list(Csv(path=str(tmp_path / "a.csv")).examples(FIELDS))
    assert [(each.fields["text"], each.fields["label"]) for each in found] == [(long, "good"), ("short", "bad")]
    assert csv.field_size_limit() == limit


def test_an_unclosed_quote_names_and_counts_every_line_that_it_swallows(tmp_path) -> None:
    rows = [f"text {letters(n)},{n % 2}" for n in range(1060)]
    rows.insert(60, '"never closed,1')
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *rows]))
    report = collect(Csv(path=str(tmp_path / "a.csv")), HEAD, tmp_path / "set", seed=0)
    (line,) = map(json.loads, (tmp_path / "set" / "ledger.jsonl").read_text().splitlines())
    assert (line["line"], line["last_line"]) == (62, 1062)
    assert report["dropped"] == {line["reason"]: 1001}
    assert report["num_examples"] == 60


def test_a_first_line_that_is_not_csv_is_refused(tmp_path) -> None:
    (tmp_path / "a.csv").write_text('"text,label\nx,y\n')
    with pytest.raises(ValueError, match=r"its first line is not CSV.*it must name the columns"):
        list(Csv(path=str(tmp_path / "a.csv")).examples(FIELDS))


def write_parts(folder, write) -> None:
    """Write files of one name into several folders."""
    for part in ("one", "two"):
        (folder / part).mkdir()
        write(folder / part)


@pytest.mark.parametrize("pattern", ["", "/*/part.*"])
@pytest.mark.parametrize("kind", [Csv, Jsonl])
def test_ids_tell_files_of_one_name_in_different_folders_apart(kind, pattern: str, tmp_path) -> None:
    write_parts(tmp_path, lambda folder: (folder / "part.csv").write_text("text,label\nx,y\n"))
    write_parts(tmp_path / "one", lambda folder: (folder / "part.jsonl").write_text('{"text": "x", "label": "y"}'))
    place = tmp_path if kind is Csv else tmp_path / "one"
    member = kind(path=f"{place}{pattern}", test=str(place / "two"))
    suffix, line = ("csv", 2) if kind is Csv else ("jsonl", 1)
    expected = [f"one/part.{suffix}:{line}", f"two/part.{suffix}:{line}", f"test/part.{suffix}:{line}"]
    assert [each.id for each in member.examples(FIELDS)] == expected


def test_ids_of_text_lines_tell_folders_apart(tmp_path) -> None:
    write_parts(tmp_path, lambda folder: (folder / "part.txt").write_text("x"))
    member = TextLines(files={"good": str(tmp_path), "bad": str(tmp_path / "one")})
    assert [each.id for each in member.examples(FIELDS)] == [
        "bad/part.txt:1",
        "good/one/part.txt:1",
        "good/two/part.txt:1",
    ]


def test_one_id_for_two_examples_is_refused(tmp_path) -> None:
    write_parts(tmp_path, lambda folder: (folder / "part.txt").write_text("x"))
    member = TextLines(files={"good": str(tmp_path), "good/one": str(tmp_path / "one")})
    with pytest.raises(ValueError, match=r"2 examples have the id 'good/one/part.txt:1'"):
        collect(member, HEAD, tmp_path / "set", seed=0)


def test_moving_a_file_to_another_folder_changes_ids_and_fingerprint(tmp_path) -> None:
    write_parts(tmp_path, lambda folder: None)
    (tmp_path / "one" / "part.csv").write_text("text,label\nx,y\n")
    before = Csv(path=str(tmp_path)).fingerprint()
    (tmp_path / "one" / "part.csv").rename(tmp_path / "two" / "part.csv")
    assert Csv(path=str(tmp_path)).fingerprint() != before


def test_a_column_that_is_not_there_lists_those_that_are(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("sentence,polarity\nx,y\n")
    with pytest.raises(ValueError, match=r"no column 'text'.*\(its columns: sentence, polarity\)"):
        list(Csv(path=str(tmp_path / "a.csv")).examples(FIELDS))
    with pytest.raises(ValueError, match="no column 'polarty'; did you mean 'polarity'"):
        list(Csv(path=str(tmp_path / "a.csv"), columns={"text": "sentence", "label": "polarty"}).examples(FIELDS))


@pytest.mark.parametrize(("between", "written"), [(";", '";"'), ("\t", r'"\\t"'), ("|", r'"\|"')])
def test_a_table_that_is_not_taken_apart_is_said_with_its_delimiter(between: str, written: str, tmp_path) -> None:
    (tmp_path / "a.csv").write_text(f"text{between}label\nx{between}y\n")
    with pytest.raises(
        ValueError, match=f"no column 'text'; if columns are parted otherwise, set delimiter: {written}"
    ):
        list(Csv(path=str(tmp_path / "a.csv")).examples(FIELDS))
    assert len(list(Csv(path=str(tmp_path / "a.csv"), delimiter=between).examples(FIELDS))) == 1


def test_the_columns_that_are_there_are_said_once(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("sentence,polarity\nx,y\n")
    with pytest.raises(ValueError, match="no column") as error:
        list(Csv(path=str(tmp_path / "a.csv")).examples(FIELDS))
    assert str(error.value).count("polarity") == 1


def test_tab_separated_values_may_hold_quotes(tmp_path) -> None:
    (tmp_path / "a.tsv").write_text('text\tlabel\na "quoted\tgood\n')
    member = Csv(path=str(tmp_path / "a.tsv"), delimiter="\t", quotes=False)
    assert [each.fields["text"] for each in member.examples(FIELDS)] == ['a "quoted']


def test_a_line_put_in_at_the_top_moves_no_other_example(tmp_path) -> None:
    found = rows(200)
    collect(Jsonl(path=str(write_jsonl(tmp_path / "a.jsonl", found))), HEAD, tmp_path / "before", seed=0)
    new = {"text": "entirely new", "label": "good"}
    collect(Jsonl(path=str(write_jsonl(tmp_path / "a.jsonl", [new, *found]))), HEAD, tmp_path / "after", seed=0)
    for split in ("train", "validation", "test"):
        before, after = ([row["text"] for row in read(tmp_path / name, split)] for name in ("before", "after"))
        assert before == [text for text in after if text != "entirely new"]


def test_half_a_character_is_replaced_in_texts_and_groups_and_refused_in_labels(tmp_path) -> None:
    found = [{**row, "book": f"\ud83d {n}"} for n, row in enumerate(rows(100))]
    found[0]["text"] = "cut off \ud83d"
    found[1]["label"] = "\ud83d"
    path = write_jsonl(tmp_path / "a.jsonl", found)
    report = collect(Jsonl(path=str(path), group_field="book"), HEAD, tmp_path / "set", seed=0)
    assert report["dropped"] == {"label is not valid Unicode": 1}
    assert report["mended"] == 99
    written = [row for split in report["splits"] for row in read(tmp_path / "set", split)]
    assert "cut off \ufffd" in {row["text"] for row in written}
    assert {row["group"][0] for row in written} == {"\ufffd"}


def test_text_lines_are_examples_of_their_file(tmp_path) -> None:
    for label in ("good", "bad"):
        lines = [f"{label} line {letters(n)}".encode() for n in range(50)]
        (tmp_path / label).write_bytes(b"\n".join([*lines, b"", b"caf\xe9"]))
    member = TextLines(files={label: str(tmp_path / label) for label in ("good", "bad")})
    report = collect(member, HEAD, tmp_path / "set", seed=0)
    assert report["num_examples"] == 100
    assert report["dropped"] == {"not utf-8-sig": 2}
    latin = TextLines(files=member.files, encoding="latin-1")
    assert collect(latin, HEAD, tmp_path / "latin", seed=0)["dropped"].keys() <= {"copy with another answer", *COPIES}
    with pytest.raises(ValueError, match="unknown encoding"):
        list(TextLines(files=member.files, encoding="latin-one").examples(FIELDS))


COPIES = [f"copy of an example in {split}" for split in ("validation", "test")]


def test_a_column_that_is_named_must_be_there_and_be_read(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("text,other,score\nx,y,1\n")
    path = str(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="no column 'othre'; did you mean 'other'"):
        list(Csv(path=path, columns={"text_pair": "othre"}).examples(["text", "score"], ["text_pair"]))
    with pytest.raises(ValueError, match="columns names 'text_pear', which the head does not read; did you mean"):
        list(Csv(path=path, columns={"text_pear": "other"}).examples(["text", "score"], ["text_pair"]))
    (found,) = Csv(path=path, columns={"text_pair": "other"}).examples(["text", "score"], ["text_pair"])
    assert found.fields == {"text": "x", "score": "1", "text_pair": "y"}


def test_a_text_that_one_set_holds_out_is_shown_by_no_other(tmp_path) -> None:
    relations = [
        {"text": f"Ada saw {place}.", "head": [0, 3], "tail": [8, 8 + len(place)], "label": label}
        for place, label in zip(map(letters, range(100, 400)), ("saw", "Other") * 150, strict=True)
    ]
    tags = ["B-person", "O", "B-place", "O"]
    sentences = [{"words": ["Ada", "saw", letters(n), "."], "tags": tags} for n in range(300, 500)]
    member = Jsonl(path=str(write_jsonl(tmp_path / "relations.jsonl", relations)))
    words = Jsonl(path=str(write_jsonl(tmp_path / "words.jsonl", sentences)))
    beside = {"entities": (words, TokenClassification())}
    report = collect(member, RelationExtraction(), tmp_path / "set", seed=0, beside=beside)
    assert report["beside"]["entities"]["num_examples"] == 200  # each goes where its text is already

    def split_of(directory, text_of) -> dict[str, str]:
        return {text_of(row): split for split in ("train", "validation", "test") for row in read(directory, split)}

    ours = split_of(tmp_path / "set", lambda row: row["text"].replace(" ", ""))
    theirs = split_of(tmp_path / "set" / "beside" / "entities", lambda row: "".join(row["words"]))
    both = set(ours) & set(theirs)
    assert len(both) == 100
    assert all(ours[text] == theirs[text] for text in both)
    assert set(map(ours.get, both)) == {"train", "validation", "test"}


def test_of_given_parts_the_copies_that_would_be_seen_first_are_dropped(tmp_path) -> None:
    for name, start in (("train", 0), ("validation", 100), ("test", 200)):
        write_jsonl(tmp_path / f"{name}.jsonl", rows(300)[start : start + 100])
    texts = [row["text"] for row in rows(300)] + [f"one {letters(n)} more" for n in range(40)]
    others = [{"words": text.split(), "tags": ["B-x"] + ["O"] * text.count(" ")} for text in texts]
    write_jsonl(tmp_path / "words.train.jsonl", others[150:250] + others[300:])
    write_jsonl(tmp_path / "words.validation.jsonl", others[50:60] + others[290:300])
    write_jsonl(tmp_path / "words.test.jsonl", others[10:30])
    given = {part: str(tmp_path / f"{part}.jsonl") for part in ("validation", "test")}
    member = Jsonl(path=str(tmp_path / "train.jsonl"), **given)
    words = {part: str(tmp_path / f"words.{part}.jsonl") for part in ("validation", "test")}
    beside = {"entities": (Jsonl(path=str(tmp_path / "words.train.jsonl"), **words), TokenClassification())}
    report = collect(member, HEAD, tmp_path / "set", seed=0, beside=beside)
    assert report["dropped"] == {
        "copy of an example in test of beside.entities": 20,
        "copy of an example in validation of beside.entities": 10,
    }
    assert report["beside"]["entities"]["dropped"] == {
        "copy of an example in validation of finetuning.data": 50,
        "copy of an example in test of finetuning.data": 60,
    }
    ledger = tmp_path / "set" / "beside" / "entities" / "ledger.jsonl"
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert len(lines) == 110
    assert lines[0]["copy_of"].startswith(("validation/validation.jsonl:", "test/test.jsonl:"))
    assert (
        json.loads((tmp_path / "set" / "beside" / "entities" / "head.json").read_text())["kind"]
        == "token_classification"
    )


def test_all_pairs_of_a_text_are_in_one_split(tmp_path) -> None:
    found = [
        {"text": f"Ada and {letters(number)} met Bo", "head": [0, 3], "tail": tail, "label": label}
        for number in range(100, 200)
        for tail, label in (([8, 11], "saw"), ([16, 18], "Other"))
    ]
    member = Jsonl(path=str(write_jsonl(tmp_path / "a.jsonl", found)))
    collect(member, RelationExtraction(), tmp_path / "set", seed=0)
    texts = [{row["text"] for row in read(tmp_path / "set", split)} for split in ("train", "validation", "test")]
    assert sum(map(len, texts)) == len(set().union(*texts)) == 100
