"""Make the pictures of the README and the docs from what `adaptive-mbrl demo` wrote.

Usage: python benchmarks/make_pictures.py DEMO_FOLDER [PICTURE_FOLDER]

Writes recovery.png, the demo's plot in fewer colours, and demo.gif, the seconds of its video around the change. Both stay small
enough for a repository.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from PIL import Image

from adaptive_mbrl.errors import EXIT_MISTAKE
from adaptive_mbrl.storage import write_bytes_atomically

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "images"
BEGIN, END = 0.45, 0.65
"""Part of the video that is shown, as shares of its length; the demo's change comes at one half."""
EVERY = 2
"""Only every second frame is kept: 10 per second, still in real time."""
WIDTH = 720
"""Width of demo.gif [pixels]."""
COLOURS_OF_PLOT, COLOURS_OF_ANIMATION = 256, 64


def main(demo: Path, pictures: Path) -> None:
    """Write both pictures.

    Args:
        demo: folder with recovery.png and rollout.mp4.
        pictures: folder of the pictures; older ones are replaced.

    Raises:
        FileNotFoundError: the demo wrote no plot or no video.
    """
    plot, video = demo / "recovery.png", demo / "rollout.mp4"
    for file in (plot, video):
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no such file; run `adaptive-mbrl demo` on a machine with a renderer first")
    write_bytes_atomically(pictures / "recovery.png", fewer_colours(plot))
    write_bytes_atomically(pictures / "demo.gif", animation(video))


def fewer_colours(plot: Path) -> bytes:
    """A PNG of the same picture with a palette."""
    content = BytesIO()
    with_palette(Image.open(plot).convert("RGB"), COLOURS_OF_PLOT).save(content, "png", optimize=True)
    return content.getvalue()


def animation(video: Path) -> bytes:
    """A GIF of the part of the video around the change."""
    rate = float(imageio.immeta(video)["fps"])
    frames = imageio.imread(video)
    shown = frames[round(BEGIN * len(frames)) : round(END * len(frames)) : EVERY]
    height = round(WIDTH * shown.shape[1] / shown.shape[2])
    images = [Image.fromarray(frame).resize((WIDTH, height), Image.Resampling.LANCZOS) for frame in shown]
    # one palette for all frames, or colours would flicker
    palette = with_palette(Image.fromarray(np.concatenate([np.asarray(images[0]), np.asarray(images[-1])])), COLOURS_OF_ANIMATION)
    first, *others = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    content = BytesIO()
    first.save(content, "gif", save_all=True, append_images=others, duration=1000 * EVERY / rate, loop=0, optimize=True)
    return content.getvalue()


def with_palette(image: Image.Image, colours: int) -> Image.Image:
    """The image in so many colours, rare ones such as the red of a broken part included."""
    return image.quantize(colours, method=Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        print("usage: make_pictures.py DEMO_FOLDER [PICTURE_FOLDER]", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURES)
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
