"""Scores of forecasts against actuals: one small class per metric, listed in ``tsforecast.registry.METRICS``."""
