"""The example's application can be imported, as in its container."""

from __future__ import annotations

import sys

from tests.examples.studio_support import SOURCE

sys.path.insert(0, str(SOURCE))
