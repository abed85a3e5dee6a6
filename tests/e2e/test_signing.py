"""`polis sign` and `polis verify`: who holds a key vouches with it, and who checks takes nobody's word for it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from polis.cli import signing
from polis.cli.api import Api

NAME = "policy/rule"


@pytest.fixture
async def org(ada):
    """An org whose production uses the first of two versions of a rule."""
    for content in ({"n": 1.5}, {"n": 2}):
        changes = [
            {"action": "put", "type": "policy", "key": "rule", "content": content, "visibility": "public"},
            {"action": "activate", "type": "policy", "key": "rule", "environment": "production"},
        ]
        made = await ada.call("POST", "/change-sets", {"title": "Rule", "review": False, "changes": changes})
        await ada.call("POST", f"/change-sets/{made['id']}/apply", {})
    return ada


class Shown:
    """Calls of the commands, with what they print."""

    def __init__(self):
        self.text = ""

    async def sign(self, api, name, file):
        return await self._run(signing.sign, api, name, "production", file)

    async def verify(self, api, name, *by):
        return await self._run(signing.verify, api, name, "production", by)

    async def _run(self, work, *args):
        out = io.StringIO()
        code = await work(*args, Console(file=out, width=300))
        self.text = out.getvalue()
        return code


@pytest.fixture
def polis():
    return Shown()


async def test_a_version_is_signed_with_a_key_that_only_its_owner_reads_and_verified_by_it(
    org, polis, tmp_path
):
    file = tmp_path / "keys" / "publisher.pem"
    assert await polis.verify(org, NAME) == 1
    assert "nobody vouches for policy/rule@2" in polis.text

    assert await polis.sign(org, NAME, file) == 0, polis.text
    assert await polis.sign(org, NAME, file) == 0, polis.text
    public = polis.text.split()[-1]

    assert file.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" not in polis.text
    assert len((await org.call("GET", "/publisher-keys"))["items"]) == 1
    assert await polis.verify(org, NAME) == 0
    assert await polis.verify(org, f"{NAME}@2", "A" * 43, public) == 0
    assert await polis.verify(org, NAME, "A" * 43) == 1
    assert await polis.verify(org, f"{NAME}@1") == 1
    assert await polis.sign(org, f"{NAME}@1", file) == 0
    assert await polis.verify(org, f"{NAME}@1", public) == 0


async def test_a_key_that_others_read_or_that_is_none_signs_nothing(org, polis, tmp_path):
    file = tmp_path / "key.pem"
    signing.key_of(file)
    file.chmod(0o640)
    assert await polis.sign(org, NAME, file) == 1
    assert "others can read" in polis.text
    file.chmod(0o600)
    file.write_text("no key")
    assert await polis.sign(org, NAME, file) == 1
    assert "no private key" in polis.text
    assert (await org.call("GET", "/publisher-keys"))["items"] == []


async def test_a_revoked_key_vouches_for_nothing_and_signs_no_more(org, polis, tmp_path):
    file = tmp_path / "key.pem"
    await polis.sign(org, NAME, file)
    [key] = (await org.call("GET", "/publisher-keys"))["items"]

    await org.call("DELETE", f"/publisher-keys/{key['id']}")

    assert await polis.verify(org, NAME) == 1
    assert await polis.sign(org, NAME, file) == 1
    assert "revoked" in polis.text


class Lying(Api):
    """A mesh that passes another content off under a digest that somebody vouched for, or a signature of another version."""

    def __init__(self, api, change):
        super().__init__(api.address, api.token)
        self._change = change

    async def call(self, method, path, body=None):
        return self._change(path, await super().call(method, path, body))


@pytest.mark.parametrize("part", ["content", "digest", "key"])
async def test_what_the_mesh_says_is_checked(org, polis, tmp_path, part):
    await polis.sign(org, NAME, tmp_path / "key.pem")
    other = {"content": {"n": 3}, "digest": "0" * 64, "key": "other"}

    def change(path, answer):
        return answer | {part: other[part]} if path.endswith("/versions/2") else answer

    async with Lying(org, change) as mesh:
        assert await polis.verify(mesh, NAME) == 1
    assert "not verified" in polis.text
