"""Documents as PDF: A4, page numbers, real fonts for many scripts.

FiraGO (from `pymupdf-fonts`, SIL Open Font License) covers Latin, Greek, Cyrillic, Arabic, Hebrew, Thai, Devanagari and
Georgian; symbols come from Noto Sans. Chinese, Japanese and
Korean come from Noto Sans CJK when the extra `pdf-cjk` is installed. Characters that no font has are counted and named
on the last page instead of vanishing.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import shutil
import tempfile
import unicodedata
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import assert_never

import pymupdf_fonts
from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import TableBordersLayout
from fpdf.fonts import FontFace

from sagitta_server.reviews.exports.blocks import Block, Bullets, Code, Document, Heading, Paragraph, Table

_BODY, _MONO, _CJK = "body", "mono", "cjk"
_SYMBOLS = ("symbols", "math")
_GREY = (110, 110, 110)
_ACCENT = (24, 66, 120)
_BANDED = (243, 246, 250)
_REPLACEMENT = "\u25a1"
_MAX_CELL = 4000

logging.getLogger("fontTools").setLevel(logging.ERROR)
logging.getLogger("fpdf").setLevel(logging.ERROR)


def pdf(document: Document, now: datetime) -> bytes:
    """The bytes of a document as PDF."""
    page = _Page(document)
    page.set_creation_date(now)
    page.add_page()
    page.title_block(document)
    for block in document.blocks:
        page.block(block)
    if page.missing:
        page.note_missing()
    return bytes(page.output())


class _Page(FPDF):
    """The layout."""

    def __init__(self, document: Document) -> None:
        super().__init__(format="A4", unit="mm")
        self.missing: set[str] = set()
        self._footer_text = document.title
        self.set_title(document.title)
        self.set_creator("Sagitta")
        self.set_margins(18, 18, 18)
        self.c_margin = 0
        self.set_auto_page_break(auto=True, margin=20)
        for family, style, name in _FONTS:
            self.add_font(family, style, str(_font_file(name)))
        fallbacks = list(_SYMBOLS)
        cjk = _cjk_file()
        if cjk is not None:
            self.add_font(_CJK, "", str(cjk), collection_font_number=2)
            fallbacks.insert(0, _CJK)
        self.set_fallback_fonts(fallbacks, exact_match=False)
        self.set_text_shaping(True)
        self._known = _covered(cjk)

    def footer(self) -> None:
        """Title and page number at the bottom of every page."""
        self.set_y(-14)
        self.set_font(_BODY, "", 8)
        self.set_text_color(*_GREY)
        title = self._text(self._footer_text)
        self.cell(self.epw / 2, 6, title if len(title) <= 80 else title[:79] + "…", align="L")
        self.cell(self.epw / 2, 6, f"{self.page_no()} / {{nb}}", align="R")

    def title_block(self, document: Document) -> None:
        """Title and the line below it."""
        self.set_font(_BODY, "B", 20)
        self.set_text_color(*_ACCENT)
        self.multi_cell(0, 9, self._text(document.title), new_x="LMARGIN", new_y="NEXT", align="L")
        self.set_font(_BODY, "", 9)
        self.set_text_color(*_GREY)
        self.multi_cell(0, 5, self._text(document.subtitle), new_x="LMARGIN", new_y="NEXT", align="L")
        self.ln(3)

    def block(self, block: Block) -> None:
        """One block."""
        self.set_text_color(0, 0, 0)
        match block:
            case Heading():
                self._heading(block)
            case Paragraph():
                self._paragraph(block.text, strong=block.strong)
            case Bullets():
                self._bullets(block)
            case Table():
                self._table(block)
            case Code():
                self._code(block)
            case _:
                assert_never(block)

    def note_missing(self) -> None:
        """Names the characters that no font could show."""
        names = sorted({unicodedata.name(c, "an unnamed character").lower() for c in self.missing})
        self._paragraph(
            f"Shown as {_REPLACEMENT}, because no installed font has them: {', '.join(names[:8])}. "
            "East Asian scripts need the extra pdf-cjk.",
            strong=True,
        )

    def _heading(self, block: Heading) -> None:
        if self.get_y() > self.h - 45:
            self.add_page()
        self.ln(3)
        self.set_font(_BODY, "B", 13 if block.level == 2 else 11)
        self.set_text_color(*_ACCENT)
        self.multi_cell(0, 7, self._text(block.text), new_x="LMARGIN", new_y="NEXT", align="L")
        self.ln(1)

    def _paragraph(self, text: str, *, strong: bool) -> None:
        self.set_font(_BODY, "B" if strong else "", 10)
        self.set_text_color(0, 0, 0)
        self.multi_cell(0, 5.2, self._text(text), new_x="LMARGIN", new_y="NEXT", align="L")
        self.ln(1.5)

    def _bullets(self, block: Bullets) -> None:
        self.set_font(_BODY, "", 9.5)
        for item in block.items:
            self.cell(5, 5, "•")
            self.multi_cell(self.epw - 5, 5, self._text(item), new_x="LMARGIN", new_y="NEXT", align="L")
        self.ln(1.5)

    def _table(self, block: Table) -> None:
        self.set_font(_BODY, "", 8.5)
        self.set_draw_color(205, 212, 222)
        head = FontFace(emphasis="BOLD", color=(255, 255, 255), fill_color=_ACCENT)
        with self.table(
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            cell_fill_color=_BANDED,
            cell_fill_mode="ROWS",
            col_widths=block.widths,
            headings_style=head,
            line_height=4.4,
            padding=(0.9, 1.2),
            text_align="LEFT",
            first_row_as_headings=True,
        ) as table:
            for cells in (block.headers, *block.rows):
                row = table.row()
                for cell in cells:
                    row.cell(self._text(_breakable(cell[:_MAX_CELL])))
        self.ln(2)

    def _code(self, block: Code) -> None:
        self.set_font(_MONO, "", 8)
        self.set_fill_color(*_BANDED)
        text = self._text(block.text.rstrip().replace("\t", "    "))
        self.multi_cell(0, 4, text, new_x="LMARGIN", new_y="NEXT", fill=True, align="L", padding=2)
        self.ln(2)

    def _text(self, text: str) -> str:
        """The text with characters that no font has replaced by a visible mark."""
        unknown = {c for c in text if ord(c) not in self._known and not c.isspace() and unicodedata.category(c) != "Cf"}
        self.missing |= unknown
        return "".join(_REPLACEMENT if c in unknown else c for c in text)


_FONTS = (
    (_BODY, "", "figo"),
    (_BODY, "B", "figbo"),
    (_MONO, "", "fimo"),
    ("symbols", "", "symbol2"),
    ("math", "", "math"),
)


def _breakable(text: str) -> str:
    """Long names may break after an underscore or a dot; a table's column is narrow."""
    return "".join(c + "\u200b" if c in "_./" else c for c in text) if len(text) > 14 else text


@lru_cache(maxsize=16)
def _font_file(name: str) -> Path:
    """A font of `pymupdf-fonts` as a file, which is what the PDF library reads."""
    path = _font_folder() / f"{name}.ttf"
    path.write_bytes(pymupdf_fonts.fontbuffers[name]())
    return path


@lru_cache(maxsize=1)
def _font_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sagitta-fonts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@lru_cache(maxsize=1)
def _cjk_file() -> Path | None:
    found = importlib.util.find_spec("noto_cjk_sans_otc")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "NotoSansCJK-Regular.ttc"
    return path if path.exists() else None


@lru_cache(maxsize=2)
def _covered(cjk: Path | None) -> frozenset[int]:
    """Code points that some font has."""
    points: set[int] = {ord(_REPLACEMENT)}
    for family, style, name in _FONTS:
        if not style and family != _MONO:
            points |= set(TTFont(BytesIO(pymupdf_fonts.fontbuffers[name]())).getBestCmap())
    if cjk is not None:
        points |= set(TTFont(str(cjk), fontNumber=2).getBestCmap())
    return frozenset(points)
