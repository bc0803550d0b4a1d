"""One control step: observe -> adapt -> plan -> act, as a pure function, and what surrounds it."""
