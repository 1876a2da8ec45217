"""Web archives: one page a document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.inputs.damage import DAMAGE, LostError, RefusedError, damage, detail
from lm_modules.data.inputs.file_source import FileSource
from lm_modules.data.inputs.parts import Part
from lm_modules.data.inputs.streams import Stream
from lm_modules.data.inputs.web_archives import WarcRecord, http_response, warc_records
from lm_modules.data.inputs.web_pages import decoded_text, extractor, main_text

PAGES = ("text/html", "application/xhtml+xml")
ANSWERS = ("response", "conversion", "resource", "revisit")
NO_PAGE = "left out: neither a web page nor plain text"
CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]+)", re.IGNORECASE)


class Warc(FileSource):
    """Pages of WARC files (ISO 28500): the main text of HTML, and plain text as it is (so WET files too).

    Requests and what else is no answer of a server are passed over. A page that cannot be read, and an answer that is
    no page (an image, an error), are set aside with the number of their record, counted from 1 in the file.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".warc", ".wet")

    kind: Literal["warc"] = "warc"

    def read(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        """Yield the text of each page."""
        number = 0
        try:
            for number, record in enumerate(warc_records(stream.binary), start=1):
                if record.headers.get("warc-type") in ANSWERS:
                    yield from self._page(record, stream, number)
        except DAMAGE as error:
            reason = f"{damage(error)}; this record and all after it are lost"
            raise LostError(number + 1, reason, detail(error)) from error

    def _page(self, record: WarcRecord, stream: Stream, number: int) -> Iterator[Document | Unreadable]:
        try:
            text = self._text(record)
        except DAMAGE as error:
            what = f"{detail(error)} {record.headers.get('warc-target-uri', '')}"
            yield self.unreadable(stream.place, number, damage(error), what.strip())
        else:
            yield self.document(f"{stream.name}:{number}", text)

    def _text(self, record: WarcRecord) -> str:
        """Return the text of a record; `RefusedError` if it is of another kind."""
        if record.headers["warc-type"] == "conversion":
            kind, charset = _content_type(record.headers)
            if kind != "text/plain":
                raise RefusedError(NO_PAGE, kind)
            return decoded_text(record.whole(self.max_document_bytes), charset)
        if record.headers["warc-type"] == "resource":
            kind, charset = _content_type(record.headers)
            if kind in PAGES:
                return main_text(record.whole(self.max_document_bytes), charset)
        if record.headers["warc-type"] == "revisit":
            raise RefusedError("left out: a page that was the same at an earlier visit")
        if not record.headers.get("content-type", "").lower().startswith("application/http"):
            raise RefusedError(NO_PAGE, record.headers.get("content-type", ""))
        status, headers, body = http_response(record, self.max_document_bytes)
        kind, charset = _content_type(headers)
        if status != 200:
            raise RefusedError("left out: the server did not answer with a page (its status is not 200)", str(status))
        if kind not in (*PAGES, "text/plain"):
            raise RefusedError(NO_PAGE, kind)
        return main_text(body, charset) if kind in PAGES else decoded_text(body, charset)

    def fingerprint(self) -> str:
        """Return a digest of the files, and of what extracts their text."""
        return f"{super().fingerprint()} {extractor()}"


def _content_type(headers: dict[str, str]) -> tuple[str, str | None]:
    kind, _, parameters = headers.get("content-type", "").partition(";")
    charset = CHARSET.search(parameters)
    return kind.strip().lower(), charset and charset[1]
