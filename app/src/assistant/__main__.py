"""``python3 -m assistant``: run the application.

Exit codes: 0 stopped in order, 1 a setting is wrong, 2 the machine is.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from assistant import logs, service
from assistant.backend import Backend
from assistant.connection import guarded_protocol
from assistant.drain import Drain, DrainingServer
from assistant.presets import Preset, load_preset
from assistant.settings import BUILTIN, Settings, SettingsError

if TYPE_CHECKING:
    from assistant.llama import LlamaServer

__all__ = ["main"]


def main() -> int:
    """Read the environment, start, and run until a signal comes."""
    try:
        settings = Settings.from_env()
        preset = load_preset(settings.preset, Path(settings.preset_file) if settings.preset_file else None)
    except SettingsError as error:
        return _refuse(error.problems, status=1)
    except ValueError as error:
        return _refuse([f"PRESET: {error}"], status=1)
    logs.configure(settings.log_level)
    try:
        engine = _start_engine(settings)
    except OSError as error:
        return _refuse([f"BUILTIN_MODEL_PATH: {error}"], status=2)
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(_serve(settings, preset, engine))


def _start_engine(settings: Settings) -> LlamaServer | None:
    """The model inside the image, when it is what answers."""
    if settings.backend_url != BUILTIN:
        return None
    # Imported only here: 100 MB that an application with a model server of its own never needs.
    from assistant import llama

    return llama.start(llama.LlamaOptions(model_path=Path(settings.builtin_model_path)))


async def _serve(settings: Settings, preset: Preset, engine: LlamaServer | None) -> int:
    backend = Backend(
        url=engine.listening_address if engine else settings.backend_url,
        model="" if engine else settings.backend_model,
        api_key="" if engine else settings.backend_api_key,
        connect_seconds=settings.backend_connect_seconds,
        silence_seconds=settings.backend_silence_seconds,
        connection_seconds=settings.backend_connection_seconds,
    )
    drain = Drain()
    app = service.build(settings, preset=preset, drain=drain, backend=backend, builtin=engine is not None)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # Later than the application's own limit on a body, which answers with an error before the connection is cut.
        http=guarded_protocol(
            read_seconds=settings.client_read_seconds + 3, write_seconds=settings.client_write_seconds
        ),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=1,
    )
    server = DrainingServer(
        config, drain=drain, delay_seconds=settings.drain_delay_seconds, total_seconds=settings.drain_seconds
    )
    try:
        await server.serve()
    finally:
        await backend.close()
    return 0


def _refuse(problems: list[str], *, status: int) -> int:
    for problem in problems:
        print(f"assistant: {problem}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
