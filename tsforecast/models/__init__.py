"""Networks: pure functions from a window to a forecast, written once over ``ops``. They know no trainer, no torch."""
