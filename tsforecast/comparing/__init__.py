"""Comparing models: who takes part, the folds they share, their ranking."""
