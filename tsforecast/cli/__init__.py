"""The command line: one file per command, the only place that prints. Must import quickly: numpy only inside commands."""
