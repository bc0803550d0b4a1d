"""Shell completion, asked of a real bash."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adaptive_mbrl.cli import COMMANDS, main
from adaptive_mbrl.errors import EXIT_MISTAKE
from sim.catalog.completion import script_for
from sim.catalog.entries import names_of

BASH = shutil.which("bash")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "adaptive-mbrl.bash"
    path.write_text(script_for("bash"))
    return path


def completed(script: Path, *words: str, folder: Path | None = None) -> set[str]:
    """What bash offers for the last word, in the way that pressing Tab asks for it."""
    assert BASH is not None
    program = f"""
        source {shlex.quote(str(script))}
        read -r _ _ _ _ function _ <<< "$(complete -p adaptive-mbrl)"
        COMP_WORDS=({shlex.join(["adaptive-mbrl", *words])}); COMP_CWORD={len(words)}; COMPREPLY=()
        "$function" adaptive-mbrl {shlex.join(words[-1:])}
        # what `-o default` adds where nothing fits
        [[ ${{#COMPREPLY[@]}} -eq 0 ]] && mapfile -t COMPREPLY < <(compgen -f -- {shlex.join(words[-1:])})
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = subprocess.run([BASH, "-c", program], capture_output=True, text=True, cwd=folder)
    assert result.stderr == ""
    return set(result.stdout.split())


@pytest.mark.skipif(BASH is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["sh"], ["show"]),
        (["data", "im"], ["import", "import-minari", "import-lerobot"]),
        (["list", "r"], ["robots", "rules"]),
        (["completion", "b"], ["bash"]),
        (["call", "es"], ["estop"]),
        (["collect", "--ro"], ["--robot"]),
        (["demo", "--no"], ["--no-video"]),
        (["train", "--config", "cartpole", "--engine", "r"], ["ray"]),
        (["collect", "--robot", "half"], ["half_cheetah", "half_cheetah_cadm"]),
        (["evaluate", "--checkpoint", "cart"], ["cartpole", "cartpole_multitask"]),
        (["train-baseline", "--config", "cartpole_recurrent"], ["cartpole_recurrent_ppo", "cartpole_recurrent_ppo_10x"]),
        (["benchmark", "--suite", "sm"], ["smoke"]),
        (["no-such-command", "--x"], []),
    ],
    ids=" ".join,
)
def test_bash_completes(script: Path, words: list[str], wanted: list[str]):
    assert completed(script, *words) == set(wanted)


@pytest.mark.skipif(BASH is None, reason="there is no bash")
def test_bash_completes_every_command_and_scenario_and_files(script: Path, tmp_path: Path):
    (tmp_path / "mine.yaml").touch()

    assert {command.name.split()[0] for command in COMMANDS} <= completed(script, "")
    assert set(names_of("scenarios")) == completed(script, "evaluate", "--scenario", "")
    assert completed(script, "evaluate", "--scenario", "min", folder=tmp_path) == {"mine.yaml"}
    assert completed(script, "bridge", "--bridge", "min", folder=tmp_path) == {"mine.yaml"}


@pytest.mark.parametrize("shell", ["zsh", "fish", "tcsh"])
def test_other_shells_get_a_script_with_every_command(shell: str):
    script = script_for(shell)

    assert [command.name for command in COMMANDS if command.name.split()[-1] not in script] == []
    assert "half_cheetah_multitask" in script


def test_tcsh_without_its_package_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "shtab", None)

    assert main(["completion", "tcsh"]) == EXIT_MISTAKE
    assert capsys.readouterr() == (
        "",
        "error: completion for tcsh needs the package 'shtab'; pip install 'adaptive-mbrl[tcsh]'\n",
    )
