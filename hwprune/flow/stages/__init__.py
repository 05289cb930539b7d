"""One small file a stage: it ties the recipe to the rooms that do the work. Heavy imports stay inside `run`."""
