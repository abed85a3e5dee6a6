"""Components that read and write files: what comes of good ones, and what hostile ones cannot do."""

import io
import struct
import tarfile
import zipfile
import zlib

import pytest
from PIL import Image
from pypdf import PdfWriter

from polis.runtime.component import StepFailed
from polis.runtime.isolated.call import isolated

FILE = {"artifact_id": "f", "name": "a.bin"}


@pytest.fixture
def on(run, within):
    """Run a component on a file; what left by `out`."""

    async def on(key, content, **config):
        step = await run(key, FILE, files={"f": content}, within=within, **config)
        return step.out()

    return on


@pytest.fixture
def failing(on):
    async def failing(key, content, **config):
        with pytest.raises(StepFailed) as failure:
            await on(key, content, **config)
        assert len(str(failure.value)) < 300
        return failure.value.kind

    return failing


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def tarred(mode="w:gz", **files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


FONT = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> /MediaBox [0 0 612 792]"


def pdf(*texts: str, password: str = "") -> bytes:
    """A PDF as small as one can be."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    kids = []
    for text in texts:
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        kids.append(f"{len(objects) + 1} 0 R")
        objects += [
            f"<< /Type /Page /Parent 2 0 R /Contents {len(objects) + 2} 0 R {FONT} >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(texts)} >>"
    content, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        places.append(len(content))
        content += f"{number} 0 obj\n{each}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    content += (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Root 1 0 R /Size {size} >>\n"
        f"startxref\n{len(content)}\n%%EOF"
    ).encode()
    if password:
        writer, out = PdfWriter(clone_from=io.BytesIO(content)), io.BytesIO()
        writer.encrypt(password, algorithm="RC4-128")
        writer.write(out)
        content = out.getvalue()
    return content


def picture(width: int, height: int, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, kind, **options)
    return out.getvalue()


async def test_a_file_becomes_a_text_lines_or_base64(on):
    content = "\ufeffeins\nzwei ü\n".encode()

    assert await on("file.read", content) == ["eins\nzwei ü\n"]
    assert await on("file.read", content, form="lines") == ["eins", "zwei ü"]
    assert await on("file.read", b"\xff", form="base64") == ["/w=="]
    assert await on("file.read", b"a\xff", damaged="replace") == ["a\ufffd"]


async def test_what_is_written_is_what_the_message_holds(run, within):
    await run("file.write", "ü", within=within, name="a.txt")
    await run("file.write", "/w==", within=within, name="a.bin", form="base64", media_type="x/y")
    await run("file.write", {"a": [1]}, within=within, name="a.json", form="json")

    assert within.stored == [
        ("a.txt", "text/plain", "ü".encode()),
        ("a.bin", "x/y", b"\xff"),
        ("a.json", "text/plain", b'{"a":[1]}'),
    ]


@pytest.mark.parametrize(("form", "content"), [("base64", "schlüssel"), ("base64", "a"), ("text", "\ud800")])
async def test_what_cannot_be_written_as_it_is_called_is_said(run, within, form, content):
    with pytest.raises(StepFailed) as failure:
        await run("file.write", content, within=within, name="a", form=form)

    assert failure.value.kind == "file.invalid"


@pytest.mark.parametrize(
    "content",
    [zipped(a__b=b"1234", c=b""), tarred(a__b=b"1234", c=b""), tarred("w:xz", a__b=b"1234", c=b"")],
    ids=["zip", "tar.gz", "tar.xz"],
)
async def test_an_archive_tells_what_it_holds_and_gives_one_file(content, on, within):
    (entries,) = await on("archive.list", content)
    (found,) = await on("archive.extract", content, name="a/b", media_type="text/plain")

    assert [(e["name"], e["size"]) for e in entries if e["kind"] == "file"] == [("a/b", 4), ("c", 0)]
    assert (found["name"], within.stored) == ("b", [("b", "text/plain", b"1234")])


async def test_pages_of_a_pdf_are_read_up_to_the_bounds(on):
    content = pdf("Hello page one", "and two", "three")

    assert await on("pdf.text", content) == [{"pages": 3, "texts": ["Hello page one", "and two", "three"], "cut": False}]  # fmt: skip
    assert (await on("pdf.text", content, max_pages=1))[0] == {"pages": 3, "texts": ["Hello page one"], "cut": True}  # fmt: skip
    assert (await on("pdf.text", content, max_chars=5))[0]["texts"] == ["Hello"]


async def test_a_thumbnail_fits_stands_upright_and_tells_nothing_of_the_camera(on, within):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Spy Camera"
    (made,) = await on("image.thumbnail", picture(400, 200, "JPEG", exif=exif), width=100, height=100)

    ((name, media_type, content),) = within.stored
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", (50, 100))
    assert (made["width"], made["height"], name, media_type) == (50, 100, "a.jpeg", "image/jpeg")
    assert b"Spy" not in content


async def test_a_spreadsheet_goes_out_and_comes_back_and_texts_stay_texts(run, on, within):
    rows = [{"id": 1, "name": "=1+1", "ok": True, "more": {"a": 1}}, {"id": 2.5, "name": "ü", "new": None}]
    await run("sheet.write", rows, within=within, name="a.xlsx", sheet="Data")

    ((_, _, content),) = within.stored
    assert b"<f>" not in zipfile.ZipFile(io.BytesIO(content)).read("xl/worksheets/sheet1.xml")
    (read,) = await on("sheet.read", content)
    assert read["sheets"] == ["Data"]
    assert read["rows"][0] | {"new": None} == {"id": 1, "name": "=1+1", "ok": True, "more": '{"a":1}', "new": None}  # fmt: skip
    assert read["rows"][1]["id"] == 2.5
    assert (await on("sheet.read", content, header=False, skip=1))[0]["rows"][0][:2] == [1, "=1+1"]


def huge_png() -> bytes:
    """The header of a picture of 60,000 x 60,000."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")  # fmt: skip


def sheet_bomb() -> bytes:
    """A sheet of two cells that lie as far apart as they can."""
    out = io.BytesIO()
    namespace = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    parts = {
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.xml": f'<workbook {namespace} xmlns:r="{relations}"><sheets><sheet name="a" sheetId="1" r:id="r1"/>'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet {namespace}><dimension ref="A1:XFD1048576"/><sheetData><row r="1"><c r="A1">'
        '<v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>',
    }  # fmt: skip
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


NONSENSE = b"\x00\x01 nothing of any kind \xff" * 10


@pytest.mark.parametrize(
    ("key", "content", "config", "kinds"),
    [
        ("file.read", b"\xff", {}, "file.no_text"),
        ("file.read", b"12345", {"max_bytes": 4}, "file.too_large"),
        ("archive.list", NONSENSE, {}, "archive.none"),
        ("archive.list", zipped(a=b"", b=b"", c=b""), {"max_entries": 2}, "archive.too_many"),
        ("archive.list", tarred(a=b"x")[:60], {}, "archive.none"),
        ("archive.extract", zipped(a=b"1"), {"name": "b"}, "archive.unknown"),
        ("archive.extract", zipped(a=b"\0" * 3_000_000), {"name": "a", "max_bytes": 1_000_000}, "archive.too_large"),
        ("archive.extract", tarred(a=b"\0" * 3_000_000), {"name": "a", "max_bytes": 1_000_000}, "archive.too_large"),
        ("archive.extract", tarred(a=b""), {"name": "link"}, "archive.unknown"),
        ("pdf.text", NONSENSE, {}, "pdf.none"),
        ("pdf.text", pdf("a", password="x"), {}, "pdf.encrypted"),
        ("image.thumbnail", NONSENSE, {}, "image.none"),
        ("image.thumbnail", picture(50, 50)[:100], {}, "image.damaged"),
        ("image.thumbnail", huge_png(), {}, "image.too_large"),
        ("sheet.read", NONSENSE, {}, "sheet.none"),
        ("sheet.read", sheet_bomb(), {}, ("sheet.too_wide", "sheet.none", "work.failed", "work.too_large")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_what_is_broken_or_over_a_bound_is_an_error_that_names_it(key, content, config, kinds, failing):
    assert await failing(key, content, **config) in (kinds if isinstance(kinds, tuple) else (kinds,))


async def test_work_that_takes_too_long_or_too_much_ends_and_others_go_on():
    with pytest.raises(StepFailed) as failure:
        await isolated("html.text", "<div>" * 400_000, seconds=0.5)
    assert failure.value.kind == "work.too_long"

    assert await isolated("html.text", "<p>on") == "on"
