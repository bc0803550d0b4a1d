"""Colours of live pages, legible on white and on black; most are those of Okabe and Ito (2008), for colour-blind people."""

ESTIMATE = "#0072B2"
TRUTH = "#D55E00"
GOOD = "#009E73"
WARNING = "#E69F00"
BAD = "#D62728"
NEUTRAL = "#888888"
LEVELS = {"good": GOOD, "warning": WARNING, "bad": BAD}
"""Colours of what is more than `normal`, whose colour depends on where it stands."""


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of a colour, each 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
