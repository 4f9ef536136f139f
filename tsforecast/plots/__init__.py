"""Figures of an evaluation; the only modules that import matplotlib. Each has ``draw(f, history) -> Figure``.

``tsforecast.registry.PLOTS`` lists them; ``tsforecast.plots.save`` writes them.
"""
