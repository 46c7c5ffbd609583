"""The memo layer, under the name translation's callers know it by."""

from kaiki.model.memo import Memo

__all__ = ["Memo"]
