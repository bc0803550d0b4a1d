"""What tests read out of an HTML page."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br", "link", "img", "input", "hr"}


@dataclass
class Page(HTMLParser):
    """A page that has been read.

    Attributes:
        texts: the text of every element that has one, by its tag.
        tables: the cells of each table, row by row, headers included.
        tiles: the figures at the top, by what they are.
        addresses: all that the page refers to.
        pictures: the alternative text of each SVG.
        unclosed: tags that are still open.
    """

    texts: dict[str, list[str]] = field(default_factory=dict)
    tables: list[list[list[str]]] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data", "poster")]
        if tag == "svg":
            self.pictures.append(given.get("aria-label") or "")
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in _VOID:
            self.unclosed.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag

    def handle_data(self, data: str) -> None:
        data = data.replace("\xa0", " ")
        for tag in dict.fromkeys(self.unclosed):
            self.texts[tag][-1] += data
        if self.tables and "tr" in self.unclosed and self.unclosed[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data

    @property
    def tiles(self) -> dict[str, str]:
        return dict(zip(self.texts["dt"], self.texts["dd"][::2], strict=True))


def read_page(text: str) -> Page:
    """Read a page, which must close all that it opens and need nothing from elsewhere."""
    page = Page()
    page.feed(text)
    page.close()
    assert page.unclosed == []
    assert [a for a in page.addresses if "//" in a and not a.startswith("data:")] == []
    assert all(page.pictures)
    assert len(set(page.pictures)) == len(page.pictures)
    return page
