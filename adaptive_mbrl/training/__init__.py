"""Meta-training in rounds, whatever its episodes come from: what it is told, what a round leaves on disk, and how it resumes."""
