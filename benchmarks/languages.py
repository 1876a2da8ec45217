"""Languages: how often they are told apart, and how much clean text the preset `roots` keeps in each.

    python benchmarks/languages.py FOLDER [--sentences 10]

FOLDER holds `ud-pud/xx.txt` (Parallel Universal Dependencies, a sentence a line) and, if it is there, `udhr2/udhr2.zip`
(the Universal Declaration of Human Rights). Neighbouring sentences make documents: of 200 characters or more to tell
the language of, of ten sentences to filter.
"""

from __future__ import annotations

import argparse
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from configs.loading import load
from lm_modules.data.documents import Document
from lm_modules.data.languages import identify

LEAST_CHARACTERS = 200
DECLARATIONS = {
    **{"afr": "af", "als": "sq", "amh": "am", "arb": "ar", "azj_latn": "az", "bel": "be", "ben": "bn", "bre": "br"},
    **{"bul": "bg", "cat": "ca", "ces": "cs", "cmn_hans": "zh", "cmn_hant": "zh", "cym": "cy", "dan": "da"},
    **{"deu_1901": "de", "ell_monotonic": "el", "eng": "en", "epo": "eo", "est": "et", "eus": "eu", "fao": "fo"},
    **{"fin": "fi", "fra": "fr", "fri": "fy", "gla": "gd", "gle": "ga", "glg": "gl", "guj": "gu", "hat_kreyol": "ht"},
    **{"hau_NG": "ha", "heb": "he", "hin": "hi", "hun": "hu", "hye": "hy", "ibo": "ig", "ind": "id", "isl": "is"},
    **{"ita": "it", "jav": "jv", "jpn": "ja", "kan": "kn", "kat": "ka", "kaz": "kk", "khk": "mn", "khm": "km"},
    **{"kin": "rw", "kir": "ky", "kor": "ko", "lao": "lo", "lat": "la", "lav": "lv", "lin": "ln", "lit": "lt"},
    **{"ltz": "lb", "lug": "lg", "mal": "ml", "mar": "mr", "mkd": "mk", "mlt": "mt", "mly_latn": "ms", "mya": "my"},
    **{"nep": "ne", "nld": "nl", "nno": "nn", "nob": "no", "pan": "pa", "pes_1": "fa", "plt": "mg", "pol": "pl"},
    **{"por_PT": "pt", "quy": "qu", "ron": "ro", "rus": "ru", "slk": "sk", "slv": "sl", "sna": "sn", "som": "so"},
    **{"sot": "st", "spa": "es", "srp_cyrl": "sr", "swe": "sv", "swh": "sw", "tam": "ta", "tat": "tt", "tgk": "tg"},
    **{"tgl": "tl", "tha": "th", "tuk_latn": "tk", "tur": "tr", "uig_arab": "ug", "ukr": "uk", "urd": "ur"},
    **{"uzn_latn": "uz", "vie": "vi", "xho": "xh", "yor": "yo", "zul": "zu", "hrv": "hr", "bos_latn": "bs"},
}
"""Files of the declaration in languages, and in their usual script, that are in the model -> the code there."""


def sentences(folder: Path) -> dict[str, list[str]]:
    """Return the sentences of each language."""
    return {path.stem: path.read_text(encoding="utf-8").splitlines() for path in sorted(folder.glob("ud-pud/*.txt"))}


def declarations(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield a code and lines."""
    with zipfile.ZipFile(folder / "udhr2" / "udhr2.zip") as archive:
        for name, code in DECLARATIONS.items():
            lines = archive.read(f"udhr2/{name}.txt").decode("utf-8", "replace").splitlines()
            yield code, [line.strip() for line in lines if line.strip()]


def documents_of(lines: list[str], least_characters: int = 0, least_lines: int = 1) -> list[str]:
    """Return documents of so many neighbouring lines and characters; what is left over is left out."""
    found, current = [], []
    for line in lines:
        current.append(line)
        if len(current) >= least_lines and len(" ".join(current)) >= least_characters:
            found.append(" ".join(current))
            current = []
    return found


def confusions(texts: dict[str, list[str]]) -> dict[str, Counter[str | None]]:
    """Return for each language what its documents were taken for."""
    return {code: Counter(identify(each)[0] for each in documents) for code, documents in texts.items()}


def accuracy(found: dict[str, Counter[str | None]]) -> float:
    """Return the share of all documents that were taken for what they are."""
    return sum(taken[code] for code, taken in found.items()) / sum(taken.total() for taken in found.values())


def kept_by(preset: str, code: str, texts: list[str]) -> tuple[float, Counter[str]]:
    """Return the share of the characters that a preset keeps, and the reasons for the rest."""
    filters, reasons, kept = load(preset).data_preparation.filters, Counter[str](), 0
    for text in texts:
        document = Document("1", text, "text", language=code)
        judged = (each.reason_to_drop(document) for each in filters if each.is_for(document))
        reason = next(filter(None, judged), None)
        reasons[reason or "kept"] += 1
        kept += 0 if reason else len(text)
    return kept / sum(map(len, texts)), reasons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sentences", type=int, default=10, help="sentences of a document that is filtered")
    arguments = parser.parse_args()
    sets = {"ud-pud": sentences(arguments.folder)}
    if (arguments.folder / "udhr2" / "udhr2.zip").exists():
        by_code: dict[str, list[str]] = defaultdict(list)
        for code, lines in declarations(arguments.folder):
            by_code[code] += lines
        sets["udhr2"] = by_code
    for name, lines_by_code in sets.items():
        texts = {code: documents_of(lines, LEAST_CHARACTERS) for code, lines in lines_by_code.items()}
        started = time.process_time()
        found = confusions(texts)
        seconds = time.process_time() - started
        megabytes = sum(len(each.encode()) for documents in texts.values() for each in documents) / 1e6
        print(
            f"{name}: {accuracy(found):.2%} of {sum(map(len, texts.values())):,} documents in {len(texts)} languages,"
        )
        print(f"  {megabytes / seconds:.1f} MB/s; taken for another language:")
        for code, taken in found.items():
            if others := {str(other): count for other, count in taken.items() if other != code}:
                print(f"  {code}: {others} of {taken.total()}")
    print(f"kept by the preset roots, of documents of {arguments.sentences} sentences:")
    for name, lines_by_code in sets.items():
        for code, lines in lines_by_code.items():
            if name == "ud-pud" or code in ("bn", "ca", "eu", "ur", "vi"):
                share, reasons = kept_by("roots", code, documents_of(lines, 0, arguments.sentences))
                print(f"  {code} ({name}): {share:.1%} {dict(reasons.most_common())}")


if __name__ == "__main__":
    main()
