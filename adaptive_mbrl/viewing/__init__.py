"""Parts of a live page in the browser, which know neither a simulation nor a robot: bars, plots, a table of states, events."""
