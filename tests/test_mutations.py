"""The script that tries mutants needs the tests that it names."""

from __future__ import annotations

from tests.mutations import QUALITY, ROOT, UNIT


def test_the_tests_that_are_put_to_mutants_are_there() -> None:
    assert [name for name in (*QUALITY, *UNIT) if not (ROOT / name).is_file()] == []
