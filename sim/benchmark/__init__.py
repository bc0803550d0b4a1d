"""Many evaluations at once: which methods are compared on which scenarios, run so that it can be interrupted, and reported."""
