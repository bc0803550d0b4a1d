"""Meta-training in simulation: rounds of collecting and fitting, resumable after each."""
