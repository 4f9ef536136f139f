"""The search for settings: what may be tried, how a candidate is judged, and NSGA-II over both."""
