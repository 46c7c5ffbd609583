"""PromQL over numpy: every step of a query is evaluated for all series and all points in time at once."""
