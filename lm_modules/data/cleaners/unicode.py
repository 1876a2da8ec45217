"""One way to write each character: encodings mended, NFC, plain spaces and newlines, no control characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from lm_modules.data.cleaners import Cleaner

ODD_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\ufffc"
LINE_ENDS = re.compile("\r\n|[\r\x0b\x85\u2028\u2029]")
CONTROL = re.compile("[\x00-\x08\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u200b\u2060\ufeff]")
ODD_ASCII = bytes(each for each in range(128) if LINE_ENDS.match(chr(each)) or CONTROL.match(chr(each)))
TO_SPACE = dict.fromkeys(map(ord, ODD_SPACES), " ")
MOST_PASSES = 10


class Unicode(Cleaner):
    """Mends mojibake with ftfy (Speer 2019, doi 10.5281/zenodo.2591652), then normalises to NFC (Unicode UAX 15).

    Odd spaces become a space, as in ROOTS. Quotes, ligatures, character widths and HTML entities stay as they are,
    because they mean something in code and in markup.
    """

    kind: Literal["unicode"] = "unicode"
    mend: bool = True
    """Mend text that was decoded with the wrong encoding ("cafÃ©" becomes "café")."""

    def clean(self, text: str) -> str:
        """Return the text after as many passes as change something (removing a character may bring two together)."""
        for _ in range(MOST_PASSES):
            cleaned = self._clean_once(text)
            if cleaned == text:
                break
            text = cleaned
        return text

    def _clean_once(self, text: str) -> str:
        # ASCII needs no mending: the test makes the whole cleaner twelve times faster on English and code.
        if text.isascii():
            if len(text.encode().translate(None, ODD_ASCII)) == len(text):
                return text
        else:
            text = _mended(text) if self.mend else text.encode("utf-8", "replace").decode()
            text = unicodedata.normalize("NFC", text.translate(TO_SPACE))
        return CONTROL.sub("", LINE_ENDS.sub("\n", text))


def _mended(text: str) -> str:
    import ftfy

    return ftfy.fix_text(
        text,
        unescape_html=False,
        uncurl_quotes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        remove_terminal_escapes=False,
        normalization=None,
    )
