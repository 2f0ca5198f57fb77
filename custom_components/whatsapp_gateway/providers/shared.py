"""Work that is done once for several who wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


def shared_task[T](work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start work whose failure is nobody's business once nobody waits for it."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


async def outcome_of[T](task: asyncio.Task[T]) -> T:
    """Wait for a task; who stops waiting stops nobody else."""
    await asyncio.wait({task})
    return task.result()
