"""Stages in order, the run folder they write to, and what makes a run go on where it stopped."""
