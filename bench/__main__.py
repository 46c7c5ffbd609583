"""`python -m bench [NAME ...]`: run the named benchmarks, or all; `--list` says what there is.

Each prints its table. Nothing is asserted; nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time

BENCHMARKS = {
    "demo": "start-up, memory, changes in force, idle processor time of `kaiki demo` (3 min)",
    "throughput": "requests per second through gateway and sidecars, against static Envoys (3 min)",
    "telemetry": "what telemetry costs a pair of sidecars per request: on against off (6 min)",
    "ingest": "what a scrape costs the metrics store (15 s)",
    "prometheus": "the metrics store beside Debian's Prometheus: queries and memory (4 min)",
    "kubernetes": "what the embedded Kubernetes API costs (30 s)",
    "discovery": "what the control plane costs: first snapshot, one change, growth (1 min)",
    "promql": "how long queries take (15 s)",
    "graph_api": "how fast the graph of a large mesh is told (1 min)",
    "console": "how soon a large graph can be used; needs Chromium (1 min)",
}


def main() -> None:
    """Run what the command line names."""
    listing = "\n".join(f"  {name:<11} {what}" for name, what in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        "python -m bench", epilog=f"benchmarks:\n{listing}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; all when none is given")
    parser.add_argument("--list", action="store_true", help="say what there is")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}\n{listing}")
    if given.list:
        print(listing)
        return
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, load before: {load:.2f}")
    for name in given.names or BENCHMARKS:
        started = time.perf_counter()
        print(f"\n=== {name}: {BENCHMARKS[name]}", flush=True)
        sys.argv = [f"bench/{name}.py"]  # Some read options of their own when they are run by themselves.
        try:
            importlib.import_module(f"bench.{name}").main()
        except (SystemExit, ImportError) as error:
            print(f"not run: {error}")
        print(f"({time.perf_counter() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
