"""Jupyter notebooks as pages: docs/notebooks/NAME.ipynb is shown as notebooks/NAME.md, with the outputs that were saved in it."""

from __future__ import annotations

import base64
import json
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def fenced(language: str, text: str) -> str:
    """A block of code or of printed text."""
    return f"~~~~{language}\n{text.rstrip()}\n~~~~\n"


def pages_of(name: str, notebook: dict[str, Any]) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and the pictures that it shows, by their names beside the page."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(f"{source}\n")
        elif cell["cell_type"] == "code" and source:
            parts.append(fenced("python", source))
        for place, output in enumerate(cell.get("outputs", [])):
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"{name}_{number}_{place}.png"
                pictures[picture] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![Output of the code above]({picture})\n")
            elif "text" in output or "text/plain" in data:
                parts.append(fenced("text", "".join(output.get("text", data.get("text/plain", "")))))
    parts.append(f"[Download this notebook]({name}.ipynb)\n")
    return "\n".join(parts), pictures


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds a page for each notebook."""
    for file in [f for f in files if f.src_uri.startswith("notebooks/") and f.src_uri.endswith(".ipynb")]:
        name = file.src_uri.removeprefix("notebooks/").removesuffix(".ipynb")
        page, pictures = pages_of(name, json.loads(file.content_string))
        files.append(File.generated(config, f"notebooks/{name}.md", content=page))
        for picture, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{picture}", content=content))
    return files
