"""The main text of web pages, by Resiliparse (Bevendorff et al. 2018, https://resiliparse.chatnoir.eu)."""

from __future__ import annotations

import re
from importlib.metadata import version

from lm_modules.data.inputs.damage import RefusedError
from lm_modules.data.inputs.encodings import MARKS, REMEDY

META_WITHIN_BYTES = 4096
META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE)
TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
NEVER_CLOSED = {"area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option"}
NEVER_CLOSED |= {"p", "param", "source", "tbody", "td", "tfoot", "th", "thead", "tr", "wbr"}
LONG_TAG = re.compile(r"<[A-Za-z][^<>]{4096,}")
QUOTED = re.compile(r'"[^"]*"|\'[^\']*\'')
DEEPEST = 2000
"""Elements in one another: to find the main text takes time by the square of their number, 0.2 s for so many."""
MOST_ATTRIBUTES = 1000
"""Of one element; they too take time by the square of their number."""


def main_text(page: bytes, declared: str | None = None) -> str:
    """Return the text of a page without navigation, comments and the like: paragraphs, lists and code keep their lines.

    The encoding is what a byte order mark, `declared` or the page itself says, in this order, else UTF-8; a page that
    is not in it, or that has no text, is refused.
    """
    from resiliparse.extract.html2text import extract_plain_text

    markup = _decoded(page, declared)
    if _too_deep(markup):
        raise RefusedError(f"a web page with more than {DEEPEST} elements in one another")
    if any(len(QUOTED.sub("", tag).split()) > MOST_ATTRIBUTES for tag in LONG_TAG.findall(markup)):
        raise RefusedError(f"a web page with more than {MOST_ATTRIBUTES} attributes of one element")
    text = extract_plain_text(
        markup,
        preserve_formatting=True,
        main_content=True,
        alt_texts=False,
        comments=False,
        post_meta=False,
    )
    if not text.strip():
        raise RefusedError("a web page without a main text")
    return text


def extractor() -> str:
    """Return what decides the text of a page, for fingerprints."""
    return f"resiliparse {version('resiliparse')}"


def _too_deep(markup: str) -> bool:
    """Return whether elements lie too deep in one another; most pages have too few tags for that."""
    if markup.count("<") <= DEEPEST:
        return False
    depth = 0
    for slash, name in TAG.findall(markup):
        if name.lower() not in NEVER_CLOSED:
            depth = max(0, depth + (-1 if slash else 1))
            if depth > DEEPEST:
                return True
    return False


def _decoded(page: bytes, declared: str | None) -> str:
    from resiliparse.parse.encoding import map_encoding_to_html5

    names = [name for mark, name in MARKS if page.startswith(mark)][:1] or ([declared] if declared else [])
    if not names and (found := META_CHARSET.search(page, 0, META_WITHIN_BYTES)):
        # a page that tells its encoding in ASCII is not in UTF-16, whatever it says (HTML standard, 13.2.3.2)
        names = [re.sub("^utf-?16.*", "utf-8", found[1].decode("ascii").lower())]
    encoding = (names and map_encoding_to_html5(names[0], fallback_utf8=False)) or (names or ["utf-8"])[0]
    try:
        text = page.decode(encoding).removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError) as error:
        raise RefusedError(f"not {encoding}; {REMEDY}") from error
    if "\0" in text:
        raise RefusedError("no text: it holds NULs")
    return text
