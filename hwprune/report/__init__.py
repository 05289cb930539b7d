"""The report of a run, one file that stands alone."""
