"""Settings of all tests: repeatable, and one thread unless the caller wants more."""

import os

# read when torch is imported; several threads change the last digits and fight with the other test workers
os.environ.setdefault("OMP_NUM_THREADS", "1")
# as `prepare_process` sets it, which in a test comes after torch
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from hypothesis import settings

# derandomize: the same examples on every machine; deadline: a busy machine is no failure
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("repeatable")
