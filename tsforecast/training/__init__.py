"""From a table and options to a fitted forecaster."""
