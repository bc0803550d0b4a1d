"""Links that lead out of docs/ work in the site, too.

On a code host `../examples/walker/train.yaml` opens that file. The site is built from docs/ alone, so every file and folder that
a page links to gets a page of its own below repository/, which shows it. CONTRIBUTING.md and others at the top become pages as
they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent.parent
# pages at the top of the repository, and what they are called in the site
TOP_PAGES = {name: name.lower() for name in ("CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SECURITY.md")}
CODE = re.compile(r"(^```.*?^```[^\S\n]*$|(?<!`)`[^`\n]+`(?!`))", flags=re.S | re.M)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
COPIED = (".gif", ".jpg", ".mcap", ".mp4", ".npz", ".parquet", ".png", ".safetensors")
LANGUAGES = {".md": "markdown", ".py": "python", ".sh": "sh", ".sbatch": "sh", ".yaml": "yaml", ".xml": "xml", ".json": "json"}


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text of a page with a change made to everything but its code."""
    return "".join(part if i % 2 else change(part) for i, part in enumerate(CODE.split(text)))


def target_of(link: str, source: PurePosixPath) -> tuple[PurePosixPath, str] | None:
    """What a relative link of a page leads to, as a path from the repository's top, and its anchor; None for other links."""
    path, _, anchor = link.partition("#")
    if not path or "://" in link or link.startswith(("mailto:", "/")):
        return None
    return PurePosixPath(os.path.normpath(source.parent / path)), anchor


def site_path(target: PurePosixPath) -> str:
    """Where the site shows a file or folder of the repository."""
    if str(target) in TOP_PAGES:
        return TOP_PAGES[str(target)]
    if str(target) == "README.md":
        return "index.md"
    if (ROOT / target).is_dir():
        return f"repository/{target}/index.md"
    if target.suffix == ".ipynb" and target.parts[0] == "docs":
        return str(target.relative_to("docs").with_suffix(".md"))
    if target.parts[0] == "docs":
        return str(target.relative_to("docs"))
    return f"repository/{target}" if target.suffix in COPIED else f"repository/{target}.md"


def title_of(page: PurePosixPath) -> str:
    """The first heading of a page of the repository; its name if it has none."""
    found = re.search(r"^# (.+)$", (ROOT / page).read_text(encoding="utf-8"), flags=re.M)
    return found[1] if found else page.name


def rewritten(text: str, source: PurePosixPath, page: str) -> str:
    """The text of a page whose links lead to pages of the site.

    Args:
        text: the page as it stands in the repository.
        source: its path there, from the top.
        page: its path in the site.
    """

    def change(match: re.Match[str]) -> str:
        image, label, link = match.groups()
        target = target_of(link, source)
        if target is None or not (ROOT / target[0]).exists():
            return match[0]
        path = os.path.relpath(site_path(target[0]), os.path.dirname(page) or ".")
        # in a repository files are called by their names; in a site by their titles
        named = label in (target[0].name, str(target[0])) and label.endswith(".md")
        return f"{image}[{title_of(target[0]) if named else label}]({path}{'#' + target[1] if target[1] else ''})"

    return outside_code(text, lambda part: LINK.sub(change, part))


def shown_files(target: PurePosixPath) -> Iterator[PurePosixPath]:
    """A linked file, or a linked folder and all that is in it, without hidden files and caches."""
    yield target
    if (ROOT / target).is_dir():
        for child in sorted((ROOT / target).iterdir()):
            if not child.name.startswith((".", "__")):
                yield from shown_files(target / child.name)


def page_of_file(path: PurePosixPath) -> str:
    """A page that shows a text file."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return f"---\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n~~~~{LANGUAGES.get(path.suffix, 'text')}\n{text}\n~~~~\n"


def page_of_folder(path: PurePosixPath) -> str:
    """A page that lists what is in a folder."""
    here = PurePosixPath(site_path(path)).parent
    children = [path / c.name for c in sorted((ROOT / path).iterdir()) if not c.name.startswith((".", "__"))]
    lines = [f"- [{child.name}]({os.path.relpath(site_path(child), here)})" for child in children]
    return f"---\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n" + "\n".join(lines) + "\n"


def shown(path: PurePosixPath) -> str | bytes:
    """What the site has of a file or folder of the repository: a page, or the file itself if it is no text."""
    if (ROOT / path).is_dir():
        return page_of_folder(path)
    return (ROOT / path).read_bytes() if path.suffix in COPIED else page_of_file(path)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the repository's top, and one for each file and folder outside docs/ that a page links to."""
    for name, page in TOP_PAGES.items():
        files.append(File.generated(config, page, content=rewritten((ROOT / name).read_text("utf-8"), PurePosixPath(name), page)))
    texts = [(PurePosixPath(name), (ROOT / name).read_text("utf-8")) for name in TOP_PAGES]
    texts += [(PurePosixPath("docs", f.src_uri), f.content_string) for f in files.documentation_pages() if f.generated_by is None]
    linked: set[PurePosixPath] = set()
    for source, text in texts:
        for match in (m for part in CODE.split(text)[::2] for m in LINK.finditer(part)):
            target = target_of(match[3], source)
            if target is not None and (ROOT / target[0]).exists():
                linked.update(shown_files(target[0]))
    for path in sorted(linked):
        page = site_path(path)
        if page.startswith("repository/"):
            files.append(File.generated(config, page, content=shown(path), inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lets the links of a page lead to pages of the site."""
    if page.file.generated_by is not None:
        return markdown
    return rewritten(markdown, PurePosixPath("docs", page.file.src_uri), page.file.src_uri)
