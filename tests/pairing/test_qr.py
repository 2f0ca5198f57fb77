"""Pictures of codes."""

from __future__ import annotations

from io import BytesIO

from PIL import Image
import pytest
import qrcode

from custom_components.whatsapp_gateway.pairing.drawing import (
    QUIET_ZONE,
    SIZE,
    blank,
    render,
)
from custom_components.whatsapp_gateway.providers.models import BadResponse, QrCode
from tests.gateways.machine import new_code_text
from tests.harness.qr_reader import read_qr

OLD_CODE = "2@" + ",".join("a" * 40 for _ in range(4))


def png(image: Image.Image) -> bytes:
    """Return an image as a PNG."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "raw", [new_code_text(), OLD_CODE, "short", "ção"], ids=range(4)
)
def test_drawn(raw: str) -> None:
    """A text becomes a picture of one size that holds all of it."""
    drawn = render(QrCode(raw=raw))

    assert read_qr(drawn) == raw
    with Image.open(BytesIO(drawn)) as image:
        assert image.size == (SIZE, SIZE)
        assert image.getpixel((0, 0)) == 255


@pytest.mark.parametrize("border", [0, 4, 20])
@pytest.mark.parametrize("box_size", [1, 4, 20])
def test_gateway_picture(border: int, box_size: int) -> None:
    """A gateway's picture of any size becomes a readable one of our size."""
    code = qrcode.QRCode(border=border, box_size=box_size)
    code.add_data(OLD_CODE)
    transparent = code.make_image(back_color="transparent").get_image()

    picture = render(QrCode(png=png(transparent)))

    assert read_qr(picture) == OLD_CODE
    with Image.open(BytesIO(picture)) as image:
        assert image.size == (SIZE, SIZE)
        # the code is as large as if it were drawn from its text
        dark = image.point(lambda value: 255 - value).getbbox()
    assert dark
    assert SIZE / 2 < dark[2] - dark[0] <= SIZE - 2 * QUIET_ZONE


@pytest.mark.parametrize(
    "code",
    [
        QrCode(),
        QrCode(raw="x" * 5000),
        QrCode(raw="1" * 6000),
        QrCode(png=png(Image.new("L", (9, 9)))[:40]),
        QrCode(png=png(Image.new("1", (5000, 10)))),
        QrCode(png=b"GIF89a"),
    ],
    ids=range(6),
)
def test_not_drawable(code: QrCode) -> None:
    """What is no picture is an error of ours, without the code in it."""
    with pytest.raises(BadResponse) as raised:
        render(code)

    assert str(raised.value) == "The QR code can't be drawn"
    assert raised.value.__cause__ is None


def test_blank() -> None:
    """The picture between two codes takes the same room, and holds nothing."""
    with Image.open(BytesIO(blank())) as image:
        assert image.size == (SIZE, SIZE)
    assert read_qr(blank()) is None
