"""Settings of all tests: repeatable, and one thread unless the caller wants more."""

import gc
import os
import signal
import threading
from collections.abc import Generator

# read when torch is imported; several threads change the last digits and fight with the other test workers
os.environ.setdefault("OMP_NUM_THREADS", "1")
# as `prepare_process` sets it, which in a test comes after torch
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# a shell that starts the tests in its background ignores Ctrl-C for them, and tests that send it to a child would wait for ever
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hypothesis import settings

# derandomize: the same examples on every machine; deadline: a busy machine is no failure
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("repeatable")

# waiting until the disk has everything takes long where much is stored, and no test cuts the power
os.fsync = lambda descriptor: None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Find the tests without collecting garbage, and leave what is there then alone for good.

    These are half a million objects. Looking at them again and again would take a quarter of the time of finding the tests, and
    half a second each time that a test collects garbage.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
