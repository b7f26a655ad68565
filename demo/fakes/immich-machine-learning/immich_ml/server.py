"""Serves, in the place of gunicorn: requests under way are answered after SIGTERM."""

import logging
import socket

import uvicorn
from uvicorn.supervisors import Multiprocess

from . import settings


def listen() -> socket.socket:
    address = (settings.host, settings.port)
    if ":" not in settings.host:
        return socket.create_server(address)
    # asyncio would bind "::" for IPv6 alone; the service is reached over IPv4.
    return socket.create_server(address, family=socket.AF_INET6, dualstack_ipv6=True)


def main() -> None:
    levels = {"verbose": "debug", "log": "info", "warn": "warning"}
    level = levels.get(settings.log_level, settings.log_level)
    logging.basicConfig(level=level.upper(), format="%(levelname)s %(name)s: %(message)s")
    config = uvicorn.Config(
        "immich_ml.main:app", workers=settings.workers, log_level=level, log_config=None
    )
    server = uvicorn.Server(config)
    if settings.workers > 1:
        Multiprocess(config, target=server.run, sockets=[listen()]).run()
    else:
        server.run(sockets=[listen()])


if __name__ == "__main__":
    main()
