"""The launcher as the tests start it: `node_process.py <home> <case> [service port of the forward]`."""

import asyncio
import sys
from pathlib import Path

from kaiki.runtime.launcher import Forward, NodeSettings, run_node


def settings(home: Path, case: str) -> NodeSettings:
    scenarios = str(Path(__file__).with_name("scenarios.py"))
    images = home / "test-images.yaml"
    home.mkdir(parents=True, exist_ok=True)
    images.write_text("- image: test/host\n- {image: test/envoy, privileged: true}\n")
    return NodeSettings(
        home=home,
        python=sys.executable,
        image_maps=(home / "images.yaml", images),
        image_places={"python": sys.executable},
        forwards=(Forward("web", "default", "web", 8080),),
        supervisor_arguments=(sys.executable, scenarios, case),
    )


if __name__ == "__main__":
    raise SystemExit(asyncio.run(run_node(settings(Path(sys.argv[1]), sys.argv[2]))))
