"""The main text of web pages, by Resiliparse (Bevendorff et al. 2018, https://resiliparse.chatnoir.eu)."""

from __future__ import annotations

import codecs
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
RAW = re.compile(r"<!--|<(script|style)\b[^<>]*>", re.IGNORECASE)
RAW_END = {"": re.compile("--!?>"), "script": re.compile("</script", re.IGNORECASE)}
RAW_END["style"] = re.compile("</style", re.IGNORECASE)
MOST_NAME_CHARACTERS = 40
OF_THE_WEB = {"shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs", "gb2312": "gb18030", "gbk": "gb18030"}
OF_THE_WEB |= {each: each for each in ("cp932", "cp949", "cp950")} | {"cp936": "gb18030"}
OF_THE_WEB |= {"x-mac-cyrillic": "mac_cyrillic", "x-mac-ukrainian": "mac_cyrillic"}
"""What Python's names, or others, mean on the web: mostly what Windows made of a standard."""
DEEPEST = 2000
"""Elements in one another: to find the main text takes time by the square of their number, 0.2 s for so many."""
MOST_ATTRIBUTES = 1000
"""Of one element; they too take time by the square of their number."""


def main_text(page: bytes, declared: str | None = None, encoding: str | None = None) -> str:
    """Return the text of a page without navigation, comments and the like: paragraphs, lists and code keep their lines.

    The encoding is what a byte order mark, the user's `encoding`, `declared` (by the server) or the page itself says,
    in this order, else UTF-8; a page that is not in it, or that has no text, is refused.
    """
    from resiliparse.extract.html2text import extract_plain_text

    markup = decoded_text(page, declared, encoding, markup=True)
    elements = _elements(markup)
    if _too_deep(elements):
        raise RefusedError(f"a web page with more than {DEEPEST} elements in one another")
    if any(len(QUOTED.sub("", tag).split()) > MOST_ATTRIBUTES for tag in LONG_TAG.findall(elements)):
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


def _elements(markup: str) -> str:
    """Return a page without its comments and what scripts and styles hold, in which a "<" begins no element."""
    kept, place = [], 0
    while place < len(markup) and (begin := RAW.search(markup, place)):
        # a comment may end where it begins: <!-->
        end = RAW_END[(begin[1] or "").lower()].search(markup, begin.end() if begin[1] else begin.start() + 2)
        kept.append(markup[place : begin.end()])
        place = end.start() if end else len(markup)
    return "".join([*kept, markup[place:]])


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


def decoded_text(page: bytes, declared: str | None, encoding: str | None = None, markup: bool = False) -> str:
    """Return a page as text, in the encoding of `main_text`; only `markup` may tell its own."""
    marked = [name for mark, name in MARKS if page.startswith(mark)][:1]
    names = marked or ([encoding] if encoding else [declared] if declared else [])
    if markup and not (marked or encoding) and (found := META_CHARSET.search(page, 0, META_WITHIN_BYTES)):
        # a page that tells its encoding in ASCII is not in UTF-16, whatever it says (HTML standard, 13.2.3.2)
        names.append(re.sub("^utf-?16.*", "utf-8", found[1].decode("ascii").lower()))
    name = next(filter(_of_the_web, names), names[0] if names else "utf-8")
    if not (known := _of_the_web(name)) and not (marked or encoding):
        raise RefusedError(f"it names an encoding that the web does not know; {REMEDY}", name[:MOST_NAME_CHARACTERS])
    try:
        text = page.decode(known or name).removeprefix("\ufeff")
    except (UnicodeError, LookupError) as error:
        raise RefusedError(f"not {known or name}; {REMEDY}") from error
    if "\0" in text:
        raise RefusedError("no text: it holds NULs")
    return text


def _of_the_web(name: str) -> str | None:
    """Return Python's name of an encoding of the web (https://encoding.spec.whatwg.org), or None.

    Python knows others, such as `unicode_escape`, which are no text that anybody sends.
    """
    from resiliparse.parse.encoding import map_encoding_to_html5

    if len(name) > MOST_NAME_CHARACTERS:
        return None
    try:
        python_name = codecs.lookup(name).name
    except LookupError:
        python_name = name
    if python_name not in OF_THE_WEB:
        found = map_encoding_to_html5(name, fallback_utf8=False)
        python_name = (found or map_encoding_to_html5(python_name, fallback_utf8=False) or "").replace("-", "_")
    return OF_THE_WEB.get(python_name, python_name) or None
