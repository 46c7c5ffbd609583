"""On which line of its object a step's field stands: of the YAML that the editor shows and opens at that line.

What people applied may be laid out otherwise, and the API keeps no layout. `kubectl get -o yaml` has other lines, too:
it adds what the API server fills in.
"""

from __future__ import annotations

from collections.abc import Mapping

from kaiki.console.documents import Document, write_document
from kaiki.console.preview import Inputs
from kaiki.model.finding import ObjectRef
from kaiki.translate.simulation import Step


class StepLines:
    """The lines of fields of some objects, each of which is laid out once."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._documents: dict[ObjectRef, Document | None] = {}

    def line_of(self, step: Step) -> int:
        """From 1; 0 where no object made the step, or it is not known."""
        if step.source is None:
            return 0
        if step.source not in self._documents:
            self._documents[step.source] = _document(self._inputs, step.source)
        document = self._documents[step.source]
        return document.line_of(step.field) if document else 0


def line_of(obj: Mapping[str, object], field: str) -> int:
    """Of a field of one object; 0 for the object as a whole, and for one that is not there (empty)."""
    return Document(write_document(dict(obj))).line_of(field) if obj and field else 0


def _document(inputs: Mapping[tuple[str, str, str], Mapping[str, object]], source: ObjectRef) -> Document | None:
    obj = inputs.get((source.kind, source.namespace, source.name))
    return Document(write_document(dict(obj))) if obj else None
