"""The report of a training: what each round records for it, and the page that is made of a run folder."""
