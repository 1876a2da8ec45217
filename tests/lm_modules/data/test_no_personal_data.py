"""What was taken out of texts, or dropped with them, is written down nowhere."""

import json

from made_up_persons import positives

from configs.data_preparation import DataPreparationConfig
from lm_modules.data.preparation import prepare
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
