"""The documentation as a site: it is complete, its links lead somewhere, and it needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from adaptive_mbrl.file_kinds import FILE_KINDS, FileKind
from tests.pages import ROOT, blocks_of

DOCS = ROOT / "docs"
HAND_WRITTEN = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


class Loose(yaml.SafeLoader):
    """Reads mkdocs.yml, some of whose values name Python functions."""


Loose.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


def entries(nav: object) -> list[str]:
    """All pages of a navigation."""
    if isinstance(nav, str):
        return [nav]
    children = nav.values() if isinstance(nav, dict) else nav
    return [page for child in children for page in entries(child)]


NAVIGATION = entries(yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loose)["nav"])


def test_every_page_is_in_the_navigation_once():
    assert sorted(page for page in NAVIGATION if (DOCS / page).exists()) == HAND_WRITTEN


def test_every_entry_of_the_navigation_exists():
    written_at_build = (
        "reference/index.md",
        "reference/commands.md",
        "reference/yaml/",
        "reference/python/",
        "contributing.md",
        "changelog.md",
        "security.md",
        "code_of_conduct.md",
        "notebooks/",
    )
    missing = [page for page in NAVIGATION if not (DOCS / page).exists() and not page.startswith(written_at_build)]
    assert missing == []


def test_the_navigation_has_every_kind_of_yaml_file():
    kinds = [page for page in NAVIGATION if page.startswith("reference/yaml/")]
    assert kinds == ["reference/yaml/index.md", *(f"reference/yaml/{kind.name}.md" for kind in FILE_KINDS)]


@pytest.mark.parametrize("kind", FILE_KINDS, ids=lambda kind: kind.name)
def test_the_small_file_of_each_kind_loads(kind: FileKind):
    kind.check(DOCS / "reference" / "examples" / f"{kind.name}.yaml")


@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_marks_for_tests_are_marks(name: str):
    blocks_of(DOCS / name)


class Links(HTMLParser):
    """What a page refers to, and the anchors that it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag in ("script", "img", "iframe", "source") and "src" in found:
            self.loaded.append(found["src"])
        elif tag == "link" and found.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(found.get("href", ""))
        elif tag == "a" and "href" in found:
            self.linked.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Links]:
    """The built site: its pages, with what they refer to."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    # reports of benchmarks are pages of their own, and the page for missing addresses has links from the top of a server
    return {
        page: Links(page) for page in sorted(folder.rglob("*.html")) if "results" not in page.parts and page.name != "404.html"
    }


def target(page: Path, link: str) -> tuple[Path, str]:
    """The file and the anchor that a relative link leads to."""
    parts = urlsplit(link)
    return (page.parent / unquote(parts.path)).resolve() if parts.path else page, unquote(parts.fragment)


@pytest.mark.slow
def test_nothing_is_loaded_from_a_network(site: dict[Path, Links]):
    for page, links in site.items():
        for link in links.loaded:
            assert not urlsplit(link).netloc, f"{page.name}: {link}"
            assert urlsplit(link).scheme == "data" or target(page, link)[0].is_file(), f"{page.name}: {link}"


@pytest.mark.slow
def test_every_link_leads_somewhere(site: dict[Path, Links]):
    for page, links in site.items():
        for link in links.linked:
            parts = urlsplit(link)
            if parts.scheme:
                assert parts.scheme == "mailto" or (parts.scheme in ("http", "https") and "." in parts.netloc), (
                    f"{page.name}: {link}"
                )
                continue
            file, anchor = target(page, link)
            assert file.is_file(), f"{page.name}: {link} is not there"
            if anchor and file in site and anchor != "__toc":
                assert anchor in site[file].anchors, f"{page.name}: {link} is no heading"


@pytest.mark.slow
def test_the_search_and_every_page_are_there(site: dict[Path, Links]):
    top = next(page.parent for page in site if page.name == "get_started.html")
    assert {page.relative_to(top).with_suffix(".md").as_posix() for page in site} >= set(NAVIGATION)
    index = (top / "search" / "search_index.js").read_text(encoding="utf-8")
    assert "learning_rate" in index
    assert "actuator_gain" in index


@pytest.mark.slow
def test_comments_and_formulas_are_set_at_build_time(site: dict[Path, Links]):
    for page in site:
        text = re.sub(r"<code>.*?</code>", "", page.read_text(encoding="utf-8"), flags=re.S)
        assert not re.search(r'class="arithmatex"|&lt;!-- (test|begin|end)', text), page.name
