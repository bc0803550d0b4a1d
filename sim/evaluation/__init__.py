"""Arms side by side on the same episodes: figures with intervals, tables, plots and videos."""
