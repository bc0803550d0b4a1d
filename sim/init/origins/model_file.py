"""A model of the user's own: an MJCF or a URDF."""

from __future__ import annotations

from pathlib import Path

from adaptive_mbrl.errors import ConfigError
from sim.init.origins.origin import Origin, read_spec, relative
from sim.paths import MJCF_PREFIXES, mjcf_path

_ENDINGS = (".xml", ".mjcf", ".urdf")


def from_file(reference: str, folder: Path) -> Origin:
    """Load a model file.

    Args:
        reference: a path, or one of the prefixes that the key `mjcf` of a robot's file has, such as ``gymnasium:ant.xml``.
        folder: the folder that is going to be written.
    """
    if reference.partition(":")[0] in MJCF_PREFIXES:
        path = mjcf_path(reference, Path())
        return Origin(read_spec(path, reference), reference, reference, path.parent)
    path = Path(reference).expanduser()
    if not path.is_file():
        raise ConfigError(f"{reference}: no such file; allowed: an MJCF or URDF file")
    if path.suffix.lower() not in _ENDINGS:
        raise ConfigError(f"{reference}: is no model of MuJoCo's; allowed: a file that ends in {', '.join(_ENDINGS)}")
    spec = read_spec(path, reference)
    if path.suffix.lower() == ".urdf":
        # MuJoCo reads a URDF by other rules than an MJCF, so the folder gets an MJCF of it
        return Origin(spec, None, f"the URDF {path.name}", path.parent)
    return Origin(spec, relative(path, folder), path.name, path.parent)
