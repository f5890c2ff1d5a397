"""Papers: one content as PDF and HTML, with every character of it, and never read as markup."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pypdfium2
import pytest

from libs.common.papers.printing import (
    Facts,
    Grid,
    Heading,
    Items,
    Paper,
    Paragraph,
    Signatures,
    print_pdf,
    show_html,
    unprintable,
)

LONG_NAME = "阿卜杜热合曼·买买提依明江·阿卜杜克里木江买合木提"
RARE = ["䶮", "𠮷", LONG_NAME]  # U+4DAE; U+20BB7 of plane 2; 25 characters with the middle dot


def paper(*parts: object, **changes: object) -> Paper:
    whole = Paper(
        title="不予批准通知书",
        number="LB-0001",
        area_name="云南省昆明市五华区",
        office="五华区民政局",
        dated=date(2026, 3, 16),
        made_by="township-1",
        made_on=date(2026, 3, 17),
        parts=parts,  # type: ignore[arg-type]  # what a test puts in is a part
        addressee="样本一",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def words_of(pdf: bytes) -> str:
    """The text of all pages without breaks."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return "".join("".join(page.get_textpage().get_text_range().split()) for page in document)
    finally:
        document.close()


def test_pdf_holds_title_number_date_area_and_who_made_it() -> None:
    words = words_of(print_pdf(paper(Paragraph("经审核，不予批准。"))))
    for expected in ("不予批准通知书", "LB-0001", "2026年3月16日", "云南省昆明市五华区", "township-1", "经审核"):
        assert expected in words


@pytest.mark.parametrize("name", RARE)
def test_rare_names_are_printed_unchanged(name: str) -> None:
    rare = paper(Facts([("姓名", name)]), addressee=name)
    assert unprintable(rare) == []
    assert words_of(print_pdf(rare)).count(name) == 2
    assert name in show_html(rare)


def test_a_character_that_the_font_lacks_is_named_at_the_foot() -> None:
    lacking = paper(Paragraph("姓名：𪛖"))
    assert unprintable(lacking) == ["𪛖"]
    assert "请手写补正：U+2A6D6" in words_of(print_pdf(lacking))


@pytest.mark.parametrize("part", [Heading, Paragraph, lambda text: Items([text]), lambda text: Facts([("项", text)])])
def test_data_is_never_read_as_markup(part: object) -> None:
    hostile = '#panic("x")*a*<b>$1$\\"@x</main><script>alert(1)</script>'
    made = paper(part(hostile), addressee=hostile)  # type: ignore[operator]  # every parameter can be called
    assert words_of(print_pdf(made)).count("".join(hostile.split())) == 2
    assert "<script>" not in show_html(made)
    assert "&lt;script&gt;" in show_html(made)


def test_a_table_of_many_rows_repeats_its_head_on_every_page() -> None:
    rows = [(f"样本{number}", "生活补贴") for number in range(120)]
    words = words_of(print_pdf(paper(Grid(("姓名", "补贴"), rows), Signatures(["经办人"]))))
    assert words.count("姓名补贴") >= 3
    assert "样本119" in words
    assert "经办人：" in words
