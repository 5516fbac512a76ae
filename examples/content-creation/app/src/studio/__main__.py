"""``python3 -m studio``: settings from the environment, the server, and its end."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time

from studio.model import ModelServer, Placeholder
from studio.service import Service

_DRAIN_DELAY_SECONDS = 5.0
"""Between "not ready" and the end of listening, so that load balancers have noticed."""


def main() -> int:
    env = os.environ
    keys = [key for key in re.split(r"[,\s]+", env.get("API_KEYS", "")) if key]
    if not keys and env.get("ALLOW_ANONYMOUS") != "true":
        print("studio: API_KEYS is empty; set it, or ALLOW_ANONYMOUS=true to let anybody in", file=sys.stderr)
        return 1
    url, name = env.get("BACKEND_URL", ""), env.get("BACKEND_MODEL", "")
    model = ModelServer(url, name) if url else Placeholder()
    port = int(env.get("PORT", "8000"))
    service = Service(("0.0.0.0", port), model=model, keys=keys, concurrent=int(env.get("MAX_CONCURRENT", "8")))
    service.log(event="started", port=port, model=name or "placeholder")
    drain = float(env.get("DRAIN_SECONDS", "30"))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=_stop, args=(service, drain), daemon=True).start())
    service.serve_forever(poll_interval=0.2)
    service.server_close()
    service.log(event="stopped")
    return 0


def _stop(service: Service, drain_seconds: float) -> None:
    """Stop being ready, stop listening, and cut what still runs when the time is over."""
    service.stopping = True
    delay = min(_DRAIN_DELAY_SECONDS, drain_seconds)
    time.sleep(delay)
    service.shutdown()
    time.sleep(drain_seconds - delay)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
