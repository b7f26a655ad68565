"""Starts the service: `python -m immich_ml`."""

import logging
import socket

import uvicorn
from uvicorn.supervisors import Multiprocess

from . import settings

levels = {"verbose": "debug", "log": "info", "warn": "warning"}
level = levels.get(settings.log_level, settings.log_level)
logging.basicConfig(level=level.upper(), format="%(levelname)s %(name)s: %(message)s")

config = uvicorn.Config(
    "immich_ml.main:app", workers=settings.workers, log_level=level, log_config=None
)
server = uvicorn.Server(config)

# asyncio would bind "::" for IPv6 alone; the service is reached over IPv4.
if ":" in settings.host:
    listening = socket.create_server(
        (settings.host, settings.port), family=socket.AF_INET6, dualstack_ipv6=True
    )
else:
    listening = socket.create_server((settings.host, settings.port))

if settings.workers > 1:
    Multiprocess(config, target=server.run, sockets=[listening]).run()
else:
    server.run(sockets=[listening])
