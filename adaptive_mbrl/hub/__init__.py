"""Checkpoints that travel: pushed to and pulled from a folder, an archive, a web server or the Hugging Face Hub.

Nothing that is pulled can run code: it is safetensors, YAML and text. It gets its place only when its hashes are right, it loads,
and it predicts what its canary says.
"""

from adaptive_mbrl.hub.pull import pull_checkpoint
from adaptive_mbrl.hub.push import push_checkpoint

__all__ = ["pull_checkpoint", "push_checkpoint"]
