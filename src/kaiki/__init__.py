"""Kaiki: a service mesh with its monitor built in."""

__version__ = "0.1.0"
