"""The pictures of the README and the docs: made from a demo's files, small, and there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from PIL import Image, ImageSequence

ROOT = Path(__file__).resolve().parent.parent
GREY, RED = (128, 128, 128), (200, 25, 25)


def make_pictures(*arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "make_pictures.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_pictures_are_the_plot_and_the_seconds_around_the_change(tmp_path: Path):
    demo, pictures = tmp_path / "demo", tmp_path / "pictures"
    demo.mkdir()
    frames = np.full((40, 176, 480, 3), GREY, dtype=np.uint8)
    frames[20:, 60:120, 200:280] = RED
    for number, frame in enumerate(frames):
        frame[:40, 10 * number : 10 * number + 40] = 255  # something that moves: equal frames would become one
    imageio.imwrite(demo / "rollout.mp4", frames, fps=20)
    imageio.imwrite(demo / "recovery.png", frames[-1])

    result = make_pictures(demo, pictures)

    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(pictures / "recovery.png") as plot:
        assert np.abs(np.asarray(plot.convert("RGB")).astype(int) - frames[-1]).max() <= 2
    with Image.open(pictures / "demo.gif") as film:
        assert (film.n_frames, film.size, film.info["duration"], film.info["loop"]) == (4, (720, 264), 100, 0)
        centre = [np.asarray(frame.convert("RGB"))[132, 360].astype(int) for frame in ImageSequence.all_frames(film)]
    assert np.array(centre) == pytest.approx(np.array([GREY, RED, RED, RED]), abs=12)


def test_a_demo_without_a_video_is_one_line_and_exit_2(tmp_path: Path):
    (tmp_path / "recovery.png").touch()

    result = make_pictures(tmp_path, tmp_path / "pictures")

    assert result.returncode == 2
    assert re.fullmatch(r"error: \S+rollout\.mp4: no such file; run `adaptive-mbrl demo` .*\n", result.stderr)
    assert not (tmp_path / "pictures").exists()


def shown() -> list[tuple[Path, str, Path]]:
    """Document, alternative text and file of every picture that a document shows."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    found = ((d, *m.groups()) for d in documents for m in re.finditer(r"!\[([^\]]*)\]\(([^)]+)\)", d.read_text(encoding="utf-8")))
    return [(document, text, (document.parent / link).resolve()) for document, text, link in found]


def test_every_picture_that_is_shown_is_there_has_a_text_and_is_small():
    assert {file.name for _, _, file in shown()} == {
        path.name for path in (ROOT / "docs" / "images").rglob("*") if path.is_file()
    }
    for document, text, file in shown():
        assert len(text) > 20, f"{document.name}: {file.name} needs a text for those who cannot see it"
        assert file.stat().st_size < {".png": 300_000, ".gif": 2_000_000, ".svg": 100_000}[file.suffix]


def test_a_page_cannot_be_pictured_without_a_browser(tmp_path: Path):
    (tmp_path / "page.html").write_text("<p>here</p>")
    command = [sys.executable, str(ROOT / "benchmarks" / "screenshot.py"), str(tmp_path / "page.html"), str(tmp_path / "x.png")]

    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)})

    assert done.returncode == 2
    assert done.stderr.startswith("error: no browser is installed; allowed: chromium, ")
    assert not (tmp_path / "x.png").exists()
