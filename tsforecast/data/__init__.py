"""From a file to windows: reading, time, the frame, splits, scaling. Knows nothing of networks."""
