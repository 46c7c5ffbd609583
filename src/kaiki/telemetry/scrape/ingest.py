"""What becomes of one answer of one target: samples, births, stale markers.

Counter births. A counter that appears between two scrapes was zero at the first of them, and `rate` and `increase`
need to see that zero or they lose the requests that made it. So a zero is written at the time of the scrape before
(or at the start of the process, when that is later), as Prometheus does from created timestamps. Nothing else is ever
made up: after a gap in our own knowledge (first sight of an old process) there is no zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kaiki.telemetry.arrays import STALE, FloatArray, IdArray
from kaiki.telemetry.errors import ExpositionError, ScrapeError
from kaiki.telemetry.exposition import Declarations, ExemplarText, SampleLine, parse_sample, split_exemplar
from kaiki.telemetry.matchers import NAME
from kaiki.telemetry.scrape.targets import Target
from kaiki.telemetry.store.exemplars import Exemplar
from kaiki.telemetry.store.series import SeriesStore

LOOKBACK_MS = 300_000
_IGNORED = -1
_REPORTS = ("up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling")
_NO_IDS: IdArray = np.zeros(0, np.int32)


@dataclass(slots=True)
class _Lines:
    """One answer: samples at the scrape's time, and those that carry a time of their own."""

    ids: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    timed: list[tuple[int, int, float]] = field(default_factory=list)
    exemplars: list[tuple[int, ExemplarText]] = field(default_factory=list)
    open_metrics: bool = False


@dataclass(frozen=True, slots=True)
class SampleRules:
    """How samples are labelled, timed and bounded; 0 is no bound. A sample out of bounds fails the whole scrape.

    `honor_labels`: a sample's own label wins over the target's. `honor_timestamps`: a sample's own time counts.
    """

    label_limit: int = 0
    label_name_length_limit: int = 0
    label_value_length_limit: int = 0
    honor_labels: bool = False
    honor_timestamps: bool = True


class TargetIngest:
    """State of one target between scrapes. `known` maps a hash of the text before a number to the id of its series.

    The texts themselves, a kilobyte each in a mesh, would be most of the process's memory.
    """

    def __init__(self, store: SeriesStore, target: Target, sample_limit: int, rules: SampleRules | None = None) -> None:
        self.target = target
        self._rules = rules or SampleRules()
        self._store = store
        self._sample_limit = sample_limit
        self._generation = store.generation
        self._known: dict[int, int] = {}
        self._declarations = Declarations()
        self._present: IdArray | None = None
        self._previous_ms = 0
        self._stale = False
        self._reports: IdArray | None = None

    def accept(self, text: str, time_ms: int, duration_seconds: float) -> int:
        """Stores a successful scrape and returns its number of samples. Raises ExpositionError, ScrapeError."""
        self._check_generation()
        lines = self._read(text)
        ids, values = _distinct(lines.ids, lines.values)
        before = self._present
        same = before is not None and len(before) == len(ids) and bool((before == ids).all())
        if not same:
            self._start_counters(ids, before, time_ms)
        elif self.target.started_ms > self._previous_ms > 0:
            self._start_counters(ids, _NO_IDS, time_ms)
        self._store.append(time_ms, ids, values)
        if before is not None and not same and not self._stale:
            self._end(np.setdiff1d(before, ids), time_ms)
        for own_ms, series_id, value in lines.timed:
            self._store.append(own_ms, np.array([series_id], np.int32), np.array([value]))
        for series_id, found in lines.exemplars:
            own = time_ms if found.time_ms is None else found.time_ms
            owner = tuple(sorted(self._store.labels_of(series_id).items()))
            exemplar = Exemplar(found.labels, found.value, own)
            self._store.exemplars.add(owner, exemplar, timed=found.time_ms is not None)
        self._present, self._previous_ms, self._stale = ids, time_ms, False
        self._report(time_ms, True, duration_seconds, len(ids) + len(lines.timed))
        return len(ids) + len(lines.timed)

    def fail(self, time_ms: int, duration_seconds: float) -> None:
        """Stores a failed scrape: every series of the target is stale until it answers again."""
        self._check_generation()
        if self._present is not None and not self._stale:
            self._end(self._present, time_ms)
            self._stale = True
        self._report(time_ms, False, duration_seconds, 0)

    def leave(self, time_ms: int) -> None:
        """The target is gone: its series end here."""
        self._check_generation()
        if self._present is not None and not self._stale:
            self._end(self._present, time_ms)
        if self._reports is not None:
            self._end(self._reports[self._reports >= 0], time_ms)
        self._present = self._reports = None

    def metadata(self) -> dict[str, tuple[str, str]]:
        """metric → (type, help) as the target has declared them."""
        declared = self._declarations
        return {name: (kind, declared.helps.get(name, "")) for name, kind in declared.types.items()}

    # ---- inside

    def _read(self, text: str) -> _Lines:
        lines = _Lines(open_metrics=text.endswith(("# EOF\n", "# EOF")))
        add_id, add_value, known = lines.ids.append, lines.values.append, self._known.get
        for line in text.split("\n"):
            if lines.open_metrics and " # {" in line:
                self._read_with_exemplar(line, lines)
                continue
            before, _, number = line.rpartition(" ")
            found = known(hash(before))
            if found is None:
                self._read_new(line, before, lines)
            elif found >= 0:
                add_id(found)
                try:
                    add_value(float(number))
                except ValueError:
                    raise ExpositionError(line, f"{number!r} is not a number") from None
        if len(lines.ids) + len(lines.timed) > self._sample_limit:
            raise self._too_many()
        if len(self._known) > 2 * len(lines.ids) + 4096:
            self._known.clear()
        return lines

    def _read_with_exemplar(self, line: str, lines: _Lines) -> None:
        sample, exemplar = split_exemplar(line)
        count, timed = len(lines.ids), len(lines.timed)
        before, _, number = sample.rpartition(" ")
        found = self._known.get(hash(before), _IGNORED)
        if found >= 0:
            lines.ids.append(found)
            try:
                lines.values.append(float(number))
            except ValueError:
                raise ExpositionError(line, f"{number!r} is not a number") from None
        else:
            self._read_new(sample, before, lines)
        if exemplar is None:
            return
        if len(lines.ids) > count:
            lines.exemplars.append((lines.ids[-1], exemplar))
        elif len(lines.timed) > timed:
            lines.exemplars.append((lines.timed[-1][1], exemplar))

    def _read_new(self, line: str, before: str, lines: _Lines) -> None:
        if not line or line.isspace():
            return
        if line[0] == "#":
            self._declarations.read(line)
            self._known[hash(before)] = _IGNORED
            return
        if len(lines.ids) >= self._sample_limit:
            raise self._too_many()
        sample = parse_sample(line, open_metrics=lines.open_metrics)
        series_id = self._series(sample)
        if series_id is None:
            return
        if sample.time_ms is not None and not self._rules.honor_timestamps:
            lines.ids.append(series_id)
            lines.values.append(sample.value)
            return
        if sample.time_ms is not None:
            lines.timed.append((sample.time_ms, series_id, sample.value))
            return
        self._known[hash(before)] = series_id
        lines.ids.append(series_id)
        lines.values.append(sample.value)

    def _series(self, sample: SampleLine) -> int | None:
        """Labels of the target win; a sample's own label of the same name is kept as `exported_…`."""
        labels = dict(self.target.labels)
        for name, value in sample.labels:
            if self._rules.honor_labels:
                labels[name] = value
            else:
                labels[f"exported_{name}" if name in labels and value else name] = value or labels.get(name, "")
        labels[NAME] = sample.name
        self._check_labels(labels)
        declared = self._declarations
        family = sample.name if sample.name in declared.types else sample.name.rpartition("_")[0]
        if family in declared.types:
            self._store.metadata[family] = (declared.types[family], declared.helps.get(family, ""))
        return self._store.series_id(labels.items(), counter=declared.is_counter(sample.name))

    def _too_many(self) -> ScrapeError:
        return ScrapeError(
            f"{self.target.url} answers more than {self._sample_limit} samples: raise the limit or expose less"
        )

    def _check_labels(self, labels: dict[str, str]) -> None:
        rules = self._rules
        if rules.label_limit and len(labels) > rules.label_limit:
            raise ScrapeError(f"{labels[NAME]} has {len(labels)} labels, more than label_limit {rules.label_limit}")
        for name, value in labels.items():
            if rules.label_name_length_limit and len(name) > rules.label_name_length_limit:
                raise ScrapeError(f"{labels[NAME]}: {name[:40]!r} is longer than label_name_length_limit")
            if rules.label_value_length_limit and len(value) > rules.label_value_length_limit:
                raise ScrapeError(f"{labels[NAME]}: the value of {name!r} is longer than label_value_length_limit")

    def _start_counters(self, ids: IdArray, before: IdArray | None, time_ms: int) -> None:
        """Writes the zeros of the counters among `ids` that were not there `before` (None: first sight)."""
        born = self._store.are_counters(ids if before is None else np.setdiff1d(ids, before))
        if not len(born):
            return
        last = self._store.last_times_ms(born)
        started_ms = self.target.started_ms
        if before is not None:
            zero_ms = max(self._previous_ms, started_ms)
            self._zero(zero_ms, born[last < zero_ms], time_ms)
            self._zero(zero_ms + 1, born[last == zero_ms], time_ms)
            return
        seen_ms = self._store.last_time_ms(int(self._report_ids()[0]))
        if started_ms > seen_ms:
            self._zero(started_ms, born[last < started_ms], time_ms)
        else:
            self._zero(seen_ms, born[last < 0], time_ms)

    def _zero(self, zero_ms: int, ids: IdArray, time_ms: int) -> None:
        if len(ids) and max(0, time_ms - LOOKBACK_MS) < zero_ms < time_ms:
            self._store.append(zero_ms, ids, np.zeros(len(ids)))

    def _end(self, ids: IdArray, time_ms: int) -> None:
        if len(ids):
            self._store.append(time_ms, ids, np.repeat(STALE, len(ids)))

    def _report(self, time_ms: int, up: bool, duration_seconds: float, samples: int) -> None:
        values: FloatArray = np.array([float(up), duration_seconds, float(samples), float(samples)])
        ids = self._report_ids()
        self._store.append(time_ms, ids[ids >= 0], values[ids >= 0])

    def _report_ids(self) -> IdArray:
        if self._reports is None:
            made = [self._store.series_id([*self.target.labels, (NAME, name)]) for name in _REPORTS]
            self._reports = np.array([-1 if i is None else i for i in made], np.int32)
        return self._reports

    def _check_generation(self) -> None:
        """Retention may have given ids away that this target once used: then look every line up anew."""
        if self._generation != self._store.generation:
            self._generation = self._store.generation
            self._known.clear()
            self._reports = None


def _distinct(ids: list[int], values: list[float]) -> tuple[IdArray, FloatArray]:
    """Ids ascending; of a line that is there twice the last one counts."""
    all_ids, all_values = np.array(ids, np.int32), np.array(values, np.float64)
    order = np.argsort(all_ids, kind="stable")
    all_ids, all_values = all_ids[order], all_values[order]
    if len(all_ids) > 1:
        last_of_its_kind = np.append(all_ids[1:] != all_ids[:-1], True)
        if not last_of_its_kind.all():
            return all_ids[last_of_its_kind], all_values[last_of_its_kind]
    return all_ids, all_values
