"""template: Mustache with bounds."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.runtime.component import StepFailed
from polis.runtime.components.mustache import MAX_OUTPUT, render
from polis.runtime.components.template import markdown


def rendered(template: str, data: object) -> str:
    return render(template, data, str)


@pytest.mark.parametrize(
    ("template", "data", "text"),
    [
        ("{{a.b}} {{ a.c }}", {"a": {"b": 1, "c": "x"}}, "1 x"),
        ("{{missing}}{{a.b.c}}", {"a": {"b": 1}}, ""),
        ("{{a}} {{b}} {{c}}", {"a": True, "b": 1.5, "c": [1, "x"]}, 'true 1.5 [1,"x"]'),
        ("{{#list}}<{{.}}>{{/list}}", {"list": [1, 2]}, "<1><2>"),
        ("{{#list}}{{name}}-{{outer}};{{/list}}", {"outer": "o", "list": [{"name": "n"}]}, "n-o;"),
        ("{{#a}}{{b}}{{/a}}", {"a": {"b": 1}}, "1"),
        ("{{#on}}yes{{/on}}{{^off}}no{{/off}}", {"on": True, "off": False}, "yesno"),
        ("{{^list}}empty{{/list}}{{#list}}x{{/list}}", {"list": []}, "empty"),
        ("{{#zero}}x{{/zero}}{{^text}}y{{/text}}", {"zero": 0, "text": ""}, "y"),
        ("{{#l}}{{.}}{{^@last}}, {{/@last}}{{/l}}", {"l": ["a", "b"]}, "a, b"),
        ("{{#l}}{{#@first}}>{{/@first}}{{@index}}{{/l}}", {"l": [7, 7]}, ">01"),
        ("a\n{{#l}}\n- {{.}}\n{{/l}}\nb", {"l": [1, 2]}, "a\n- 1\n- 2\nb"),
        ("a\n  {{! said to nobody }}\nb", {}, "a\nb"),
        ("{{{a}}} {{&a}}", {"a": "<b>"}, "<b> <b>"),
        ("{ } }} {a}", {}, "{ } }} {a}"),
        ("{{.}}", "text", "text"),
    ],
)
def test_mustache_means_what_its_manual_says(template, data, text):
    assert rendered(template, data) == text


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{#a}}", "'a' is not closed"),
        ("{{/a}}", "closed but not open"),
        ("{{#a}}{{#b}}{{/a}}{{/b}}", "'a' is closed but not open"),
        ("{{> file}}", "no partials"),
        ("{{=<% %>=}}", "no other delimiters"),
        ("{{a b}}", "not a name"),
        ("{{a", "not complete"),
        ("{{#a}}" * 30 + "{{/a}}" * 30, "nested deeper"),
        ("x" * 100_001, "at most"),
    ],
)
def test_a_faulty_template_is_refused_with_its_fault(template, said):
    with pytest.raises(StepFailed, match=said) as failure:
        rendered(template, {})

    assert failure.value.kind == "template.invalid"


@pytest.mark.parametrize(
    "name", ["text.__class__", "text.upper", "list.append", "map.keys", "map.__init__.__globals__"]
)
def test_names_reach_into_objects_and_never_into_attributes(name):
    assert rendered(f"{{{{{name}}}}}", {"text": "t", "list": [1], "map": {}}) == ""


def test_sections_in_sections_do_not_run_for_ever():
    with pytest.raises(StepFailed, match="steps") as failure:
        rendered("{{#l}}" * 8 + "x" + "{{/l}}" * 8, {"l": list(range(100))})

    assert failure.value.kind == "template.too_large"


def test_the_text_has_a_bound():
    with pytest.raises(StepFailed, match="over 2,000,000 characters"):
        rendered("{{#l}}{{text}}{{/l}}", {"l": [1] * 100, "text": "x" * (MAX_OUTPUT // 50)})


@pytest.mark.parametrize(
    "hostile", ["{{" * 40_000, "{{ " * 30_000, "{{#a" + " \n" * 40_000, "\n " * 45_000, "{" * 90_000]
)
def test_hostile_templates_are_read_in_linear_time(hostile):
    began = time.process_time()

    with pytest.raises(StepFailed) if "{{" in hostile else _nothing():
        rendered(hostile, {})

    assert time.process_time() - began < 1


class _nothing:  # noqa: N801
    def __enter__(self): ...
    def __exit__(self, *_): ...


@given(st.text(alphabet="{}#/^!&.a \n", max_size=60))
def test_any_text_renders_or_is_refused(template):
    try:
        rendered(template, {"a": [{"a": 1}]})
    except StepFailed as failure:
        assert failure.kind == "template.invalid"  # noqa: PT017


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain text, a.b@example.org (ok)", "plain text, a.b@example.org (ok)"),
        ("<script>alert(1)</script>", "\\<script\\>alert(1)\\</script\\>"),
        ("[click](http://example.org)", "\\[click\\](http://example.org)"),
        ("two\n\n# lines", "two # lines"),
        ("# title", "\\# title"),
        ("- item", "\\- item"),
        ("12. March", "12\\. March"),
        ("3.50 EUR", "3.50 EUR"),
        ("snake_case _emphasis_ **b**", "snake_case \\_emphasis\\_ \\*\\*b\\*\\*"),
        ("`code` \\", "\\`code\\` \\\\"),
    ],
)
def test_values_are_shown_in_markdown_as_they_are(value, shown):
    assert markdown(value) == shown


async def test_the_component_escapes_as_its_configuration_says(run):
    data = {"a": "<b>&"}

    assert (await run("template", data, template="{{a}}")).out() == ["\\<b\\>&"]
    assert (await run("template", data, template="{{a}}", escape="html")).out() == ["&lt;b&gt;&amp;"]
    assert (await run("template", data, template="{{a}}", escape="none")).out() == ["<b>&"]


async def test_a_text_over_its_bound_is_an_error_or_cut_as_configured(run):
    data = {"lines": [f"line {n}" for n in range(100)]}
    template = "{{#lines}}\n{{.}}\n{{/lines}}\n"

    with pytest.raises(StepFailed, match="over 200"):
        await run("template", data, template=template, max_chars=200)
    (text,) = (await run("template", data, template=template, max_chars=200, over="cut")).out()
    assert len(text) <= 200
    assert text.startswith("line 0\nline 1\n")
    assert text.endswith("\n\n(Cut: the whole text has 790 characters.)\n")
