"""Finding resources: by words and filters, ranked, on pages, by the rules of sight that hold everywhere."""

from __future__ import annotations

from uuid import uuid4

import pytest

from polis.proto.catalog import CreateResource, Deprecate, PublishVersion, PutDraft, SearchResources
from polis.proto.problems import StaleCursor


@pytest.fixture
def make(ada):
    async def make(key, content=None, client=ada, kind="policy", publish=True, **more):
        created = await client.call(CreateResource(type=kind, key=key, content=content or {}, **more))
        if publish:
            await client.call(PublishVersion(created.id))
        return created

    return make


@pytest.fixture
def word():
    """A word that nothing else of this mesh contains."""
    return f"w{uuid4().hex}"


async def keys(client, text="", **filters):
    return [r.key for r in (await client.call(SearchResources(text=text, **filters))).items]


async def test_every_word_is_the_beginning_of_a_word_and_key_goes_before_tag_before_content(ada, make, word):
    await make("in-content", {"about": f"all {word} things"})
    await make("in-tag", tags=(word,))
    await make(f"in-{word}-key")
    await make("neither")

    assert await keys(ada, word[:20]) == [f"in-{word}-key", "in-tag", "in-content"]
    assert await keys(ada, f"KEY {word}") == [f"in-{word}-key"]
    assert await keys(ada, f"{word} nothing") == []
    assert await keys(ada, f"'{word}' & | ! ( :*") == [f"in-{word}-key", "in-tag", "in-content"]


async def test_a_draft_is_not_found_by_its_content_until_it_is_published(ada, make, word):
    made = await make("rule")
    await ada.call(PutDraft(made.id, revision=1, content={"about": word}))

    assert await keys(ada, word) == []
    await ada.call(PublishVersion(made.id))
    assert await keys(ada, word) == ["rule"]


async def test_filters_narrow_by_type_tag_status_and_owner(ada, make, word):
    colleague = ada.member("member")
    old = await make(f"{word}.a", tags=("mail", "old"))
    await ada.call(Deprecate(old.id))
    await make(f"{word}.b", tags=("mail",), kind="ruleset")
    await make(f"{word}.c", client=colleague, publish=False)

    assert await keys(ada, word, type="ruleset") == [f"{word}.b"]
    assert await keys(ada, word, tag="mail") == [f"{word}.a", f"{word}.b"]
    assert await keys(ada, word, status="deprecated") == [f"{word}.a"]
    assert await keys(ada, word, status="draft") == [f"{word}.c"]
    assert await keys(ada, word, owner=colleague.principal_id) == [f"{word}.c"]
    assert await keys(ada, owner=colleague.principal_id) == [f"{word}.c"]


async def test_pages_hold_every_hit_once_in_order_of_rank(ada, make, word, refused):
    for n in range(5):
        await make(f"{word}-{n}")
        await make(f"other-{n}", tags=(word,))
    found, after = [], None
    while True:
        page = await ada.call(SearchResources(text=word, limit=3, after=after))
        found += [r.key for r in page.items]
        after = page.next_cursor
        if after is None:
            break
        other = await refused(ada.call(SearchResources(text="other", limit=3, after=after)))
        assert other == StaleCursor()

    assert found == [f"{word}-{n}" for n in range(5)] + [f"other-{n}" for n in range(5)]


async def test_what_one_may_not_see_is_not_found_not_even_by_a_page_that_ends_early(ada, ben, make, word):
    owner, colleague = ada.member("member"), ada.member("member")
    for n in range(4):
        await make(f"{word}-{n}", client=owner, visibility="private")
    await make(f"{word}-org")
    await make(f"{word}-public", visibility="public")

    page = await colleague.call(SearchResources(text=word, limit=2))
    assert [r.key for r in page.items] == [f"{word}-org", f"{word}-public"]
    assert page.next_cursor is None
    assert await keys(ben, word) == [f"{word}-public"]
    assert len(await keys(owner, word)) == len(await keys(ada, word)) == 6


@pytest.mark.parametrize("text", ["!!!***", "' & | ! : \\", "\u3000*", "____"])
async def test_signs_alone_find_nothing_and_no_text_finds_all(ada, make, text):
    made = await make("any")

    assert (await ada.call(SearchResources(text=text))).items == ()
    for nothing in ("", "  "):
        found = await ada.call(SearchResources(text=nothing, type=made.type, limit=200))
        assert made.key in [r.key for r in found.items]


async def test_a_word_is_found_however_its_accents_are_spelled_and_with_signs_around_it(ada, make, word):
    made = await make(word, name=f"{word} ñandú 日本語")

    for text in ("ñandú", "n\u0303andu\u0301", "ÑAND*", "日本", f"'{word}':*"):
        found = (await ada.call(SearchResources(text=text))).items
        assert [r.key for r in found if r.org_id == ada.org_id] == [made.key], text
