"""Benchmarks: what the mesh costs and how long it takes, as tables. `python -m bench` runs them all."""
