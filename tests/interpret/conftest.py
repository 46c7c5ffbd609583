"""Small meshes are described as in the golden cases of translation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "translate"))
