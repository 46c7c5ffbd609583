"""Tables know how they differ, whatever was done to them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kaiki.model.table import Overlay, Table, differences, table_of, updated

keys = st.sampled_from("abcdef")
values = st.integers(1, 3).map(str)
tables = st.dictionaries(keys, values)
changes = st.dictionaries(keys, st.none() | values)


@given(tables, st.lists(changes, max_size=4))
def test_updates_say_what_they_changed(start: dict[str, str], steps: list[dict[str, str | None]]) -> None:
    table, plain = table_of(start), dict(start)
    for step in steps:
        before = table
        table = updated(table, step)
        plain = {key: value for key, value in {**plain, **step}.items() if value is not None}
        assert table == plain and list(table) == sorted(table)
        found = set(differences(before, table))
        assert found == {key for key in {*before, *table} if before.get(key) is not table.get(key)}
        assert set(differences(dict(before), dict(table))) == found
        assert (table is before) == (not found)


@given(st.lists(st.tuples(tables, tables), min_size=1, max_size=4))
def test_an_overlay_is_always_both(history: list[tuple[dict[str, str], dict[str, str]]]) -> None:
    overlay: Overlay[str, str] = Overlay()
    for below, above in history:
        result = overlay.of(table_of(below), above)
        assert isinstance(result, Table) and result == {**below, **above} and list(result) == sorted(result)
