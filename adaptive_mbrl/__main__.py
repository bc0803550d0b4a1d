"""Makes `python -m adaptive_mbrl` the same as `adaptive-mbrl`."""

import sys

from adaptive_mbrl.cli import main

sys.exit(main())
