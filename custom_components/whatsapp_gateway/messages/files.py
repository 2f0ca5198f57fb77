"""Keep the files of messages in memory: only those that are needed now."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..providers.messages import MAX_MEDIA
from ..texts import failed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from homeassistant.core import HomeAssistant

    from ..providers.messages import Media

MAX_BYTES: Final = 64 * 1024 * 1024
"""Number of bytes of the files of all accounts together."""

LOAD_SECONDS: Final = 60
"""How long a file may take to be loaded."""


@dataclass(eq=False, kw_only=True)
class MessageFile:
    """A file that goes to one or more chats."""

    load: Callable[[], Awaitable[Media]]
    """Raises a translated error."""
    media: Media | None = None
    """None as long as it isn't loaded."""
    error: HomeAssistantError | None = None
    """Why it can't be loaded."""
    users: int = 0
    """Number of messages and links that need it now."""
    is_over: bool = False
    """Whether no other message will need it."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def size(self) -> int:
        """Number of bytes in memory."""
        return len(self.media.content or b"") if self.media else 0


class Files:
    """The files that are in memory."""

    def __init__(self) -> None:
        """Have no file yet."""
        self._loaded: list[MessageFile] = []
        self._being_loaded = 0
        self._linked = 0
        """Number of bytes of the files that gateways may still fetch."""
        self._released = asyncio.Event()

    @property
    def size(self) -> int:
        """Number of bytes in memory; a file that is being loaded has the most."""
        loaded = sum(file.size for file in self._loaded)
        return loaded + self._being_loaded * MAX_MEDIA

    @asynccontextmanager
    async def file(
        self, load: Callable[[], Awaitable[Media]]
    ) -> AsyncGenerator[MessageFile]:
        """Provide a file to messages, which load it when their turn comes."""
        file = MessageFile(load=load)
        try:
            yield file
        finally:
            file.is_over = True
            self._tidy(file)

    @asynccontextmanager
    async def using(self, file: MessageFile) -> AsyncGenerator[Media]:
        """Provide the content of a file to one message; raises a translated error."""
        self.hold(file)
        try:
            async with file.lock:
                media = file.media or await self._async_load(file)
            yield media
        finally:
            self.release(file)

    async def async_hold_for_link(self, file: MessageFile) -> Callable[[], None]:
        """Keep a file in memory until it is fetched; return what releases it.

        Gateways may take minutes to fetch files, so these have half of the room.
        """
        while self._linked and self._linked + file.size > MAX_BYTES // 2:
            self._released.clear()
            await self._released.wait()
        size = file.size
        self._linked += size
        self.hold(file)

        @callback
        def release() -> None:
            self._linked -= size
            self.release(file)

        return release

    @callback
    def hold(self, file: MessageFile) -> None:
        """Keep a file in memory until it is released."""
        file.users += 1

    @callback
    def release(self, file: MessageFile) -> None:
        """Let a file go if nobody else needs it."""
        file.users -= 1
        self._tidy(file)

    def _tidy(self, file: MessageFile) -> None:
        if file.is_over and not file.users:
            self._unload(file)
        self._released.set()

    def _unload(self, file: MessageFile) -> None:
        file.media = None
        if file in self._loaded:
            self._loaded.remove(file)

    async def _async_load(self, file: MessageFile) -> Media:
        """Load a file as soon as there is room for it."""
        if file.error is not None:
            raise file.error
        while self.size + MAX_MEDIA > MAX_BYTES:
            if not self._make_room():
                self._released.clear()
                await self._released.wait()
        self._being_loaded += 1
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                file.media = media = await file.load()
        except TimeoutError as err:
            file.error = failed("media_unavailable", message=f"{LOAD_SECONDS} s")
            raise file.error from err
        except HomeAssistantError as err:
            file.error = err
            raise
        finally:
            self._being_loaded -= 1
            self._released.set()
        self._loaded.append(file)
        return media

    def _make_room(self) -> bool:
        """Unload a file that later messages will load again; return if there is one."""
        idle = next((file for file in self._loaded if not file.users), None)
        if idle is not None:
            self._unload(idle)
        return idle is not None


FILES: HassKey[Files] = HassKey(f"{DOMAIN}_files")


@callback
def async_files(hass: HomeAssistant) -> Files:
    """Return the files of all accounts."""
    return hass.data.setdefault(FILES, Files())
