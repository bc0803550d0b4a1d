"""Units of what is imported: usual mistakes are refused, what nobody knows is named, and the project's own robots have none."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.columns import LogAction, LogChannel
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.stores.exchange import spec_with_si_units
from adaptive_mbrl.units import KNOWN, notes_on_units, require_kind, require_si
from tests.core.cart_logs import CART, cart_log, write_csv

ROOT = Path(__file__).resolve().parents[2]
PUSH = {"name": "push", "unit": "N", "low": -1.0, "high": 1.0}


@pytest.mark.parametrize(
    ("unit", "allowed"),
    [
        ("Nm", "spelled in one way, got 'Nm'; allowed: unit: N m"),
        ("m/s2", "allowed: unit: m/s^2"),
        ("Radians", "allowed: unit: rad"),
        ("", 'allowed: unit: "1"'),
        ("rpm", "channels have SI units, got 'rpm'; allowed: unit: rad/s with scale: 0.10472"),
        ("km/h", "allowed: unit: m/s with scale: 0.27778"),
        ("mm", "allowed: unit: m with scale: 0.001"),
        ("%", 'allowed: unit: "1" with scale: 0.01'),
    ],
)
def test_usual_mistakes_are_refused(unit: str, allowed: str):
    for make in (lambda: LogChannel(name="x", unit=unit), lambda: LogAction(name="x", unit=unit, low=-1.0, high=1.0)):
        with pytest.raises(ConfigError) as error:
            make()
        assert allowed in str(error.value)


@pytest.mark.parametrize(
    ("unit", "allowed"), [("m", "unit: m/s, or another kind"), ("N", "unit: N/s, or another"), ("V", "another")]
)
def test_a_velocity_is_per_second(unit: str, allowed: str):
    with pytest.raises(ConfigError, match=f"'v': a velocity has a unit per second, got '{unit}'; allowed: {allowed}"):
        LogChannel(name="v", unit=unit, kind="velocity")


@pytest.mark.parametrize("unit", ["1", "1/s", "Hz", "m/s", "rad/s^2", "N m/s", "furlong"])
def test_other_velocities_may_be(unit: str):
    require_kind("v", unit, "velocity")


def test_every_unit_that_is_known_is_allowed():
    for unit in KNOWN:
        require_si("x", unit)


def test_units_that_nobody_knows_are_named_once_before_and_once_after_the_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    obs = [{"name": "x", "unit": "smoot"}, {"name": "v", "unit": "smoot"}, {"name": "w", "unit": "rad/ss", "column": "v"}]
    (tmp_path / "logs.yaml").write_text(yaml.safe_dump(CART | {"obs": obs}))
    log = write_csv(tmp_path / "log.csv", cart_log([0.1 * i for i in range(10)], [1.0] * 10))

    words = ["data", "import", str(log), "--config", str(tmp_path / "logs.yaml"), "--out", str(tmp_path / "episodes")]
    assert cli.main(words) == 0

    notes = [line for line in capsys.readouterr().out.splitlines() if "none that is known here" in line]
    each = [
        "Note: the unit 'smoot' of 'x' is none that is known here; is it an SI unit?",
        "Note: the unit 'rad/ss' of 'w' is none that is known here (did you mean 'rad/s'?); is it an SI unit?",
    ]
    assert notes == [*each, *each]


def test_a_spec_file_is_checked_too(tmp_path: Path):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({"name": "r", "dt": 0.1, "obs": [{"name": "x", "unit": "deg"}], "action": [PUSH]}))

    with pytest.raises(ConfigError, match=r"spec\.yaml: 'x': .* got 'deg'; allowed: unit: rad, and numbers that are in it"):
        spec_with_si_units(path)


def test_the_robots_of_this_project_have_known_units():
    files = sorted((ROOT / "configs" / "robots").glob("*.yaml"))
    assert files
    for path in files:
        content = yaml.safe_load(path.read_text())
        obs = tuple(Channel(c["name"], c["unit"], c.get("kind", "linear")) for c in content.get("obs", ()))
        action = tuple(ActionChannel(c["name"], c["unit"], -1, 1) for c in content.get("action", ()))
        if obs and action:
            assert list(notes_on_units(RobotSpec(path.stem, 0.1, obs, action))) == []
