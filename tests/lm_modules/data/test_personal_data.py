from __future__ import annotations

import json
import logging
from collections import Counter

import pytest
from made_up_persons import LOOK_ALIKES, POSITIVES, look_alikes, positives

from lm_modules.data.cleaners.personal_data import PersonalData
from lm_modules.data.personal import KINDS, found, masked, num_masked


def test_made_up_persons_are_found_and_look_alikes_are_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hits, false = Counter(), Counter()
    for case in positives(seed=1991):
        spans = found(case.text)
        hits[case.format] += any(s.start <= case.start and s.end >= case.end and s.kind == case.kind for s in spans)
        false[case.format] += sum(s.end <= case.start or s.start >= case.end for s in spans)
    for case in look_alikes(seed=1991):
        false[case.format] += len(found(case.text))
    assert set(hits) == set(POSITIVES)
    assert len(POSITIVES) == len(LOOK_ALIKES) == 10
    assert min(hits.values()) >= 0.9 * 200, hits
    assert hits.total() / 2000 >= 0.95
    assert hits.total() / (hits.total() + false.total()) >= 0.95, false
    assert not caplog.records


def test_nothing_of_a_person_is_left_in_a_masked_text() -> None:
    for case in positives(seed=3, each=40):
        value, after = case.text[case.start : case.end], masked(case.text)
        if f"PI:{case.kind}" in after:
            assert value not in after
            assert value not in json.dumps(num_masked(case.text, after))
        assert masked(after) == after


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        # published examples of the authorities, and of Wikipedia's articles on the numbers
        ("RSSMRA85T10A562S", "NATIONAL_ID"),
        ("12345678Z", "NATIONAL_ID"),
        ("X1234567L", "NATIONAL_ID"),
        ("11010519491231002X", "NATIONAL_ID"),
        ("131052-308T", "NATIONAL_ID"),
        ("8001015009087", "NATIONAL_ID"),
        ("12.345.678-5", "NATIONAL_ID"),
        ("811228-9874", "NATIONAL_ID"),
        ("85.07.30-033.28", "NATIONAL_ID"),
        ("2 55 08 14 168 025 38", "NATIONAL_ID"),
        ("2341 2341 2346", "NATIONAL_ID"),
        ("PESEL 44051401359", "NATIONAL_ID"),
        ("BSN 111222333", "NATIONAL_ID"),
        ("Steuer-ID 86095742719", "NATIONAL_ID"),
        ("TCKN 10000000146", "NATIONAL_ID"),
        ("SIN 046 454 286", "NATIONAL_ID"),
        ("4111 1111 1111 1111", "CARD"),
        ("378282246310005", "CARD"),
        ("5555-5555-5555-4444", "CARD"),
        ("GB82 WEST 1234 5698 7654 32", "IBAN"),
        ("DE89370400440532013000", "IBAN"),
        ("2a00:1450:4001:81b::200e", "IP_ADDRESS"),
        ("the server 8.8.8.8", "IP_ADDRESS"),
        ("AKIAIOSFODNN7EXAMPLE", "KEY"),
        ('password: "hunter2hunter2hunter2x9"', "KEY"),
        ("@ann_of_green_gables", "USER"),
        ("https://ann:s3cr3t@site.org/", "EMAIL"),
    ],
)
def test_published_examples_are_found(text: str, kind: str) -> None:
    assert [span.kind for span in found(f"It says {text} there.")] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "    @property\n    def name(self): ...",
        "    @pytest.mark.parametrize(",
        " * @param name the name",
        "pip install numpy==1.26.4.1",
        "chapters 3.2.1.4 and 3.2.1.5",
        "at 192.168.0.1 or 10.11.12.13, as in 198.51.100.7 and [2001:db8::1]",
        "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "550e8400-e29b-41d4-a716-446655440000",
        "4111 1111 1111 1112",
        "GB82 WEST 1234 5698 7654 33",
        "a = +4294967296 and b = 3.14159265358979",
        "1914-1918, 1939-1945",
        "ISBN 978-3-16-148410-0",
        "std::vector<int>::iterator at 12:30:45",
        "self.key = key_of_the_dictionary_2",
    ],
)
def test_look_alikes_stay(text: str) -> None:
    assert masked(text) == text


def test_only_the_span_is_replaced() -> None:
    text = "Visa 4111111111111111; the row 4111111111111111.5 is no card, nor 14111111111111111."
    assert masked(text) == "Visa PI:CARD; the row 4111111111111111.5 is no card, nor 14111111111111111."


def test_kinds_are_chosen_and_counted() -> None:
    text = "ann@site.org, bob@site.org, +44 20 7946 0958 and PI:EMAIL from before"
    cleaner = PersonalData(phone=False)
    after = cleaner.clean(text)
    assert after == "PI:EMAIL, PI:EMAIL, +44 20 7946 0958 and PI:EMAIL from before"
    assert cleaner.replaced(text, after) == {"EMAIL": 2}
    assert {kind.lower() for kind in KINDS} < set(PersonalData.model_fields)


def test_what_a_placeholder_completes_is_replaced_too() -> None:
    assert masked("a@b.org@c.org and x@y.org") == "PI:EMAIL and PI:EMAIL"
    assert masked("4111111111111111@c.org PI:CARD@c.org") == "PI:EMAIL PI:PI:EMAIL"


def test_numbers_at_the_edges_of_what_is_looked_through_are_whole() -> None:
    filler = "word " * 30
    text = f"{filler}12345678Z {filler}+44 20 7946 0958 {filler}DE89 3704 0044 0532 0130 00 {filler}"
    assert [(span.kind, text[span.start : span.end]) for span in found(text)] == [
        ("NATIONAL_ID", "12345678Z"),
        ("PHONE", "+44 20 7946 0958"),
        ("IBAN", "DE89 3704 0044 0532 0130 00"),
    ]
