"""The first page of the reference, which only the site has: most of what it links to is written when the site is built."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGE = """# Reference

Written when the site is built, from the sources themselves:

- [Commands](commands.md): every command with its flags, from the help that it prints.
- [YAML files](yaml/index.md): every key of every file, with its type, its bounds and its default.
- [Python](python/index.md): the public names, from their docstrings.

Explained with reasons and examples:

- [A robot's YAML file](../robot_files.md)
- [Scenarios and splits](../scenarios.md)
- [The keys of a training](../training.md#keys), [of a log's file](../logs.md#the-yaml-file),
  [of a bridge's file](../robot.md#the-bridge-file)

Without the site, [`adaptive-mbrl schema KIND`](../command_line.md#schemas-for-editors) prints what a YAML file may hold, for
editors, and `adaptive-mbrl COMMAND --help` explains the flags.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page."""
    files.append(File.generated(config, "reference/index.md", content=PAGE))
    return files
