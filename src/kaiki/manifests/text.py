"""Objects as YAML text: the same objects give the same bytes, and what people look for first comes first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml


def write_yaml(objects: Iterable[Mapping[str, Any]]) -> str:
    """One document per object, in the given order of keys (apiVersion, kind, metadata, …), separated by `---`."""
    return "---\n".join(
        yaml.dump(dict(one), Dumper=_Dumper, sort_keys=False, width=120, default_flow_style=False) for one in objects
    )


class _Dumper(yaml.SafeDumper):
    """Without anchors: two objects that share their labels in memory are still two texts."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
