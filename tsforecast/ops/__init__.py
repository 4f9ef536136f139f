"""The array operations that a network may use, on NumPy and on torch."""
