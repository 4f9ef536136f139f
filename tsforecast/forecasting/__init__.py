"""What a fitted forecaster is, and what it forecasts from rows."""
