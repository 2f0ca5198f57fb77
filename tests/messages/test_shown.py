"""What WhatsApp shows becomes an event, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import homeassistant.components.hassio  # noqa: F401  not importable in frozen time

from tests.harness.facts import SUPPORTED, needs

if TYPE_CHECKING:
    from tests.harness.clock import Clock
    from tests.harness.receiving import Receiving

SOON = 0.5
"""Seconds until a message is shown, at most."""
SECRET = {"encPayload": "mFt=", "encIv": "40w="}
IMAGE = {"imageMessage": {"mimetype": "image/jpeg", "caption": "hi"}}
TEXT = {"extendedTextMessage": {"text": "hi"}}
ANSWER = {"contextInfo": {"stanzaId": "3EB0F1"}}
GO_ANSWER = {"contextInfo": {"stanzaID": "3EB0F1"}}

SILENT: list[dict[str, Any]] = [
    # a change of another message
    {"secretEncryptedMessage": SECRET | {"secretEncType": 2}, "messageContextInfo": {}},
    {"secretEncryptedMessage": SECRET | {"secretEncType": "MESSAGE_EDIT"}},
    {"editedMessage": {"message": {"protocolMessage": {"type": 14}}}},
    {"protocolMessage": {"type": "REVOKE"}},
    {"protocolMessage": {"type": 0}, "messageContextInfo": {}},
    {"encEventResponseMessage": SECRET},
    {"encReactionMessage": SECRET},
    {"encCommentMessage": SECRET},
    {"pollUpdateMessage": {"vote": SECRET}},
    {"pollAddOptionMessage": {"pollOption": {"optionName": "x"}}},
    {"pollResultSnapshotMessage": {"name": "Pizza?"}},
    {"pinInChatMessage": {"type": 1}},
    {"keepInChatMessage": {"keepType": 1}},
    {"scheduledCallEditMessage": {"editType": 1}},
    {"cancelPaymentRequestMessage": {"key": {"id": "3A00"}}},
    {"declinePaymentRequestMessage": {"key": {"id": "3A00"}}},
    # a call, a key, an entry of the system
    {"call": {"callKey": "MDAx"}},
    {"bcallMessage": {"sessionId": "x"}},
    {"callLogMesssage": {"isVideo": False}},
    {"senderKeyDistributionMessage": {"groupId": "1203@g.us"}},
    {"fastRatchetKeySenderKeyDistributionMessage": {"groupId": "1203@g.us"}},
    {"stickerSyncRmrMessage": {"filehash": ["x"]}},
    {"messageHistoryNotice": {}},
    {"messageHistoryBundle": {"mimetype": "x"}},
    {"placeholderMessage": {"type": 0}},
    {"requestPhoneNumberMessage": {}},
    {"statusNotificationMessage": {"type": 1}},
    {"limitSharingMessage": {"sharingLimited": True}},
    {"aMessageOfTheFuture": {"text": "hi"}},
    {"messageContextInfo": {}},
    {},
    # the pictures of an album are messages of their own
    {"albumMessage": {"expectedImageCount": 3}, "messageContextInfo": {}},
    # a better version of a picture or video that was shown before
    *(
        {
            "associatedChildMessage": {"message": {"imageMessage": {}}},
            "messageContextInfo": {"messageAssociation": {"associationType": one}},
        }
        for one in (5, 10, 12, 19, "HD_IMAGE_DUAL_UPLOAD")
    ),
    {
        "videoMessage": {"mimetype": "video/mp4"},
        "messageContextInfo": {"messageAssociation": {"associationType": 5}},
    },
    # nothing to see
    {"conversation": ""},
    {"conversation": None},
    {"conversation": "   "},
    {"conversation": "\n\t"},
    {"conversation": "\u200e"},
    {"conversation": "\u2800\u3164\ufe0f"},
    {"extendedTextMessage": {"text": ""}},
    {"extendedTextMessage": {"text": "\u200b \u2060"}},
    {"ephemeralMessage": {"message": {"protocolMessage": {"type": 3}}}},
    {"ephemeralMessage": {"message": {"albumMessage": {}}}},
    {"viewOnceMessageV2": {}},
]


def inside(wrapper: str, message: dict[str, Any] = TEXT) -> dict[str, Any]:
    """Return a message in one that only wraps it."""
    return {wrapper: {"message": message}, "messageContextInfo": {}}


SHOWN: list[tuple[dict[str, Any], str, str, str | None]] = [
    ({"conversation": "hi"}, "text", "hi", None),
    ({"conversation": " hi "}, "text", " hi ", None),
    ({"extendedTextMessage": {"text": "hi", **ANSWER}}, "text", "hi", "3EB0F1"),
    (
        {"buttonsResponseMessage": {"selectedDisplayText": "Yes", **ANSWER}},
        "text",
        "Yes",
        "3EB0F1",
    ),
    (
        {"buttonsResponseMessage": {"Response": {"SelectedDisplayText": "Yes"}}},
        "text",
        "Yes",
        None,
    ),
    (
        {
            "listResponseMessage": {
                "title": "Close the blinds",
                "description": "all rooms",
                "singleSelectReply": {"selectedRowID": "blinds"},
                **GO_ANSWER,
            }
        },
        "text",
        "Close the blinds",
        "3EB0F1",
    ),
    (
        {"templateButtonReplyMessage": {"selectedDisplayText": "Yes"}},
        "text",
        "Yes",
        None,
    ),
    (
        {
            "interactiveResponseMessage": {
                "body": {"text": "Yes"},
                "nativeFlowResponseMessage": {"paramsJson": '{"id":"yes"}'},
            }
        },
        "text",
        "Yes",
        None,
    ),
    (
        {"templateMessage": {"hydratedTemplate": {"hydratedContentText": "Parcel"}}},
        "text",
        "Parcel",
        None,
    ),
    (
        {
            "highlyStructuredMessage": {
                "hydratedHsm": {"hydratedTemplate": {"hydratedContentText": "Parcel"}}
            }
        },
        "text",
        "Parcel",
        None,
    ),
    ({"interactiveMessage": {"body": {"text": "Code 1"}}}, "text", "Code 1", None),
    ({"buttonsMessage": {"contentText": "Confirm?"}}, "text", "Confirm?", None),
    ({"listMessage": {"description": "Choose"}}, "text", "Choose", None),
    *(
        ({name: {"name": "Pizza?"}}, "poll", "Pizza?", None)
        for name in (
            "pollCreationMessage",
            "pollCreationMessageV2",
            "pollCreationMessageV3",
            "pollCreationMessageV5",
        )
    ),
    (
        inside("pollCreationMessageV4", {"pollCreationMessage": {"name": "Pizza?"}}),
        "poll",
        "Pizza?",
        None,
    ),
    # a picture or buttons without a text
    ({"listResponseMessage": {"singleSelectReply": {}}}, "other", "", None),
    ({"interactiveMessage": {"header": {"imageMessage": {}}}}, "other", "", None),
    ({"templateMessage": {"hydratedTemplate": {}}}, "other", "", None),
    (
        {"templateMessage": {"hydratedTemplate": {"hydratedTitleText": "Parcel"}}},
        "text",
        "Parcel",
        None,
    ),
    (inside("botForwardedMessage", {"richResponseMessage": {}}), "other", "", None),
    (
        inside(
            "botForwardedMessage",
            {
                "richResponseMessage": {
                    "submessages": [
                        {"messageText": "Berlin is the capital."},
                        {"messageType": 1},
                        None,
                        {"messageText": "Paris is another one."},
                    ]
                }
            },
        ),
        "other",
        "Berlin is the capital.\nParis is another one.",
        None,
    ),
    (
        {"templateMessage": {"hydratedFourRowTemplate": {"hydratedTitleText": "T"}}},
        "text",
        "T",
        None,
    ),
    ({"buttonsMessage": {"Header": {"Text": "Title"}}}, "text", "Title", None),
    (
        {
            "interactiveMessage": {
                "carouselMessage": {
                    "cards": [{"body": {"text": "A"}}, {"body": {"text": "B"}}]
                }
            }
        },
        "text",
        "A\nB",
        None,
    ),
    ({"interactiveMessage": {"carouselMessage": {"cards": 7}}}, "other", "", None),
    ({"locationMessage": {"address": "Street 1"}}, "location", "Street 1", None),
    ({"orderMessage": {"text": "Two lamps"}}, "other", "Two lamps", None),
    # a picture of an album is a message of its own
    (
        {
            "associatedChildMessage": {"message": IMAGE},
            "messageContextInfo": {"messageAssociation": {"associationType": 1}},
        },
        "image",
        "hi",
        None,
    ),
    ({"conversation": "", **TEXT}, "text", "hi", None),
    ({"conversation": "\u200e" * 5000 + "hi"}, "text", "hi", None),
    ({"eventMessage": {"name": "Birthday"}}, "other", "Birthday", None),
    (
        {"groupInviteMessage": {"groupName": "Family", "caption": "Join us"}},
        "other",
        "Join us",
        None,
    ),
    ({"groupInviteMessage": {"groupName": "Family"}}, "other", "Family", None),
    ({"productMessage": {"product": {"title": "Lamp"}}}, "other", "Lamp", None),
    ({"orderMessage": {"message": "Two lamps"}}, "other", "Two lamps", None),
    ({"invoiceMessage": {"note": "Rent"}}, "other", "Rent", None),
    ({"scheduledCallCreationMessage": {"title": "Call"}}, "other", "Call", None),
    ({"stickerPackMessage": {"name": "Cats"}}, "other", "Cats", None),
    (
        {"sendPaymentMessage": {"noteMessage": {"conversation": "Thanks"}}},
        "other",
        "Thanks",
        None,
    ),
    ({"locationMessage": {"name": "Home"}}, "location", "Home", None),
    ({"contactMessage": {"displayName": "Anna"}}, "contact", "Anna", None),
    *(
        (inside(wrapper), "text", "hi", None)
        for wrapper in (
            "botInvokeMessage",
            "commentMessage",
            "ephemeralMessage",
            "groupMentionedMessage",
            "questionMessage",
            "spoilerMessage",
        )
    ),
    *(
        (inside(wrapper, IMAGE), "image", "hi", None)
        for wrapper in (
            "associatedChildMessage",
            "eventCoverImage",
            "imageWithCaptionMessage",
            "viewOnceMessage",
            "viewOnceMessageV2",
            "viewOnceMessageV2Extension",
        )
    ),
    (inside("ephemeralMessage", inside("viewOnceMessage", IMAGE)), "image", "hi", None),
    (
        inside("lottieStickerMessage", {"stickerMessage": {"mimetype": "image/webp"}}),
        "sticker",
        "",
        None,
    ),
]


@needs("receiving", "whatsapp_form")
async def test_silent(home: Receiving, clock: Clock) -> None:
    """What people don't see is counted by its type; the real message is shown."""
    for number, content in enumerate(SILENT):
        message_id = f"3EB0{number:08}"
        for from_me in (False, True):
            await home.get("", kind="other", content=content, from_me=from_me)
        await home.get("", kind="other", content=content, message_id=message_id)
        await clock.run(SOON)
        assert home.seen == [], content
        # the same ID, now with the content that was not there yet
        await home.get("real", message_id=message_id)
        await clock.run(SOON)
        assert home.texts == ["real"], content
        home.seen.clear()
    skipped = home.account.inbox.skipped
    assert skipped["albumMessage"] == 6
    assert skipped["secretEncryptedMessage"] == 6
    assert skipped["blank"] > 20
    assert sum(skipped.values()) == 3 * len(SILENT)


@needs("receiving", "whatsapp_form")
async def test_shown(home: Receiving, clock: Clock) -> None:
    """What people see is an event with its text and what it answers."""
    for content, kind, text, reply_to in SHOWN:
        await home.get("", kind="other", content=content)
        await clock.run(SOON)
        assert len(home.seen) == 1, content
        shown = home.last
        expected = kind, text, reply_to
        assert (shown["kind"], shown["text"], shown["reply_to"]) == expected, content
        home.seen.clear()
    assert not home.account.inbox.skipped


@pytest.mark.parametrize(
    "provider_key", [key for key, kind in SUPPORTED.items() if kind.has("receiving")]
)
@pytest.mark.parametrize("text", ["", "   ", "\n", "\u200e", "\u2800"])
async def test_blank(home: Receiving, clock: Clock, text: str) -> None:
    """A text with nothing to see is no message, with nothing else a message is."""
    await home.get(text)
    await clock.run(SOON)
    assert home.seen == []
    await home.get(text, kind="image", media=b"1")
    await clock.run(SOON)
    assert (home.last["kind"], home.last["text"]) == ("image", "")


@needs("receiving", "whatsapp_form")
async def test_mentions(home: Receiving, clock: Clock) -> None:
    """A message tells whether this number is mentioned, by its number or its LID."""
    group = "120363025246125486@g.us"
    number = home.session.phone_number
    for mentioned, is_me in (
        ([f"{number}@s.whatsapp.net"], True),
        (["12025550123@s.whatsapp.net"], False),
        (["12025550123@s.whatsapp.net", f"{number}:7@s.whatsapp.net"], True),
        ([], False),
        ("everybody", False),
        ([None, 7, {}], False),
    ):
        context: dict[str, Any] = {"contextInfo": {"mentionedJid": mentioned}}
        content = {"extendedTextMessage": {"text": "lights off", **context}}
        arrival = {"chat_id": group, "sender": "12025550123", "content": content}
        await home.get("", kind="other", **arrival)
        await clock.run(SOON)
        assert home.last["mentioned_me"] is is_me, mentioned


@needs("receiving", "whatsapp_form")
async def test_file_names(home: Receiving, clock: Clock) -> None:
    """The name and the type of a file have different spellings."""
    for data, filename, mime_type in (
        ({"fileName": "a.pdf", "mimetype": "a/b"}, "a.pdf", "a/b"),
        ({"filename": "a.pdf", "mime_type": "a/b"}, "a.pdf", "a/b"),
        ({"fileName": "..", "title": "a.pdf"}, "a.pdf", None),
        ({"fileName": 7, "mimetype": []}, None, None),
    ):
        await home.get("", kind="other", content={"documentMessage": data})
        await clock.run(SOON)
        found = home.last["filename"], home.last["mime_type"]
        assert found == (filename, mime_type), data
