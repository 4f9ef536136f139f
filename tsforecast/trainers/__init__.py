"""Optimisation procedures: generators that improve parameters. They know no model, do no I/O and print nothing."""
