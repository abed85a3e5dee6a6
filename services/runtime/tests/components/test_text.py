"""Text components on what hostile or careless people send: none takes long, none grows without bound, none lets harm through."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polis.graph import builtin, config_faults
from polis.runtime.component import StepFailed

BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


async def failing(run, key, text, **config) -> str:
    with pytest.raises(StepFailed) as failure:
        await run(key, text, **config)
    assert len(str(failure.value)) < 400
    return failure.value.kind


@pytest.mark.parametrize(
    ("key", "text", "config", "kind"),
    [
        ("json.parse", "[" * 100_000, {}, "json.too_deep"),
        ("json.parse", "[" + "1," * 200_001 + "1]", {}, "json.too_large"),
        ("json.parse", "{'a': 1}", {}, "json.invalid"),
        ("json.parse", "\ud800", {}, "json.invalid"),
        ("yaml.parse", BOMB, {}, "yaml.too_large"),
        ("yaml.parse", "[" * 5_000, {}, "yaml.too_deep"),
        ("yaml.parse", "- " * 5_000, {}, "yaml.too_deep"),
        ("yaml.parse", "&a [*a]", {}, "yaml.invalid"),
        ("yaml.parse", "!!python/object/apply:os.system [id]", {}, "yaml.tag"),
        ("yaml.parse", "a: 1\na: 2", {}, "yaml.key"),
        ("yaml.parse", "a: 1\n---\nb: 2", {}, "yaml.several"),
        ("yaml.parse", "a: [", {}, "yaml.invalid"),
        ("xml.parse", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', {}, "xml.doctype"),
        ("xml.parse", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', {}, "xml.doctype"),
        ("xml.parse", "<a>" * 70 + "</a>" * 70, {}, "xml.too_deep"),
        ("xml.parse", "<a>" + "<b/>" * 200_000 + "</a>", {}, "xml.too_large"),
        ("xml.parse", "<a>&b;</a>", {}, "xml.invalid"),
        ("xml.parse", "", {}, "xml.invalid"),
        ("csv.parse", "a,b\n1,2,3", {}, "csv.uneven"),
        ("csv.parse", "a,a\n1,2", {}, "csv.header"),
        ("csv.parse", "x\n" * 12, {"max_rows": 10}, "csv.too_long"),
        ("csv.parse", "," * 1_001, {"header": False}, "csv.too_wide"),
        ("csv.parse", '"' + "x" * 200_000, {}, "csv.invalid"),
        ("text.base64", "***", {"op": "decode"}, "base64.invalid"),
        ("text.base64", "/w==", {"op": "decode"}, "base64.invalid"),
        ("text.hash", "\ud800", {}, "text.not_unicode"),
        ("text.regex", "a" * 20, {"pattern": "a", "op": "find_all", "max_matches": 10}, "regex.too_many"),
        ("url.parse", "http://[::1", {}, "url.invalid"),
        ("url.parse", "https://a/" + "x" * 8_000, {}, "url.too_long"),
        ("time.parse", "9999-99-99", {}, "time.invalid"),
        ("time.parse", "1e999", {"format": "unix"}, "time.invalid"),
        ("time.parse", "0001-01-01T00:00:00+14:00", {}, "time.invalid"),
        ("time.add", "9999-12-31T00:00:00Z", {"years": 1}, "time.outside"),
        ("html.select", "<p>" * 20, {"selector": "p", "max_items": 10}, "html.too_many"),
        ("html.select", "<div>x" * 5_000, {"selector": "div", "max_items": 10_000}, "html.too_large"),
        ("html.text", "x" * 4_000_001, {}, "text.too_long"),
        ("html.text", 7, {}, "text.none"),
    ],
)
async def test_what_is_broken_or_over_a_bound_is_an_error_that_names_it(key, text, config, kind, run):
    assert await failing(run, key, text, **config) == kind


@pytest.mark.parametrize(
    ("key", "text", "config"),
    [
        ("text.regex", "a" * 50_000 + "!", {"pattern": "(a+)+$"}),
        ("text.regex", "a," * 10_000, {"pattern": "a", "op": "find_all"}),
        ("text.regex", "a" * 10_000, {"pattern": "a", "op": "replace", "replacement": "b"}),
        ("markdown.html", "[" * 50_000 + "*_" * 20_000 + "`" * 20_000, {}),
        ("html.clean", "<div>" * 8_000, {}),
        ("markdown.html", "> " * 3_000 + "a", {}),
        ("html.text", "<p>" * 50_000, {}),
        ("html.links", "<a href=x>" * 5_000, {"max_items": 10_000}),
        ("json.path", [[[[1] * 10] * 10] * 10] * 10, {"path": "$..*[0:2]"}),
    ],
)  # fmt: skip
async def test_what_would_take_others_for_ever_ends_soon(key, text, config, run):
    begun = time.process_time()

    await run(key, text, **config)

    assert time.process_time() - begun < 3


@pytest.mark.parametrize(
    "html",
    [
        "<img src=x onerror=alert(1)>",
        "<a href='java&#x0a;script:alert(1)'>x</a>",
        "<svg><style><img src=x onerror=alert(1)></style></svg>",
        "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe><form action=//x><input></form>",
    ],
)
async def test_no_script_comes_through_the_cleaning_of_html_or_markdown(html, run):
    for key in ("html.clean", "markdown.html"):
        (clean,) = (await run(key, html)).out()
        assert not any(
            word in clean.lower() for word in ("<script", "onerror=", "script:", "<iframe", "<form", "<style")
        )


async def test_a_selector_that_goes_back_and_forth_for_ever_is_ended(run, monkeypatch):
    """Where it is looked for in a thread, nothing would end it."""
    monkeypatch.setattr("polis.runtime.components.text.hypertext.SECONDS", 0.5)

    assert (
        await failing(run, "html.select", "<div>" * 2_000 + "<p>", selector="b div div div div p")
        == "work.too_long"
    )
    assert (await run("html.select", "<ul><li><b>x</b></ul>", selector="ul > li b")).out()[0][0][
        "text"
    ] == "x"


async def test_a_path_over_what_multiplies_is_refused(run):
    assert await failing(run, "json.path", [[0] * 1000] * 1000, path="$..*") == "json.too_large"


async def test_a_page_keeps_its_text_apart_from_its_code(run):
    html = "<head><style>p{}</style></head><body><template>t</template><p>a&amp;b</p>  <noscript>n</noscript>"

    assert (await run("html.text", html)).out() == ["a&b"]


odd = st.text(alphabet="aé0.5eE+-~ \n:#'\"[]{}&*!|>%@?,<=", max_size=12) | st.sampled_from(
    ["null", "yes", "0x1F"]
)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | odd,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd, inner, max_size=3),
        max_leaves=6,
    )
)
def test_what_is_written_as_yaml_is_read_back_as_it_was(value):
    from polis.runtime.components.text import yaml

    assert yaml._parsed(yaml._written(value)) == value


async def test_json_goes_through_text_and_back(run):
    value = {"a": [1, None, "x\n"], "b": {"c": 0.5}}
    (text,) = (await run("json.write", value, indent=2)).out()

    assert json.loads(text) == value
    assert (await run("json.parse", text)).out() == [value]


async def test_a_local_time_that_the_clocks_leave_out_is_the_one_after_it(run):
    config = {"format": "pattern", "pattern": "%Y-%m-%d %H:%M", "zone": "Europe/Berlin"}

    assert (await run("time.parse", "2026-03-29 02:30", **config)).out() == ["2026-03-29T01:30:00Z"]


@pytest.mark.parametrize(
    ("key", "config", "pointer"),
    [
        ("text.regex", {"pattern": "(?=a)"}, "/pattern"),
        ("text.regex", {"pattern": r"(a)\1"}, "/pattern"),
        ("text.regex", {"pattern": "(a{500}){500}"}, "/pattern"),
        ("text.regex", {"pattern": "(a)", "op": "replace", "replacement": r"\2"}, "/replacement"),
        ("html.select", {"selector": "p[["}, "/selector"),
        ("json.path", {"path": "$.a["}, "/path"),
        ("json.path", {"path": "$[?(@.a)]"}, "/path"),
        ("time.format", {"zone": "../../etc/passwd"}, "/zone"),
        ("time.format", {"pattern": "%Q"}, "/pattern"),
        ("time.parse", {"format": "pattern"}, "/pattern"),
    ],
)
def test_a_configuration_that_cannot_work_is_found_before_the_run(key, config, pointer):
    assert [fault.pointer for fault in config_faults(builtin.components()[key], config)] == [pointer]
