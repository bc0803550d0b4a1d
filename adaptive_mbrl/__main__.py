"""`python -m adaptive_mbrl` is `adaptive-mbrl`."""

import sys

from adaptive_mbrl.cli import main

sys.exit(main())
