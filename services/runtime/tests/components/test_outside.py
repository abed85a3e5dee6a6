"""Databases, mail servers and repositories outside of the mesh: what they are asked, and what they cannot do to us."""

import asyncio
import subprocess
from email import message_from_bytes
from email.policy import default

import pytest

from polis.db import foreign
from polis.graph import builtin, config_faults
from polis.runtime.component import StepFailed
from polis.runtime.egress.addresses import Allowed
from polis.runtime.egress.client import Egress

SECRET_ID = "0190d3c4-1c2f-7a53-8a3e-2f6b7d1f0c11"


@pytest.fixture
def one(run, within):
    within.egress = Egress(Allowed("127.0.0.0/8, localhost, 127.0.0.1"))

    async def one(key, message, **config):
        return (await run(key, message, within=within, **config)).out()[0]

    return one


async def failure(answer) -> tuple[str, bool]:
    with pytest.raises(StepFailed) as failed:
        await answer
    assert "pass word" not in str(failed.value)
    return failed.value.kind, failed.value.retryable


class Lines:
    """A server of lines: it answers each by what a script says, and keeps what it was told."""

    def __init__(self, greeting, answer):
        self.greeting, self.answer, self.told = greeting, answer, []

    async def serve(self, reader, writer):
        writer.write(self.greeting)
        while line := await reader.readline():
            self.told.append(line)
            answer = self.answer(line, self.told)
            if answer is None:
                break
            writer.write(answer)
        writer.close()


@pytest.fixture
async def listening():
    servers = []

    async def listening(greeting, answer):
        lines = Lines(greeting, answer)
        server = await asyncio.start_server(lines.serve, "127.0.0.1", 0, limit=2**20)
        servers.append(server)
        return lines, server.sockets[0].getsockname()[1]

    yield listening
    for server in servers:
        server.close()


# SQL


@pytest.fixture(scope="module")
async def database(stage):
    import asyncpg

    admin = await asyncpg.connect(stage.database.admin_url)
    await admin.execute(
        "create table public.orders (id int8 primary key, data jsonb, at timestamptz, price numeric)"
    )
    await admin.execute("insert into public.orders select n, '{\"a\": [1]}', '2026-03-02T09:00:00Z', 1.50 from generate_series(1, 5) n")  # fmt: skip
    yield stage.database.admin_url
    await admin.execute("drop table public.orders")
    await admin.close()


@pytest.fixture
def sql(one, within, database):
    within.secrets[SECRET_ID] = database + ("&" if "?" in database else "?") + "sslmode=disable"

    async def sql(text, message=None, **config):
        return await one("sql.query", message, secret_id=SECRET_ID, sql=text, **config)

    return sql


async def test_rows_come_as_objects_that_json_holds(sql):
    found = await sql("select id, data, at, price, 2::int8 ^ 60 big, null n from public.orders where id = $1", {"id": 3}, parameters=["item.id"])  # fmt: skip

    (row,) = found["rows"]
    assert row | {"big": 0} == {"id": 3, "data": {"a": [1]}, "at": "2026-03-02T09:00:00+00:00", "price": "1.50", "big": 0, "n": None}  # fmt: skip


async def test_what_is_a_parameter_is_never_part_of_the_statement(sql):
    evil = "x'; drop table public.orders; --"

    assert (await sql("select $1::text t", {"t": evil}, parameters=["item.t"]))["rows"] == [{"t": evil}]
    assert len((await sql("select 1 from public.orders"))["rows"]) == 5


@pytest.mark.parametrize(
    ("text", "config", "expected"),
    [
        ("delete from public.orders", {}, ("sql.read_only", False)),
        ("with x as (select set_config('transaction_read_only', 'off', true)) delete from public.orders where (select true from x)", {}, ("sql.failed", False)),
        ("select pg_sleep(30)", {"timeout_s": 0.2}, ("sql.timeout", False)),
        ("select * from public.orders", {"max_rows": 4}, ("sql.too_many", False)),
        ("select repeat('x', 1000000)", {}, ("sql.too_large", False)),
        ("select repeat('x', 200000000)", {}, ("sql.too_large", False)),
        ("select 1; select 2", {}, ("sql.failed", False)),
        ("selec 1", {}, ("sql.failed", False)),
        ("select $1::int", {"parameters": ["'a'"]}, ("sql.failed", False)),
        ("select $1", {}, ("sql.invalid", False)),
    ],
)  # fmt: skip
async def test_a_statement_that_may_not_or_cannot_be_done_has_no_result(text, config, expected, sql):
    kind, retryable = await failure(sql(text, **config))

    assert (kind, retryable) == expected or (expected[0] == "sql.failed" and kind == "sql.read_only")
    assert len((await sql("select 1 from public.orders"))["rows"]) == 5


async def test_a_database_that_its_secret_is_not_bound_to_is_not_asked(sql, within):
    within.hosts = ("db.example:5432",)

    assert await failure(sql("select 1")) == ("secret.elsewhere", False)

    within.hosts = ("127.0.0.1", "localhost")
    assert (await sql("select 1 one"))["rows"] == [{"one": 1}]


async def test_what_may_write_does_and_says_so(sql):
    found = await sql("update public.orders set price = 2 where id = 1 returning id", writes=True)

    assert found["rows"] == [{"id": 1}]


@pytest.mark.parametrize(
    ("dsn", "kind"),
    [
        ("mysql://a:pass word@h/d", "sql.dsn"),
        ("postgresql://h/d", "sql.dsn"),
        ("postgresql://a:b@h/d?passfile=/etc/passwd", "sql.dsn"),
        ("postgresql://a:b@h/d?sslmode=prefer", "sql.dsn"),
        ("postgresql://a:b@10.0.0.1/d", "egress.refused"),
        ("postgresql://a:b@127.0.0.1:1/d", "sql.connect"),
    ],
)
async def test_a_database_is_one_that_its_secret_names_and_runs_may_reach(dsn, kind, one, within):
    within.secrets[SECRET_ID] = dsn

    assert (await failure(one("sql.query", 1, secret_id=SECRET_ID, sql="select 1")))[0] == kind


def test_no_password_shows_in_what_a_database_is_called():
    assert "word" not in repr(foreign.server("postgresql://a:pass%20word@h/d"))


# Mail


def smtp(refuse=b"", data=b"250 ok\r\n"):
    """A server that takes everything, but what begins with `refuse`."""

    def answer(line, told):
        said = line.upper()
        if refuse and said.startswith(refuse):
            return b"550 no\r\n" if refuse != b"LATER" else b"450 later\r\n"
        if said.startswith(b"EHLO"):
            return b"250-x\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n"
        if said.startswith(b"AUTH"):
            return b"235 ok\r\n"
        if said.startswith(b"DATA"):
            return b"354 go\r\n"
        if b"DATA\r\n" in told and not any(each == b".\r\n" for each in told):
            return b""
        return data if line == b".\r\n" else b"221 bye\r\n" if said.startswith(b"QUIT") else b"250 ok\r\n"

    return answer


@pytest.fixture
def send(run, within):
    within.secrets[SECRET_ID] = "pass word"
    within.egress = Egress(Allowed("localhost"))

    async def send(port, mail, **config):
        config = {"host": "localhost", "port": port, "tls": "none", "sender": "robot@example.org", **config}
        step = await run("mail.send", mail, within=within, files={"f": b"\0file"}, **config)
        return step.out()[0]

    return send


async def test_a_mail_is_sent_with_files_and_the_same_name_at_every_attempt(send, listening):
    mail = {
        "to": ["ada@example.org"], "bcc": ["eve@example.org"], "subject": "Grüße", "text": "ü\n.dot", "html": "<b>ü</b>",
        "attachments": [{"artifact_id": "f", "name": "a.bin", "media_type": "application/x-a"}],
    }  # fmt: skip
    sent = []
    for _ in range(2):
        lines, port = await listening(b"220 x\r\n", smtp())
        sent.append(await send(port, mail, user="robot", secret_id=SECRET_ID, sender_name="Robot"))

    told = b"".join(lines.told)
    body = told.partition(b"DATA\r\n")[2].partition(b"\r\n.\r\n")[0].replace(b"\r\n..", b"\r\n.")
    read = message_from_bytes(body, policy=default)
    assert sent[0] == sent[1]
    assert read["Message-ID"] == f"<{sent[0]['message_id']}>"
    assert (read["Subject"], read["To"], str(read["From"])) == (
        "Grüße",
        "ada@example.org",
        "Robot <robot@example.org>",
    )
    assert b"RCPT TO:<eve@example.org>" in told
    assert "eve" not in body.decode()
    assert read.get_body(("plain",)).get_content() == "ü\r\n.dot\r\n"
    assert [(a.get_filename(), a.get_content()) for a in read.iter_attachments()] == [("a.bin", b"\0file")]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (smtp(refuse=b"AUTH"), ("mail.auth", False)),
        (smtp(refuse=b"RCPT"), ("mail.refused", False)),
        (smtp(data=b"451 later\r\n"), ("mail.refused", True)),
        (lambda *_: None, ("mail.connect", True)),
        (lambda *_: b"x" * 100_000 + b"\r\n", ("mail.refused", False)),
    ],
)
async def test_a_server_that_does_not_take_a_mail_says_whether_it_may_later(
    answer, expected, send, listening
):
    _, port = await listening(b"220 x\r\n", answer)
    mail = {"to": ["ada@example.org"], "subject": "x"}

    found = await failure(send(port, mail, user="robot", secret_id=SECRET_ID, timeout_s=5))

    assert found == expected


@pytest.mark.parametrize(
    "mail",
    [
        {"to": ["ada@example.org\r\nBcc: eve@example.org"], "subject": "x"},
        {"to": ["ada@example.org"], "subject": "x\r\nBcc: eve@example.org"},
        {"to": ["ada@example.org"], "subject": "x", "in_reply_to": "a> \r\nX: y"},
        {"to": ["a@b, eve@example.org"], "subject": "x"},
        {"to": [], "subject": "x"},
        {"to": [f"a{n}@example.org" for n in range(51)], "subject": "x"},
    ],
)
async def test_no_header_can_be_smuggled_in_and_recipients_are_bounded(mail, send):
    assert (await failure(send(1, mail)))[0] in ("input.invalid", "mail.recipients")


async def test_without_tls_mail_goes_only_where_the_operator_says(send, within):
    within.egress = Egress(Allowed())

    assert await failure(send(25, {"to": ["a@example.org"], "subject": "x"})) == ("mail.uncovered", False)


def imap(mails: dict[int, bytes], lie=0):
    """A server with these mails by their UIDs. lie: bytes that it claims to send."""

    def answer(line, _):
        tag, command, *rest = line.split()
        word = (rest[0] if command.upper() == b"UID" else command).upper()
        said = b""
        if word == b"CAPABILITY":
            said = b"* CAPABILITY IMAP4rev1\r\n"
        elif word == b"LOGIN" and b"wrong" in line:
            return tag + b" NO bad\r\n"
        elif word in (b"SELECT", b"EXAMINE"):
            said = b"* 9 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n"
        elif word == b"SEARCH":
            said = b"* SEARCH " + b" ".join(b"%d" % uid for uid in mails) + b"\r\n"
        elif word == b"FETCH":
            uid = int(rest[1])
            if b"SIZE" in line:
                said = b"* 1 FETCH (UID %d RFC822.SIZE %d)\r\n" % (uid, len(mails[uid]))
            else:
                size = lie or len(mails[uid])
                said = b"* 1 FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (uid, size, mails[uid])
        return said + tag + b" OK done\r\n"

    return answer


MAILS = {n: b"From: a@example.org\r\nSubject: mail %d\r\n\r\ntext %d\r\n" % (n, n) for n in (3, 5, 8)}


@pytest.fixture
def fetch(run, within):
    within.secrets[SECRET_ID] = "pass word"
    within.egress = Egress(Allowed("localhost"))

    async def fetch(port, message=None, **config):
        config = {
            "host": "localhost",
            "port": port,
            "tls": "none",
            "user": "ada",
            "secret_id": SECRET_ID,
            **config,
        }
        return (await run("mail.fetch", message or {}, within=within, **config)).out()[0]

    return fetch


async def test_mails_behind_the_last_one_are_fetched_and_tell_where_to_go_on(fetch, listening):
    lines, port = await listening(b"* OK x\r\n", imap(MAILS))

    first = await fetch(port, limit=2)
    then = await fetch(port, {"after_uid": first["after_uid"], "uid_validity": 7}, mark_seen=True)
    anew = await fetch(port, {"after_uid": 99, "uid_validity": 6}, limit=1)

    assert [(m["uid"], m["subject"], m["text"]) for m in first["mails"]] == [(3, "mail 3", "text 3"), (5, "mail 5", "text 5")]  # fmt: skip
    assert (first["after_uid"], first["uid_validity"]) == (5, 7)
    assert [m["uid"] for m in then["mails"]] == [8]
    assert [m["uid"] for m in anew["mails"]] == [3]
    assert any(b"STORE 8 +FLAGS" in line for line in lines.told)
    assert sum(b"SELECT" in line for line in lines.told) == 1


@pytest.mark.parametrize(
    ("answer", "config", "kind"),
    [
        (imap(MAILS), {"user": "wrong"}, "mail.auth"),
        (imap(MAILS, lie=2_000_000_000), {}, "mail.connect"),
        (lambda *_: None, {}, "mail.connect"),
        (lambda *_: b"nonsense\r\n", {"timeout_s": 0.5}, "mail."),
        (lambda *_: b"", {"timeout_s": 0.3}, "mail.timeout"),
    ],
)
async def test_a_mailbox_that_cannot_be_read_says_why_and_soon(answer, config, kind, fetch, listening):
    _, port = await listening(b"* OK x\r\n", answer)

    assert (await failure(fetch(port, **config)))[0].startswith(kind)


# Git


@pytest.fixture
def repository(tmp_path, within):
    """A repository whose settings name a program wherever they can."""
    here = tmp_path / "code"
    here.mkdir()
    within.folders["code"] = here.resolve()

    def git(*arguments):
        who = {"GIT_AUTHOR_DATE": "2026-03-02T09:00:00Z", "GIT_COMMITTER_DATE": "2026-03-02T09:00:00Z", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}  # fmt: skip
        subprocess.run(["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments], cwd=here, env=who, check=True, capture_output=True)  # fmt: skip

    git("init", "-b", "main")
    (here / "a.txt").write_text("one\n")
    git("add", ".")
    git("commit", "-m", "First, with ü")
    (here / "a.txt").write_text("two\n")
    (here / "b.evil").write_text("new\n")
    evil = f"touch {tmp_path}/run; cat"
    (here / ".gitattributes").write_text("* filter=evil diff=evil\n")
    for name in ("filter.evil.clean", "filter.evil.smudge", "diff.evil.command", "diff.evil.textconv", "diff.external", "core.fsmonitor", "core.pager", "gpg.program"):  # fmt: skip
        git("config", name, evil)
    return here


async def test_status_log_and_diff_are_told_and_no_program_of_the_repository_runs(one, repository, tmp_path):
    status = await one("git.read", {}, folder="code", op="status")
    log = await one("git.read", {}, folder="code", op="log")
    diff = await one("git.read", {"paths": ["a.txt"]}, folder="code", op="diff")

    assert status["branch"] == "main"
    assert {(c["state"], c["path"]) for c in status["changes"]} == {(" M", "a.txt"), ("??", "b.evil"), ("??", ".gitattributes")}  # fmt: skip
    assert [(c["author"], c["subject"]) for c in log["commits"]] == [("Ada", "First, with ü")]
    assert "-one\n+two" in diff["diff"]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("message", "config", "kind"),
    [
        ({"since": "--output=/tmp/x"}, {"op": "log"}, "git.name"),
        ({"since": "nothing"}, {"op": "log"}, "git.failed"),
        ({}, {"op": "log", "path": "linked"}, "git.path"),
        ({}, {"op": "log", "path": "empty"}, "git.path"),
        ({}, {"op": "log", "path": "pointed"}, "git.path"),
    ],
)
async def test_nothing_leads_out_of_the_folder(message, config, kind, one, repository, tmp_path):
    outside = tmp_path / "outside"
    (outside / ".git").mkdir(parents=True)
    (repository / "empty").mkdir()
    (repository / "pointed").mkdir()
    (repository / "pointed" / ".git").write_text(f"gitdir: {outside}/.git\n")
    (repository / "linked").symlink_to(outside)

    assert (await failure(one("git.read", message, folder="code", **config)))[0] == kind


def test_a_path_in_a_folder_stays_in_it():
    for path in ("../x", "/etc"):
        config = {"folder": "code", "op": "log", "path": path}
        assert [f.pointer for f in config_faults(builtin.components()["git.read"], config)] == ["/path"]


# Feeds


async def test_an_atom_feed_has_the_same_entries(run):
    atom = """<?xml version="1.0" encoding="iso-8859-1"?><a:feed xmlns:a="http://www.w3.org/2005/Atom"><a:title>T</a:title>
    <a:link rel="self" href="s"/><a:link href="https://example.org"/><a:entry><a:id>1</a:id><a:title>E</a:title>
    <a:link href="https://example.org/1"/><a:updated>2026-03-02T10:00:00+01:00</a:updated><a:author><a:name>Ada</a:name>
    </a:author><a:category term="x"/><a:content type="html">&lt;p&gt;ü</a:content></a:entry></a:feed>"""
    (feed,) = (await run("feed.parse", atom)).out()

    assert feed == {
        "title": "T", "url": "https://example.org", "text": "",
        "entries": [{"id": "1", "title": "E", "url": "https://example.org/1", "at": "2026-03-02T09:00:00Z", "author": "Ada", "html": "<p>ü", "tags": ["x"]}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind"),
    [("<html/>", "feed.none"), ("nothing", "xml.invalid"), ("<!DOCTYPE rss><rss/>", "xml.doctype")],
)
async def test_what_is_no_feed_says_so(text, kind, run):
    assert (await failure(run("feed.parse", text)))[0] == kind
