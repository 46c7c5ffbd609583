"""YAML as people edit it: one object in, with the line of every field, so that a finding can stand beside its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kaiki.console.errors import BadRequest

Object = dict[str, Any]

LARGEST_TEXT_BYTES = 512 * 1024
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_FILLED_IN = ("managedFields", "uid", "creationTimestamp", "generation", "selfLink")
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class YamlProblem(Exception):
    """The text is not YAML of one object; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class Document:
    """One object and the place of its fields."""

    def __init__(self, text: str) -> None:
        import yaml

        if len(text.encode()) > LARGEST_TEXT_BYTES:
            raise BadRequest(f"The text has more than {LARGEST_TEXT_BYTES // 1024} KiB.", "")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            found = list(yaml.compose_all(text, Loader=loader))
            if len(found) != 1:
                raise YamlProblem("Write exactly one object.", 1)
            _refuse_aliases(text)
            value = yaml.load(text, loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise YamlProblem(str(error.problem or "this is not YAML"), (mark.line if mark else 0) + 1) from error
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise YamlProblem(str(error), 1) from error
        if not isinstance(value, dict):
            raise YamlProblem("Write one object: apiVersion, kind, metadata and spec.", 1)
        self._root: Any = found[0]
        self.object: Object = _as_json(value)
        self._check()

    def line_of(self, path: str) -> int:
        """The line of a field such as `spec.http[0].route`; of the nearest parent that is there. Counts from 1."""
        node, line = self._root, self._root.start_mark.line + 1
        for name, index in _STEP.findall(path):
            found = _child(node, name, index)
            if found is None:
                break
            line, node = found
        return int(line)

    def _check(self) -> None:
        for name in ("apiVersion", "kind"):
            if not isinstance(self.object.get(name), str):
                raise YamlProblem(f"`{name}` is missing.", 1)
        metadata = self.object.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            raise YamlProblem("`metadata.name` is missing.", self.line_of("metadata"))


def _refuse_aliases(text: str) -> None:
    """A few lines of nested aliases become gigabytes."""
    import yaml

    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise YamlProblem(
                "Aliases (*name) are not allowed here.", (event.start_mark.line if event.start_mark else 0) + 1
            )


def _child(node: Any, name: str, index: str) -> tuple[int, Any] | None:
    if index and isinstance(node.value, list) and int(index) < len(node.value) and node.id == "sequence":
        child = node.value[int(index)]
        return child.start_mark.line + 1, child
    if name and node.id == "mapping":
        for key, value in node.value:
            if key.value == name:
                return key.start_mark.line + 1, value
    return None


def _as_json(value: Any) -> Any:
    """Dates and the like become text; keys become text."""
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def editable_metadata(metadata: Mapping[str, Any]) -> Object:
    """Metadata as people edit it: without what the API server and kubectl fill in."""
    kept = {key: value for key, value in metadata.items() if key not in (*_FILLED_IN, "resourceVersion", "annotations")}
    annotations = {key: text for key, text in (metadata.get("annotations") or {}).items() if key != LAST_APPLIED}
    return kept | ({"annotations": annotations} if annotations else {})


def write_document(obj: Object, *, status: bool = False) -> str:
    """An object as people edit it: without what the API server fills in."""
    import yaml

    metadata = editable_metadata(obj.get("metadata") or {})
    version = (obj.get("metadata") or {}).get("resourceVersion")
    metadata |= {"resourceVersion": version} if version and status else {}
    order = {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "metadata": metadata}
    rest = {key: value for key, value in obj.items() if key not in (*order, "status")}
    whole = order | rest | ({"status": obj["status"]} if status and obj.get("status") else {})
    return yaml.dump(
        whole,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=110,
    )
