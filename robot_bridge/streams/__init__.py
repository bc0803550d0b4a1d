"""What a running bridge publishes, and what one has recorded, in the tools Foxglove and Rerun."""
