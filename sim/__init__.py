"""Simulation in MuJoCo: robots, scenarios in which they change, the oracle, collection, training and evaluation.

The installed package keeps the short name of this folder, `sim`. The code of users imports it by that name, as the README does,
and what runs in a checkout runs the same way after `pip install`. Another project may have a package `sim`, too. So this one says
in `DISTRIBUTION` whose it is, and the command line refuses any other. If `sim` and `adaptive_mbrl` come from two installations,
this file refuses.
"""

from pathlib import Path

import adaptive_mbrl
from adaptive_mbrl.errors import ConfigError

DISTRIBUTION = "adaptive-mbrl"
"""The project that this package is a part of."""

_HERE, _CORE = (Path(file).resolve().parent for file in (__file__, adaptive_mbrl.__file__))
if _HERE.parent != _CORE.parent:
    raise ConfigError(f"the packages {_HERE} and {_CORE} are parts of two installations of {DISTRIBUTION}; keep one of them")
