"""`python -m kaiki` is the `kaiki` command."""

import sys

from kaiki.cli.main import main

sys.exit(main())
