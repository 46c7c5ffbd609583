"""The composition root: the only place that constructs parts and joins them."""
