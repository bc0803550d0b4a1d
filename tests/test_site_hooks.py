"""What docs/hooks does to pages while the site is built."""

from __future__ import annotations

import base64
import dataclasses
import importlib.util
import re
import sys
from pathlib import Path, PurePosixPath
from types import ModuleType

import markdown
import pytest
from mkdocs.exceptions import PluginError

from adaptive_mbrl.options import CallOptions
from tests.pages import ROOT

HOOKS = ROOT / "docs" / "hooks"


@pytest.fixture(scope="module", autouse=True)
def hooks_find_each_other() -> None:
    sys.path.insert(0, str(HOOKS))
    yield
    sys.path.remove(str(HOOKS))


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HOOKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def set_formulas(text: str) -> str:
    content = markdown.markdown(
        text, extensions=["pymdownx.arithmatex"], extension_configs={"pymdownx.arithmatex": {"generic": True}}
    )
    return hook("mathematics").on_page_content(content)


def test_formulas_become_mathml():
    content = set_formulas("With $x < y$ there is\n\n$$\n\\theta' = \\sum_{k=1}^{K} \\frac{a_k}{2}\n$$\n")

    inline, display = re.findall(r"<math.*?</math>", content, flags=re.S)
    assert 'display="inline"' in inline
    assert "&#x0003C;" in inline
    assert 'display="block"' in display
    assert "<mfrac>" in display
    assert "<munderover>" in display
    assert "arithmatex" not in content


def test_aligned_equations_have_columns():
    content = set_formulas("$$\n\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}\n$$\n")

    assert content.count("<mtr>") == 2
    assert "&amp;" not in content


@pytest.mark.parametrize("tex", [r"\nosuchcommand x", "a & b"])
def test_what_cannot_be_converted_ends_the_build(tex: str):
    with pytest.raises(PluginError, match="cannot be converted"):
        hook("mathematics").mathml(tex, display=True)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[the file](../examples/walker/train.yaml)", "[the file](repository/examples/walker/train.yaml.md)"),
        ("[files](../examples/walker)", "[files](repository/examples/walker/index.md)"),
        ("[reports](results/)", "[reports](repository/docs/results/index.md)"),
        ("[CONTRIBUTING.md](../CONTRIBUTING.md#dependencies)", "[Contributing](contributing.md#dependencies)"),
        ("[scenarios.md](scenarios.md)", "[Scenarios and splits](scenarios.md)"),
        ("[elsewhere](https://example.org/a.md)", "[elsewhere](https://example.org/a.md)"),
        ("![picture](images/demo.gif)", "![picture](images/demo.gif)"),
        ("`[code](../examples/walker)`", "`[code](../examples/walker)`"),
        ("```\n[code](../examples/walker)\n```", "```\n[code](../examples/walker)\n```"),
    ],
)
def test_links_lead_to_pages_of_the_site(written: str, shown: str):
    assert hook("outside_links").rewritten(written, PurePosixPath("docs/page.md"), "page.md") == shown


def test_links_of_pages_in_folders_are_relative_to_them():
    text = hook("outside_links").rewritten(
        "[a](../../examples/walker)", PurePosixPath("docs/tutorials/page.md"), "tutorials/page.md"
    )

    assert text == "[a](../repository/examples/walker/index.md)"


def test_a_page_of_the_top_links_into_docs():
    text = hook("outside_links").rewritten("[key](docs/data.md#train)", PurePosixPath("CONTRIBUTING.md"), "contributing.md")

    assert text == "[key](data.md#train)"


def test_comments_are_taken_out_and_code_is_left():
    text = hook("comments").on_page_markdown("<!-- begin a -->\n| a |\n\n```xml\n<!-- pendulum.xml -->\n```\n")

    assert text == "\n\n| a |\n\n```xml\n<!-- pendulum.xml -->\n```\n"


def test_the_reference_has_every_key_of_a_training():
    pages = hook("yaml_pages")
    (kind,) = (kind for kind in pages.FILE_KINDS if kind.name == "train")
    text = pages.page(kind)

    assert "| `window` | K, the number of recent transitions that adaptation sees. | a whole number, 1 to 1000 | `16` |" in text
    assert "[`icem`](#icem)" in text
    assert "{ #icem }" in text
    assert all(f"| `{key.name}` |" in text for record in pages.records_of(kind.describe()) for key in record.keys)
    assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= set(re.findall(r"\{ #([\w-]+) \}", text))


def test_every_kind_of_file_is_explained_on_a_page_that_exists():
    pages = hook("yaml_pages")

    assert set(pages.EXPLAINED) == {kind.name for kind in pages.FILE_KINDS}
    for page in pages.EXPLAINED.values():
        assert (ROOT / "docs" / page.partition("#")[0]).is_file(), page


def test_every_example_of_a_kind_is_used():
    assert {file.stem for file in Path(HOOKS.parent / "reference" / "examples").iterdir()} == {
        kind.name for kind in hook("yaml_pages").FILE_KINDS
    }


def test_the_reference_has_every_flag_of_a_command():
    text = hook("command_pages").section_of("call")

    assert text.startswith("## call\n\nCall a service of a running bridge.\n\n```sh\nadaptive-mbrl call estop\n```\n")
    assert re.search(r"^\| `\{estop,.*\}` \| What the bridge shall do\.", text, flags=re.M)
    flags = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(CallOptions)} - {"--service"}
    assert flags <= set(re.findall(r"^\| `(--[\w-]+)", text, flags=re.M))


def test_a_notebook_becomes_a_page_with_its_outputs():
    picture = {
        "output_type": "display_data",
        "data": {"image/png": base64.b64encode(b"picture").decode(), "text/plain": ["<Figure>"]},
    }
    printed = {"output_type": "stream", "text": ["1\n", "2\n"]}
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Text."]},
        {"cell_type": "code", "source": ["print(1)"], "outputs": [printed, picture]},
    ]

    page, pictures = hook("notebook_pages").pages_of("hour", {"cells": cells})

    assert page.startswith("# Title\nText.\n\n~~~~python\nprint(1)\n~~~~\n\n~~~~text\n1\n2\n~~~~\n\n![")
    assert "[Download this notebook](hour.ipynb)" in page
    assert pictures == {"hour_1_1.png": b"picture"}
    assert "](hour_1_1.png)" in page
