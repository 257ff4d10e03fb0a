"""What MkDocs does beside its plugins: wide pages, and links from docs/ to files that are no pages.

A page is read in two places: in the repository, where such a link leads to the file, and on the site, which
has no such file. The repository has no public address to link to, so the site names the path instead.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

WIDE = ("explanation/architecture.md",)  # its lines need the room of the table of contents
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """The page's text, in which links that leave docs/ are the names of what they lead to."""
    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["toc"]
    docs = Path(config["docs_dir"]).resolve()
    folder = (docs / page.file.src_uri).parent

    def plain(match: re.Match[str]) -> str:
        text, target = match.groups()
        path = (folder / target).resolve()
        if path.is_relative_to(docs) or not path.exists():
            return match.group()  # a page, or a broken link, which the build reports
        name = f"`{path.relative_to(docs.parent)}`"
        return name if text.strip("`") in (name.strip("`"), path.name) else f"{text} ({name})"

    return LINK.sub(plain, markdown)
