"""A suite: which methods are compared on which scenarios, as a YAML file in `configs/suites`.

A protocol holds scenarios of one robot and the methods that meet on them. A method is one way to make a model; entries of the
same name are one method, with more training seeds. docs/benchmark.md shows how to add to a suite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from adaptive_mbrl.config import MAX_SEED, bounded, load_yaml
from adaptive_mbrl.errors import ConfigError
from sim.paths import beside, find_config
from sim.scenarios.loading import find_scenario, load_scenario
from sim.training.config import load_train_config

ArmName = Literal["adaptive", "frozen", "ungated", "immediate", "as_wired", "multitask", "oracle", "random"]
VARIANTS: tuple[ArmName, ...] = ("frozen", "ungated", "immediate", "as_wired")
"""Arms of an adaptive model that do less than it does."""
_OF_MODELS: tuple[ArmName, ...] = ("adaptive", *VARIANTS, "multitask")
ARMS: tuple[ArmName, ...] = ("adaptive", "frozen", "multitask", "oracle", "random")
SEED = "{seed}"


@dataclass(frozen=True)
class MethodEntry:
    """Models of one method, one for each training seed.

    Attributes:
        name: name of the method; entries of the same name are one method.
        train: training configuration, as `train --config` takes it. `train-suite` trains it with every seed, and the benchmark
            looks for what it left. Give this or `checkpoint`.
        checkpoint: checkpoints that exist already: a folder or the name of a shipped one. `{seed}` in it stands for the seed.
        seeds: the training seeds.
    """

    name: str
    train: str | None = None
    checkpoint: str | None = None
    seeds: tuple[int, ...] = bounded((0,), low=0, high=MAX_SEED)

    def __post_init__(self) -> None:
        if not self.name or any(c in self.name for c in "|/\n"):
            raise ConfigError(f"name: got '{self.name}'; allowed: a text without |, / and line breaks")
        if (self.train is None) == (self.checkpoint is None):
            got = "neither" if self.train is None else "both"
            raise ConfigError(f"method '{self.name}': got {got} of train and checkpoint; give exactly one")
        if not self.seeds:
            raise ConfigError(f"method '{self.name}': seeds is empty; allowed: at least one training seed")
        if len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"method '{self.name}': seeds {list(self.seeds)} has a seed twice")
        if self.checkpoint is not None and len(self.seeds) > 1 and SEED not in self.checkpoint:
            raise ConfigError(
                f"method '{self.name}': checkpoint '{self.checkpoint}' is one for {len(self.seeds)} seeds; add {SEED}"
            )

    def place(self, seed: int, runs: Path) -> str:
        """Where the checkpoint of a training seed lies: a folder, or the name of a shipped checkpoint.

        Args:
            seed: the training seed.
            runs: folder that `train-suite` trains in.
        """
        if self.checkpoint is not None:
            return self.checkpoint.replace(SEED, str(seed))
        return str(self.run_folder(seed, runs) / "checkpoint")

    def run_folder(self, seed: int, runs: Path) -> Path:
        """The folder that `train-suite` trains a seed of this entry in; only for an entry with `train`."""
        assert self.train is not None
        return runs / Path(self.train).stem / f"seed_{seed}"


@dataclass(frozen=True)
class Protocol:
    """Methods that are compared on scenarios of one robot.

    Attributes:
        name: heading in the report.
        scenarios: the scenarios, as `evaluate --scenario` takes them.
        methods: the methods.
    """

    name: str
    scenarios: tuple[str, ...]
    methods: tuple[MethodEntry, ...]

    def __post_init__(self) -> None:
        if not self.scenarios or not self.methods:
            raise ConfigError(f"protocol '{self.name}': needs at least one scenario and one method")
        if len(set(self.scenarios)) < len(self.scenarios):
            raise ConfigError(f"protocol '{self.name}': a scenario stands there twice")
        pairs = [(method.name, seed) for method in self.methods for seed in method.seeds]
        for name, seed in pairs:
            if pairs.count((name, seed)) > 1:
                raise ConfigError(f"protocol '{self.name}': method '{name}' has training seed {seed} twice")

    def models(self, runs: Path) -> Iterator[tuple[MethodEntry, int, str]]:
        """Method, training seed and place of every checkpoint."""
        for method in self.methods:
            for seed in method.seeds:
                yield method, seed, method.place(seed, runs)


@dataclass(frozen=True)
class Suite:
    """What a benchmark runs.

    Attributes:
        protocols: what is compared, and where.
        episodes: episodes of every arm on every scenario.
        seed: seed of the first episode; the i-th has `seed` + i.
        arms: adaptive and frozen run each model that adapts, with and without adapting; ungated runs it with the belief from the
            whole window at every step, whatever that is worth, immediate as if actions always acted at once and no motor could be
            reversed, and as_wired as if no motor could be reversed; multitask runs each model that was trained without
            adaptation; oracle plans on the true dynamics; random is coloured noise.
        name: name of the suite, from its file.
        source: what the user calls it: a shipped name or a path.
    """

    protocols: tuple[Protocol, ...]
    episodes: int = bounded(20, low=1, high=100_000)
    seed: int = bounded(0, low=0, high=MAX_SEED)
    arms: tuple[ArmName, ...] = ARMS
    name: str = field(default="suite", init=False)
    source: str = field(default="suite", init=False)

    def __post_init__(self) -> None:
        if not self.protocols:
            raise ConfigError("protocols: expected at least one")
        names = [p.name for p in self.protocols]
        if len(set(names)) < len(names):
            raise ConfigError(f"protocols: a name stands there twice: {', '.join(names)}")
        if not set(self.arms) & set(_OF_MODELS):
            got = ", ".join(self.arms) or "none"
            raise ConfigError(f"arms: got {got}; allowed: at least one of {', '.join(_OF_MODELS)}")
        if self.seed + self.episodes - 1 > MAX_SEED:
            raise ConfigError(f"seed: {self.seed} + {self.episodes} episodes exceeds the largest seed, {MAX_SEED}")


def load_suite(name_or_path: str | Path, episodes: int | None = None) -> Suite:
    """Read a shipped suite by name, or any by path, and check all that it names but the checkpoints.

    Scenarios and training configurations that lie beside the file are named relative to it.

    Args:
        name_or_path: the suite.
        episodes: replaces the suite's number of episodes.

    Raises:
        ConfigError: the suite, a scenario or a training configuration is wrong.
    """
    path = find_config("suites", name_or_path)
    suite = load_yaml(path, Suite)
    suite = replace(suite, protocols=tuple(_resolved(protocol, path) for protocol in suite.protocols))
    if episodes is not None:
        suite = replace(suite, episodes=episodes)
    object.__setattr__(suite, "name", path.stem)
    object.__setattr__(suite, "source", str(name_or_path))
    for protocol in suite.protocols:
        _check(protocol, str(path))
    _check_folders(suite, str(path))
    return suite


def _resolved(protocol: Protocol, suite: Path) -> Protocol:
    """The protocol with its files named by path where they lie beside the suite's file."""
    methods = tuple(m if m.train is None else replace(m, train=beside(suite, m.train)) for m in protocol.methods)
    return replace(protocol, scenarios=tuple(beside(suite, s) for s in protocol.scenarios), methods=methods)


def _check(protocol: Protocol, source: str) -> None:
    """All scenarios must load and be of one robot, and so must the training configurations."""
    where = f"{source}: protocol '{protocol.name}'"
    robots: dict[str, str] = {}
    try:
        for scenario in protocol.scenarios:
            robots[scenario] = load_scenario(scenario).robot
        for method in protocol.methods:
            if method.train is not None:
                # a training on recorded episodes has no scenarios
                find_scenario(load_train_config(method.train).scenarios or protocol.scenarios[0])
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if len(set(robots.values())) > 1:
        found = ", ".join(f"{scenario}: {robot}" for scenario, robot in robots.items())
        raise ConfigError(f"{where}: its scenarios are of several robots ({found}); allowed: one robot per protocol")


def _check_folders(suite: Suite, source: str) -> None:
    """Two configurations of the same file name would train in the same folder."""
    by_stem: dict[str, str] = {}
    for method in (m for protocol in suite.protocols for m in protocol.methods if m.train is not None):
        assert method.train is not None
        other = by_stem.setdefault(Path(method.train).stem, method.train)
        if other != method.train:
            raise ConfigError(
                f"{source}: '{other}' and '{method.train}' have the same file name, so their runs would share a folder"
            )
