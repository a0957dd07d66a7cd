"""The frame of a page that needs nothing else: no script, no font, no other file. Pure."""

from html import escape
from typing import Final

from stellwerk.pages.style import PAGE_STYLE

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""Were a text ever to become markup, a browser would still fetch and run nothing."""


def framed(title: str, style: str, body: str) -> str:
    """The whole page.

    + title: plain text
    + style: rules besides those that all pages have
    + body: markup
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        '\n<meta name="viewport" content="width=device-width, initial-scale=1">'
        '\n<meta name="color-scheme" content="light dark">'
        f'\n<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"\n<style>{PAGE_STYLE}{style}</style></head><body>\n{body}\n</body></html>\n"
    )
