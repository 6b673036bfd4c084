"""Uvicorn that lets go of the streams first: else it waits for pages that never hang up."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from dutyroom.api.stream import Hub


class PageServer(uvicorn.Server):
    """Ends every stream when it is told to stop. The configured app is one of `create_app`."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        hub: Hub = self.config.app.state.hub  # type: ignore[union-attr]
        hub.close()
        await super().shutdown(sockets)
        # A page that did not let go in time, and closings that the loop has not carried out yet.
        for connection in list(self.server_state.connections):
            transport: asyncio.Transport | None = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0.05)
