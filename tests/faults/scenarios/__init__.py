"""Every scenario by its name in the table of faults."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.gateways.machine import State

from .account import Environment, PhoneNumber, Poll, Push, Setup
from .actions import (
    Button,
    CreateInstance,
    DeleteInstance,
    Picture,
)
from .dialogs import (
    BoundInstance,
    Credentials,
    FlowCreate,
    OptionsCreate,
    Reauth,
    Reconfigure,
    Restart,
    Webhook,
)
from .messages import ListChats, Recipient, SendMessage, SendToNew
from .pairing import (
    Engine,
    FlowLink,
    OptionsLink,
    OptionsLinked,
    RepairLink,
    RepairLinked,
)
from .scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIOS: dict[str, Callable[[Environment, str], Scenario]] = {
    "setup": Setup,
    "poll": Poll,
    "push": Push,
    "phone_number": PhoneNumber,
    "button_connect": partial(Button, action="connect", state=State.STOPPED),
    "button_disconnect": partial(Button, action="disconnect", state=State.CONNECTED),
    "button_restart": partial(Button, action="restart", state=State.FAILED),
    "button_logout": partial(Button, action="logout", state=State.CONNECTED),
    "image": Picture,
    "create_instance": CreateInstance,
    "delete_instance": DeleteInstance,
    "send": SendMessage,
    "send_new": SendToNew,
    "list_chats": ListChats,
    "number": Recipient,
    "flow_credentials": Credentials,
    "flow_instance": BoundInstance,
    "flow_create": FlowCreate,
    "flow_start": partial(FlowLink, starts=True),
    "flow_scan": partial(FlowLink, starts=False),
    "reauth": Reauth,
    "reconfigure": Reconfigure,
    "options_create": OptionsCreate,
    "options_start": partial(OptionsLink, starts=True),
    "options_scan": partial(OptionsLink, starts=False),
    "webhook_on": partial(Webhook, on=True),
    "webhook_off": partial(Webhook, on=False),
    "options_finish": partial(OptionsLinked, starts=False),
    "repair_restart": Restart,
    "repair_start": partial(RepairLink, starts=True),
    "repair_scan": partial(RepairLink, starts=False),
    "repair_finish": partial(RepairLinked, starts=False),
}
ENGINE = {
    "engine_start": partial(Engine, starts=True),
    "engine_scan": partial(Engine, starts=False),
}

__all__ = ["ENGINE", "SCENARIOS", "Environment", "Scenario"]
