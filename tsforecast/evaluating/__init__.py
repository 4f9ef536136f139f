"""Forecasts from every cutoff after the training rows, their scores, and what they are worth."""
