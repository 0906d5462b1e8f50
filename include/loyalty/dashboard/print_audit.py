"""The report of a run as a page to print: HTML, and the same as PDF."""

from fpdf import FPDF
from fpdf.enums import TableBordersLayout
from text_unidecode import unidecode

from loyalty.dashboard.rendering import ENVIRONMENT
from loyalty.services.audit_run import Audit, Section

MARGIN, WIDTH = 15, 180


def audit_html(audit: Audit) -> str:
    """One page that needs nothing beside itself."""
    return ENVIRONMENT.get_template("audit.html.j2").render(audit=audit)


def audit_pdf(audit: Audit) -> bytes:
    """The same content, with page numbers. The fonts of every PDF reader know Latin letters; others are transcribed."""
    pdf = _Pages(format="A4")
    pdf.set_margins(MARGIN, MARGIN)
    pdf.set_title(_latin(audit.title))
    pdf.add_page()
    pdf.set_font("helvetica", "B", 16)
    pdf.multi_cell(WIDTH, 9, _latin(audit.title), new_x="LMARGIN", new_y="NEXT")
    for section in audit.sections:
        _section(pdf, section)
    _heading(pdf, "Definitions")
    pdf.set_font("courier", "", 7)
    pdf.multi_cell(WIDTH, 3, _latin(audit.definitions), new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())


class _Pages(FPDF):
    def footer(self) -> None:
        self.set_y(-MARGIN)
        self.set_font("helvetica", "", 8)
        self.cell(0, 8, f"page {self.page_no()}", align="R")


def _section(pdf: FPDF, section: Section) -> None:
    _heading(pdf, section.title)
    pdf.set_font("helvetica", "", 9)
    names_first = not any(section.columns)
    widths = (50, 130) if names_first else tuple(1 for _ in section.columns)
    with pdf.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        col_widths=widths,
        first_row_as_headings=not names_first,
        line_height=5,
        text_align="LEFT",
        width=WIDTH,
    ) as table:
        for row in section.rows if names_first else (section.columns, *section.rows):
            table.row([_latin(cell) for cell in row])


def _heading(pdf: FPDF, title: str) -> None:
    pdf.ln(4)
    pdf.set_font("helvetica", "B", 11)
    pdf.cell(WIDTH, 7, _latin(title), new_x="LMARGIN", new_y="NEXT")


def _latin(text: str) -> str:
    return "".join(one if ord(one) < 256 else unidecode(one) for one in text)  # type: ignore[no-untyped-call]
