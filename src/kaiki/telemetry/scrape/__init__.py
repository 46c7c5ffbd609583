"""Finding targets and reading them: who, how often, and what becomes of the lines."""
