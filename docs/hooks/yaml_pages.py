"""The reference of the YAML files: one page per kind of file, written from the dataclasses that load it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from outside_links import title_of

from adaptive_mbrl.file_kinds import FILE_KINDS, FileKind
from adaptive_mbrl.schema import Key, Record, Shape, default_in_words, records_of, type_in_words
from adaptive_mbrl.schema.shapes import Kinds, inner_shapes

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "docs" / "reference" / "examples"
FOLDER = "reference/yaml"
# the pages that explain a kind of file with its reasons
EXPLAINED = {
    "robot": "robot_files.md",
    "environment": "environments.md",
    "scenario": "scenarios.md",
    "split": "scenarios.md",
    "train": "training.md",
    "baseline": "baselines.md",
    "suite": "benchmark.md",
    "bridge": "robot.md#the-bridge-file",
    "imperfections": "robot.md#the-simulated-robot",
    "logs": "logs.md",
    "dataset": "data.md",
    "sweep": "jobs.md#sweeps",
}


def anchor(record: Record) -> str:
    """Where the record stands on its page."""
    return record.name.lower().replace(" ", "-")


def linked_type(shape: Shape) -> str:
    """What a value is, with links to the records that it is made of."""
    text, waiting = type_in_words(shape), [shape]
    while waiting:
        first = waiting.pop()
        if isinstance(first, Record):
            text = text.replace(f"({first.name})", f"([{first.name}](#{anchor(first)}))")
            continue
        if isinstance(first, Kinds):
            for record in first.records:
                text = text.replace(f"`{record.tag}`", f"[`{record.tag}`](#{anchor(record)})")
            continue
        waiting += inner_shapes(first)
    return text


def row(key: Key) -> str:
    """A line of a record's table."""
    default = "required" if key.required else f"`{default_in_words(key)}`"
    meaning = key.documentation[:1].upper() + key.documentation[1:]
    cells = (f"`{key.name}`", meaning, linked_type(key.shape), default)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def section(record: Record, title: str | None = None) -> str:
    """A record with its keys; without a title it is called by its name."""
    named = f" It is named by its tag, `{record.tag}`." if record.tag else ""
    instead = f" With `{record.instead}` no other key is required." if record.instead else ""
    head = f"## {title or record.name} {{ #{anchor(record)} }}\n\n{record.summary}{named}{instead}\n\n"
    if not record.keys:
        return f"{head}It has no keys.\n"
    return head + "| key | meaning | what it is | default |\n|---|---|---|---|\n" + "\n".join(map(row, record.keys)) + "\n"


def index_of_keys(root: Record) -> str:
    """All keys of a file in alphabetical order, with the records that have them."""
    places: dict[str, list[Record]] = {}
    for record in records_of(root):
        for key in record.keys:
            places.setdefault(key.name, []).append(record)
    lines = [f"- `{name}`: " + ", ".join(f"[{r.name}](#{anchor(r)})" for r in places[name]) for name in sorted(places)]
    return '## Index of keys\n\n<div class="keys" markdown>\n\n' + "\n".join(lines) + "\n\n</div>\n"


def page(kind: FileKind) -> str:
    """The reference page of a kind of file."""
    root = kind.describe()
    about = [
        f"- Read by: {kind.read_by}.",
        f"- JSON Schema for editors: [{kind.name}.json]({kind.name}.json), also from `adaptive-mbrl schema {kind.name}`.",
    ]
    if kind.folder:
        about.append(f"- Files of this kind that ship: `configs/{kind.folder}/`.")
    if kind.name in EXPLAINED:
        title = title_of(PurePosixPath("docs", EXPLAINED[kind.name].partition("#")[0]))
        about.append(f"- Explained, with reasons and examples: [{title}](../../{EXPLAINED[kind.name]}).")
    example = (EXAMPLES / f"{kind.name}.yaml").read_text(encoding="utf-8")
    parts = [
        f"# {kind.title[0].upper()}{kind.title[1:]}\n",
        "\n".join(about) + "\n",
        f"A small file of this kind:\n\n```yaml\n{example}```\n",
        *(section(record, "The file" if record is root else None) for record in records_of(root)),
        index_of_keys(root),
    ]
    return "\n".join(parts)


def index() -> str:
    """The page that lists the kinds of files."""
    rows = [f"| [{kind.title}]({kind.name}.md) | {kind.read_by} |" for kind in FILE_KINDS]
    return (
        "# YAML files\n\nEvery key of every file, written from the dataclasses that load it. A key that is not listed is an "
        "error, and the message names the allowed ones. All numbers are in SI units.\n\n| file | read by |\n|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and the schemas that they link to."""
    files.append(File.generated(config, f"{FOLDER}/index.md", content=index()))
    for kind in FILE_KINDS:
        files.append(File.generated(config, f"{FOLDER}/{kind.name}.md", content=page(kind)))
        schema = ROOT / "configs" / "schemas" / f"{kind.name}.json"
        files.append(File.generated(config, f"{FOLDER}/{kind.name}.json", abs_src_path=str(schema)))
    return files
