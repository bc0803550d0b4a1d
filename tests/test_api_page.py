"""What is public is listed, loads, has a docstring and a type, and stands on the page of the API."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
PACKAGES = ("adaptive_mbrl", "sim", "robot_bridge")
NAMES = [(package, name) for package in PACKAGES for name in importlib.import_module(package).__all__]


def on_the_page(package: str) -> list[str]:
    section = re.split(r"^## ", PAGE.partition(f"\n## {package}\n")[2], flags=re.M)[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, flags=re.M)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_page_lists_exactly_what_is_public(package: str):
    listed = on_the_page(package)

    assert sorted(listed) == sorted(importlib.import_module(package).__all__)
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(("package", "name"), NAMES, ids=lambda part: part)
def test_every_public_name_loads_and_explains_itself(package: str, name: str):
    value = getattr(importlib.import_module(package), name)

    # a docstring of its own; a dataclass without one gets its signature
    assert inspect.getdoc(value)
    assert not (value.__doc__ or "").startswith(f"{name}(")
    assert value.__module__.split(".")[0] in PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_and_python_find_a_name_in_the_same_module(package: str):
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING")
    typed = {a.name: n.module for n in guarded.body if isinstance(n, ast.ImportFrom) for a in n.names}
    (lazy,) = (node.args[1] for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node) == "lazy_names")
    loaded = {name: module for module, names in ast.literal_eval(lazy).items() for name in names.split()}

    assert typed == loaded
    assert sorted(typed) == importlib.import_module(package).__all__


def _name(call: ast.Call) -> str:
    return getattr(call.func, "id", "")


def test_importing_the_packages_and_what_is_light_loads_nothing_heavy():
    program = (
        "import sys\n"
        "import adaptive_mbrl, robot_bridge, sim\n"
        "from adaptive_mbrl import AdaptiveMBRLError, RobotSpec, prepare_process\n"
        "print(set(adaptive_mbrl.__all__) <= set(dir(adaptive_mbrl)), set(sim.__all__) <= set(dir(sim)))\n"
        "print(*{n.split('.')[0] for n in sys.modules} & {'torch', 'numpy', 'mujoco', 'gymnasium', 'cyclonedds'})"
    )

    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT).stdout

    assert shown.splitlines() == ["True True", ""]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there_is_an_attribute_error(package: str):
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'AdaptivController'"):
        getattr(importlib.import_module(package), "Adaptiv" + "Controller")


def imported(page: Path) -> list[tuple[str, str]]:
    """Module and name of each import from one of the packages in the Python blocks of a page, or the code cells of a notebook."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        blocks = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    else:
        blocks = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    line = rf"^from ((?:{'|'.join(PACKAGES)})\b\S*) import (?:\(([^)]*)\)|(.+))$"
    lines = re.findall(line, "\n".join(blocks), flags=re.M)
    names = [(module, re.split(r",\s*", (several or one).strip().rstrip(","))) for module, several, one in lines]
    return [(module, name.partition(" as ")[0]) for module, found in names for name in found]


PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "docs").rglob("*.ipynb")))
IMPORTS = {page.relative_to(ROOT).as_posix(): imported(page) for page in PAGES}


@pytest.mark.parametrize("page", [name for name, found in IMPORTS.items() if found])
def test_a_page_imports_public_names_only(page: str):
    public = set(NAMES)
    # the files that extending.md adds lie inside of the package, and import as their neighbours do
    names = {name for _, name in public} if page == "docs/extending.md" else set()

    assert [pair for pair in IMPORTS[page] if pair not in public and pair[1] not in names] == []


def test_the_readme_and_other_pages_have_imports():
    pages = {"README.md", "docs/api.md", "docs/extending.md", "docs/tutorials/own_robot.md"}

    assert pages <= {name for name, found in IMPORTS.items() if found}
    assert ("adaptive_mbrl", "OuterConfig") in IMPORTS["docs/notebooks/adaptation_in_one_hour.ipynb"]
