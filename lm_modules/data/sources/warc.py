"""Web archives: one page a document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.damage import DAMAGE, LostError, RefusedError, damage
from lm_modules.data.inputs.file_source import FileSource
from lm_modules.data.inputs.parts import Part
from lm_modules.data.inputs.streams import Stream
from lm_modules.data.inputs.web_archives import WarcRecord, http_response, warc_records
from lm_modules.data.inputs.web_pages import extractor, main_text

PAGES = ("text/html", "application/xhtml+xml")
CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]+)", re.IGNORECASE)


class Warc(FileSource):
    """Pages of WARC files (ISO 28500): the main text of HTML, and plain text as it is (so WET files too).

    Other records (requests, images, errors of servers) are left out. A page that cannot be read is set aside with the
    number of its record, counted from 1 in the file.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".warc", ".wet")

    kind: Literal["warc"] = "warc"

    def read(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        """Yield the text of each page."""
        number = 0
        try:
            for number, record in enumerate(warc_records(stream.binary), start=1):
                if record.headers.get("warc-type") in ("response", "conversion"):
                    yield from self._page(record, stream, number)
        except DAMAGE as error:
            raise LostError(number + 1, f"{damage(error)}; what follows record {number} is lost") from error

    def _page(self, record: WarcRecord, stream: Stream, number: int) -> Iterator[Document | Unreadable]:
        try:
            text = self._text(record)
        except DAMAGE as error:
            address = record.headers.get("warc-target-uri", "")
            yield self.unreadable(stream.place, number, damage(error), address)
        else:
            if text is not None:
                yield self.document(f"{stream.name}:{number}", text)

    def _text(self, record: WarcRecord) -> str | None:
        """Return the text of a record; None if it is of another kind."""
        if record.headers["warc-type"] == "conversion":
            kind, charset = _content_type(record.headers)
            return _plain(record.whole(self.max_document_bytes), charset) if kind == "text/plain" else None
        if not record.headers.get("content-type", "").lower().startswith("application/http"):
            return None
        status, headers, body = http_response(record, self.max_document_bytes)
        kind, charset = _content_type(headers)
        if status != 200 or kind not in (*PAGES, "text/plain"):
            return None
        return main_text(body, charset) if kind in PAGES else _plain(body, charset)

    def fingerprint(self) -> str:
        """Return a digest of the files, and of what extracts their text."""
        return f"{super().fingerprint()} {extractor()}"


def _content_type(headers: dict[str, str]) -> tuple[str, str | None]:
    kind, _, parameters = headers.get("content-type", "").partition(";")
    charset = CHARSET.search(parameters)
    return kind.strip().lower(), charset and charset[1]


def _plain(data: bytes, charset: str | None) -> str:
    try:
        text = data.decode(charset or "utf-8")
    except (UnicodeDecodeError, LookupError) as error:
        raise RefusedError(f"not {charset or 'UTF-8'}") from error
    if "\0" in text:
        raise RefusedError("no text: it holds NULs")
    return text
