"""Problems are values: what is wrong, where, why, and the way out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters; `ERROR` means that the named part is not in force."""

    ERROR = "Error"
    WARNING = "Warning"
    INFO = "Info"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """The API object something is about. `namespace` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one object.

    `code` is stable (`KAI0101`), `path` is the field (`spec.http[0].route[0].destination.host`), `message` says what is
    wrong and why, `hint` what to do about it.
    """

    code: str
    severity: Severity
    resource: ObjectRef
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.resource}: {self.path}" if self.path else str(self.resource)
        return f"{where}: {self.message}" + (f" {self.hint}" if self.hint else "") + f" [{self.code}]"
