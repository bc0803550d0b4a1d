"""The checkpoints that come with the package."""

from __future__ import annotations

from adaptive_mbrl.checkpoint import DESCRIPTION_FILE, find_checkpoint

SHIPPED = sorted(description.parent.name for description in find_checkpoint("cartpole").parent.glob(f"*/{DESCRIPTION_FILE}"))
ADAPTIVE = [name for name in SHIPPED if not name.endswith("_multitask")]
"""Those that adapt; the others are trained without adaptation, for comparisons."""
