"""The command line: one file per command, the only place that prints. Imports numpy only inside commands."""
