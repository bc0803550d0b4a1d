"""Runs side by side: what differs in their configurations, and what they reach."""
