"""HTML pages that need nothing but themselves: one look for reports of trainings, comparisons and benchmarks."""
