"""API objects as users write them: parse, default, validate. Kubernetes' own kinds stay plain dicts (`core`)."""
