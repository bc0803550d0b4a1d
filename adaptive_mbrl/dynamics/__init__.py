"""The dynamics model: normalizer and ensemble."""
