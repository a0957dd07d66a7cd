"""Pages as browsers read them."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    """The elements of a page, checked to be closed in order."""

    VOID = ("meta", "path", "rect")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        """The text of the cells of each row, headings as well."""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data

    def assert_needs_nothing_else(self) -> None:
        """Closed in order, and nothing in it that a browser would fetch or run."""
        assert self.open == []
        assert not {"script", "link", "img", "iframe", "object", "form"} & set(self.seen)
        names = {name for name, _ in self.attributes}
        assert "src" not in names
        assert not [name for name in names if name.startswith("on")]
        links = [str(value) for name, value in self.attributes if name == "href"]
        assert all(link.startswith("?") for link in links)
