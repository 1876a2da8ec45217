"""What was taken out of texts, or dropped with them, is written down nowhere."""

import json
import re
from functools import partial

import pyarrow as arrow
import pytest
from made_up_persons import positives
from pyarrow import parquet

from configs.data_preparation import DataPreparationConfig
from lm_modules.data.corpus import read_corpus
from lm_modules.data.documents import SPLITS, Document, Unreadable
from lm_modules.data.funnel import Ledger
from lm_modules.data.inputs.tables import texts_of
from lm_modules.data.labelled.csv import Csv as LabelledCsv
from lm_modules.data.personal import excerpt, masked, shown_names
from lm_modules.data.preparation import prepare
from lm_modules.data.samples import Samples
from lm_modules.data.sources.csv import Csv
from lm_modules.data.sources.hugging_face import HuggingFace
from lm_modules.data.sources.jsonl import Jsonl
from lm_modules.data.sources.parquet import Parquet
from lm_modules.reporting.data_card import as_html, as_markdown


def test_personal_data_is_in_no_corpus_ledger_report_or_card(tmp_path, caplog):
    found = positives(seed=5, each=30)
    secrets = [each.text[each.start : each.end] for each in found]
    rows = [{"text": f"{each.text} " + "and so it goes on for a while " * 3} for each in found]
    rows += [{"text": each.text[:200]} for each in found[:50]]
    lines = [*map(json.dumps, rows), '{"text": "broken, write to ' + secrets[0]]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    config = DataPreparationConfig.model_validate(
        {
            "sources": [{"kind": "jsonl", "path": str(tmp_path / "texts.jsonl")}],
            "cleaners": ["personal_data"],
            "filters": [{"kind": "length", "min_words": 25}],
        }
    )
    report = prepare(config, tmp_path / "corpus", seed=0)
    replaced = next(step["replaced"] for step in report["steps"] if step["step"] == "personal_data")
    assert sum(replaced.values()) > 250
    samples = [json.loads(line) for line in (tmp_path / "corpus" / "samples.jsonl").read_text().splitlines()]
    told = [path.read_text() for path in (tmp_path / "corpus").iterdir() if path.is_file()]
    told += [json.dumps(report), as_html(report, samples), as_markdown(report, samples), caplog.text]
    assert len(told) >= 7
    shown = [secret for secret in secrets if any(secret in text for text in told)]
    assert len(shown) <= 0.01 * len(secrets), shown


BODY = [f"MIIEpAIBAAKCAQEA{number:048d}" for number in range(60)]
HEADERS, CHECKSUM = ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0F0E0D0C0B0A"], ["kN=", "=aB3d"]
LAST = "zLkNpQrStUvWxYz0aGk="
KEYS = {
    "plain": "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *BODY, LAST, "-----END RSA PRIVATE KEY-----"]),
    "encrypted": "\n".join(
        ["-----BEGIN RSA PRIVATE KEY-----", *HEADERS, "", *BODY, LAST, "-----END RSA PRIVATE KEY-----"]
    ),
    "in JSON": "\\n".join(['"key": "-----BEGIN PRIVATE KEY-----', *BODY, LAST, '-----END PRIVATE KEY-----\\n"']),
    "in a program": '" +\n    "'.join(
        [f"{line}\\n" for line in ("-----BEGIN PRIVATE KEY-----", *BODY, LAST, "-----END PRIVATE KEY-----")]
    ),
    "quoted": "\n> ".join(["> -----BEGIN PRIVATE KEY-----", *BODY, LAST, "-----END PRIVATE KEY-----"]),
    "of OpenPGP": "\n".join(
        [
            "-----BEGIN PGP PRIVATE KEY BLOCK-----",
            "Version: 1",
            "",
            *BODY,
            *CHECKSUM,
            "-----END PGP PRIVATE KEY BLOCK-----",
        ]
    ),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_no_part_of_a_key_stays_wherever_it_is_cut(key):
    assert masked(f"the key {key} is").count("MIIEp") == 0
    begin, end = key.index("-----BEGIN"), key.index("-----END")
    for place in range(begin + 3, end + 20, 97):
        for start in range(place, place + 97, 3):
            assert "MIIEp" not in masked(key[start : start + 1000]), key[start : start + 1000]
        for part in (f"It is:\n{key[:place]}", f"{key[place:]}\nand so on"):
            after = masked(part)
            assert not re.search("MIIEp|[0-9]{9}", after), after
            assert "It is" in after or "and so on" in after


def test_prose_about_keys_stays():
    text = "A file begins with -----BEGIN PRIVATE KEY----- and ends like\n-----END PRIVATE KEY-----\nas all do."
    assert masked(text) == "A file begins with PI:KEY\nas all do."
    text = "It begins with\n-----BEGIN PRIVATE KEY-----\nand then comes a body, which is in base 64.\n" * 3
    assert masked(text) == text.replace("-----BEGIN PRIVATE KEY-----", "PI:KEY")
    text = "After the body comes\n-----END PRIVATE KEY-----\nand that is all."
    assert masked(text) == text


def test_long_keys_are_in_no_corpus_ledger_or_sample(tmp_path):
    for name, key in KEYS.items():
        (tmp_path / f"{name}.txt").write_text("lorem ipsum dolor\n" * 500 + f"{key}\n" + "dolor sit amet\n" * 1000)
        (tmp_path / f"{name} first.txt").write_text(f"short\n{key}\n")
    rows = [{"text": "x " * 2480 + key} for key in KEYS.values()] + [{"text": key} for key in KEYS.values()]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"text": "' + KEYS["in JSON"][9:])
    settings = {
        "sources": [
            {"kind": "text_files", "path": str(tmp_path), "document_characters": size, "name": str(size)}
            for size in (1000, 10_000)
        ]
        + [{"kind": "jsonl", "path": str(tmp_path / "rows.jsonl")}],
        "cleaners": ["personal_data"],
        "filters": [],
        "deduplication": [],
    }
    dropping = {"cleaners": [], "filters": [{"kind": "length", "min_words": 1, "max_words": 60}]}
    for number, more in enumerate(({}, dropping)):
        config = DataPreparationConfig.model_validate(settings | more)
        prepare(config, tmp_path / f"corpus {number}", seed=0)
        told = [(tmp_path / f"corpus {number}" / name).read_text() for name in ("ledger.jsonl", "samples.jsonl")]
        kept = [each.text for split in SPLITS for each in read_corpus(tmp_path / f"corpus {number}", split)]
        assert number or not [text for text in kept if "MIIEp" in text]
        assert not any("MIIEp" in text for text in told), number


@pytest.mark.parametrize("secret", ["john.smith@gmail.com", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"])
def test_half_of_what_stands_across_the_end_of_an_excerpt_is_not_shown(secret, tmp_path):
    for place in range(170, 210, 2):
        text = ("a " * 200)[:place] + secret + " and more"
        (tmp_path / "broken.jsonl").write_text('{"text": "' + text + '\n{"text": "fine"}')
        (tmp_path / "latin.csv").write_bytes(b"text\n" + text.encode() + b"\xff\nfine\n")
        unreadable = [each for each in Jsonl(path=str(tmp_path)).documents() if isinstance(each, Unreadable)]
        table = arrow.table({"text": [{"of": text}]})
        unreadable += [Unreadable("s", "f", 1, "r", excerpt) for _, _, excerpt in texts_of(table["text"], None)]
        assert [secret[:6] in each.excerpt for each in unreadable] == [False, False], unreadable
        with Ledger(tmp_path / "ledger") as ledger:
            ledger.dropped("step", "reason", Document("1", text, "s"))
            for each in Csv(path=str(tmp_path)).documents():
                if isinstance(each, Unreadable):
                    ledger.unreadable(each)
        rows = (tmp_path / "ledger").read_text()
        assert rows.count("\n") == 2
        assert secret[:6] not in rows
        samples = Samples()
        samples.add("step", "reason", Document("1", "a " * 2400 + text, "s"))
        samples.save(tmp_path / "samples")
        assert secret[:6] not in (tmp_path / "samples").read_text()
        (tmp_path / "broken.jsonl").unlink()
    assert excerpt(f"{'a ' * 50}{secret}", 500).startswith("a a ")
    assert len(excerpt("word " * 100, 200)) == 200


def test_error_messages_show_no_rows(tmp_path):
    (tmp_path / "a.csv").write_text("John Smith,john.smith@gmail.com,4111 1111 1111 1111\nb,c,d\n")
    (tmp_path / "a.jsonl").write_text('{"john.smith@gmail.com": "hello"}\n')
    (tmp_path / "long.csv").write_text(",".join(["word " * 500] * 3000) + "\n")
    parquet.write_table(arrow.table({"john.smith@gmail.com": ["x"]}), tmp_path / "a.parquet")
    sources = [Csv(path=str(tmp_path / "a.csv")), Jsonl(path=str(tmp_path)), Parquet(path=str(tmp_path))]
    labelled = LabelledCsv(path=str(tmp_path / "a.csv"))
    readers = [each.documents for each in (*sources, Csv(path=str(tmp_path / "long.csv")))] + [
        partial(labelled.examples, ["text"])
    ]
    for read in readers:
        with pytest.raises(ValueError, match=r"no column|no line has a field") as raised:
            list(read())
        assert not re.search("[Ss]mith|4111|gmail", str(raised.value)), str(raised.value)
        assert len(str(raised.value)) < 3000
    assert shown_names("text", ["body", "title"]) == ["body", "title"]
    many = shown_names("titel", [*map(str, range(30)), "title"])
    assert (many[0], len(many), many[-1]) == ("title", 21, "and 11 more")


def test_groups_files_and_addresses_of_the_web_are_shown_without_persons_or_passwords(tmp_path):
    rows = [{"text": f"row {n} goes on", "mail": f"john.smith{n % 5}@gmail.com"} for n in range(20)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "john.smith@gmail.com.txt").write_bytes(b"\xff")
    (tmp_path / "texts" / "b.txt").write_text("good text")
    url = f"memory://me:secret@{tmp_path.name}/b.jsonl?signature=aB3dE5fG7hJ9"
    config = DataPreparationConfig.model_validate(
        {
            "sources": [
                {"kind": "jsonl", "path": str(tmp_path / "a.jsonl"), "group_field": "mail", "origin": url},
                {"kind": "text_files", "path": str(tmp_path / "texts")},
            ],
            "filters": [],
            "split": {"validation_fraction": 0.0001, "test_fraction": 0},
        }
    )
    report = prepare(config, tmp_path / "corpus", seed=0)
    assert "'PI:EMAIL' was moved there" in str(report["warnings"])
    told = [(tmp_path / "corpus" / name).read_text() for name in ("ledger.jsonl", "report.json")]
    assert "PI:EMAIL.txt" in told[0]
    assert not re.search("gmail|signature|secret", "".join(told))


def test_columns_of_data_sets_are_masked_before_they_are_cut(tmp_path):
    rows = [{"text": {"of": "a " * number + "john.smith@gmail.com and more"}} for number in range(75, 100)]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert not any("john" in each.excerpt for each in HuggingFace(dataset=str(tmp_path / "a")).documents())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "b.jsonl").write_text('{"john.smith@gmail.com": "4111 1111 1111 1111", "b": "c"}\n')
    with pytest.raises(ValueError, match="no column 'text'") as raised:
        list(HuggingFace(dataset=str(tmp_path / "b"), streaming=False).documents())
    assert "gmail" not in str(raised.value)


def test_a_certificate_without_a_last_newline_is_no_private_key():
    for name in ("CERTIFICATE", "PUBLIC KEY"):
        text = "\n".join([f"-----BEGIN {name}-----", *(f"{line[:60]}Zz9+" for line in BODY), f"-----END {name}-----"])
        assert masked(text) == text == masked(f"{text}\n").strip()
