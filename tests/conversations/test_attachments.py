"""Files of strangers: sniffed, bounded, drawn anew, named harmlessly. Pure."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from plugin.conversations.attachments import MAX_BYTES, MAX_PIXELS, clean_name, inspect, read
from plugin.kernel.errors import AhlanError, TooLarge


def picture(format: str, size: tuple[int, int] = (300, 200), mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    colour = {"L": 128, "P": 128, "RGBA": (0, 128, 128, 90)}.get(mode, "teal")
    Image.new(mode, size, colour).save(file, format, **options)
    return file.getvalue()


def with_place(size: tuple[int, int] = (300, 200)) -> bytes:
    """A photograph lying on its side that says where it was taken."""
    image = Image.new("RGB", size, "teal")
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    exif[0x010F] = "Secret camera"
    exif.get_ifd(0x8825)[2] = (24.0, 42.0, 48.0)
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, comment=b"private comment")
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "mode", "media_type", "ending"),
    [
        ("JPEG", "RGB", "image/jpeg", "jpg"),
        ("JPEG", "L", "image/jpeg", "jpg"),
        ("JPEG", "CMYK", "image/jpeg", "jpg"),
        ("PNG", "RGBA", "image/png", "png"),
        ("PNG", "P", "image/png", "png"),
        ("GIF", "P", "image/png", "png"),
        ("WEBP", "RGB", "image/jpeg", "jpg"),
        ("WEBP", "RGBA", "image/png", "png"),
    ],
)
def test_pictures_are_drawn_anew(format: str, mode: str, media_type: str, ending: str) -> None:
    upload = read("photo.exe", picture(format, mode=mode))
    assert (upload.media_type, upload.name) == (media_type, f"photo.{ending}")
    assert (upload.width, upload.height) == (300, 200)
    assert Image.open(io.BytesIO(upload.content)).size == (300, 200)
    assert upload.thumbnail is not None
    assert Image.open(io.BytesIO(upload.thumbnail)).format == "JPEG"


def test_place_camera_and_comment_stay_behind_and_the_picture_stands_upright() -> None:
    original = with_place()
    assert b"Secret camera" in original
    upload = read("photo.jpg", original)
    assert (upload.width, upload.height) == (200, 300)
    for content in (upload.content, upload.thumbnail):
        assert content is not None
        image = Image.open(io.BytesIO(content))
        assert not image.getexif()
        assert b"Secret camera" not in content
        assert b"private comment" not in content


def test_nothing_hides_behind_a_picture() -> None:
    upload = read("photo.png", picture("PNG") + b"<script>alert(1)</script>PK\x03\x04")
    assert b"<script>" not in upload.content


def test_large_pictures_shrink() -> None:
    upload = read("photo.jpg", picture("JPEG", (5000, 1000)))
    assert (upload.width, upload.height) == (2560, 512)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is enormous."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [int(MAX_PIXELS**0.5) + 1, 12_000, 60_000])
def test_bombs_are_refused_before_they_are_decoded(side: int) -> None:
    with pytest.raises(AhlanError) as refused:
        read("photo.png", bomb(side, side))
    assert refused.value.code in ("picture_too_large", "picture_broken")


@pytest.mark.parametrize("cut", [30, 60, 100])
def test_broken_pictures_are_refused(cut: int) -> None:
    with pytest.raises(AhlanError) as refused:
        read("photo.png", picture("PNG")[:cut])
    assert refused.value.code in ("picture_broken", "file_type")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "application/pdf"),
        ("السلام عليكم\n".encode(), "text/plain"),
        (b"<html><script>alert(1)</script>", "text/plain"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "video/mp4"),
    ],
)
def test_other_files_keep_their_bytes(content: bytes, media_type: str) -> None:
    upload = read("a.b", content)
    assert (upload.media_type, upload.content, upload.thumbnail) == (media_type, content, None)


@pytest.mark.parametrize(
    "content",
    [
        b"MZ\x90\x00\x03" + b"\x00" * 100,
        b"\x7fELF\x02\x01\x01" + b"\x00" * 100,
        b"PK\x03\x04" + b"\x00" * 100,
        b"\x1f\x8b\x08" + b"\x00" * 100,
        b"\xff\xfe\x00\x01binary\x00",
        b"",
    ],
)
def test_what_would_run_or_unpack_is_refused(content: bytes) -> None:
    with pytest.raises(AhlanError):
        read("invoice.pdf", content)


async def test_too_large() -> None:
    with pytest.raises(TooLarge):
        await inspect("a.txt", b"a" * (MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("given_name", "clean"),
    [
        ("../../etc/passwd", "passwd.pdf"),
        ("C:\\Users\\me\\فاتورة.PDF", "فاتورة.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.pdf"),
        ("a\r\nSet-Cookie: x.pdf", "aSet-Cookie_ x.pdf"),
        ('"quoted";.pdf', "quoted.pdf"),
        (".htaccess", "htaccess.pdf"),
        ("...", "file.pdf"),
        ("", "file.pdf"),
        ("קבלה 12.3.2026", "קבלה 12.3.pdf"),
    ],
)
def test_names(given_name: str, clean: str) -> None:
    assert clean_name(given_name, "pdf") == clean


@given(st.text())
def test_any_name_is_harmless(name: str) -> None:
    cleaned = clean_name(name, "jpg")
    assert cleaned.endswith(".jpg")
    assert 5 <= len(cleaned) <= 124
    assert not set('/\\<>:"|?*\r\n\0') & set(cleaned)
    assert not cleaned.startswith(".")
