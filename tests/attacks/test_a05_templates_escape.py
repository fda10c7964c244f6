"""A judge's template reaches behind its variables or eats the memory; answers and rubrics are templates themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Cli, answers, write_suite
from endpoint import Body, Endpoint, nonce_of, prompt_of
from rows import Tally
from sciexam.errors import UsageError
from sciexam.judges.rendering import JudgeTemplate
from sciexam.rubric import Rubric, load_rubric
from sciexam.sandbox import LONGEST
from sciexam.types import Message, Presentation, Prompt

RUBRIC = load_rubric("science-explanation")
QUESTION = Prompt(id="p1", messages=(Message(role="user", content="Why does ice float?"),), reference="Lower density.")


def shown(first: str = "one", second: str = "two") -> Presentation:
    return Presentation(prompt=QUESTION, first=first, second=second, order="ab", seal="0123456789abcdef" * 2)


def written(folder: Path, source: str) -> JudgeTemplate:
    path = folder / "t.j2"
    path.write_text(source, encoding="utf-8")
    return JudgeTemplate(str(path), None, RUBRIC)


def refusal(folder: Path, source: str) -> str:
    with pytest.raises(UsageError) as caught:
        written(folder, source)
    return str(caught.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ answr_a }}", "t.j2: {{ answr_a }} is not a variable of a judge template; did you mean 'answer_a'?"),
        ("{% if false %}{{ model_name }}{% endif %}", "t.j2: {{ model_name }} is not a variable of a judge template"),
        ("{{ first_by }}", "t.j2: {{ first_by }} is not a variable of a judge template"),
        ("{{ range(9) }}", "t.j2: {{ range }} is not a variable of a judge template"),
        ("{{ lipsum.__globals__ }}", "t.j2: {{ lipsum }} is not a variable of a judge template"),
        ("one\n{{ question question }}", "t.j2:2: expected token 'end of print statement', got 'question'"),
        ("{% for %}", "t.j2:1: Expected an expression"),
        ("{{ question|nosuch }}", "t.j2:1: No filter named 'nosuch'"),
        pytest.param("{{ " + "(" * 9999 + ")" * 9999 + " }}", "t.j2: an expression is nested too deep", id="deep"),
        ("{% include '/etc/passwd' %}", "t.j2:1: TypeError: no loader"),
        ("{{ examples.append(1) }}", "t.j2:1: SecurityError: "),
        ("{{ question.nosuch }}", "t.j2:1: UndefinedError: "),
        ("{{ 1 / 0 }}", "t.j2:1: ZeroDivisionError: "),
    ],
)
def test_a_template_that_cannot_work_is_refused_when_it_is_read(tmp_path: Path, source: str, message: str) -> None:
    assert refusal(tmp_path, source).startswith(message)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}",
        "{{ ''|attr('__class__') }}",
        "{{ ''['__class__'] }}",
        "{{ question.__class__.__mro__[1].__subclasses__() }}",
        "{{ '{0.__class__}'.format('') }}",
        "{{ ('{0.__class__.__mro__}'|string).format_map({}) }}",
        "{{ question.encode.__self__ }}",
        "{% set f = ''.join %}{{ f.__func__ }}",
        "{{ [1]|map(attribute='__class__')|join }}",
        "{{ self.__init__.__globals__ }}",
        "{{ (examples|map('upper')).gi_frame }}",
    ],
)
def test_no_template_reaches_behind_its_variables(tmp_path: Path, source: str) -> None:
    assert refusal(tmp_path, source).startswith("t.j2:1: ")


def test_an_escape_hidden_from_the_trial_is_refused_when_it_is_reached(tmp_path: Path) -> None:
    template = written(tmp_path, "{{ question }}{% if answer_a == 'one' %}{{ ''.__class__ }}{% endif %}")
    with pytest.raises(UsageError, match="access to attribute '__class__' of 'str' object is unsafe"):
        template.render(shown("one"))


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 1000000000 * [1] }}",
        "{{ 9 ** 999999999 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '{:>999999999}'|attr('format')(1) }}",
        "{{ 'a'.ljust(999999999) }}",
        "{{ 'a'.zfill(999999999) }}",
        "{{ '\t'.expandtabs(999999999) }}",
        "{{ 'a'|center(999999999) }}",
        "{{ 'a\n'|indent(999999999) }}",
        "{{ [1]|batch(999999999, 1)|list }}",
        "{{ [1]|slice(999999999)|list }}",
        "{{ [[1]]|tojson(indent=999999999) }}",
    ],
)
def test_a_template_that_would_eat_the_memory_is_refused_at_once(tmp_path: Path, source: str) -> None:
    found = refusal(tmp_path, source)
    assert re.match(r"t\.j2:\d: (SecurityError|ValueError: tojson)|t\.j2:\d: No filter named", found)


def test_a_rendered_prompt_has_a_longest_length(tmp_path: Path) -> None:
    template = written(tmp_path, "{% for letter in question %}{{ answer_a }}{% endfor %}")
    with pytest.raises(UsageError, match="longer than 20,000,000 characters"):
        template.render(shown("x" * (LONGEST // 10)))


def test_a_rubric_is_only_text_too() -> None:
    rubric = Rubric.model_validate({"rubric": "r", "criteria": [{"name": "x", "question": "{{ nonce }}{% raw %}"}]})
    assert "{{ nonce }}{% raw %}" in JudgeTemplate("reason", None, rubric).render(shown())


@given(st.text(alphabet="{}%# \n<>ANSWERB[]0123456789abcdef", max_size=40))
def test_any_answer_and_question_are_only_text(text: str) -> None:
    template = JudgeTemplate("reason", None, RUBRIC)
    plain = template.render(shown("one", "X1X"))
    assert template.render(shown("one", text)) == plain.replace("X1X", text)


# ---------------------------------------------------------------- the whole command

ESCAPES = (
    "{{ 31337 * 31337 }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{% for x in range(9) %}{{ x }}{% endfor %}",
    "{% include '/etc/passwd' %}",
    "{{ nonce }} {{ boundary }} {{ answer_a }}",
    "{# a remark #}{% raw %}{{ x }}{% endraw %}",
    "{{",
    "%}",
)


def exam(folder: Path, url: str, **judge: str) -> str:
    """A suite whose questions, answers and rubric are templates."""
    models = {name: {"responses": answers(folder, name, [f"{name}: {one}" for one in ESCAPES])} for name in ("a", "b")}
    known = {"llm": {"backend": "openai", "model": "m", "base_url": url, "api_key_env": None} | judge}
    rubric = '{"rubric": "r", "criteria": [{"name": "x", "question": "{{ 31337 * 31339 }}{% raw %}"}]}'
    (folder / "rubric.yaml").write_text(rubric, encoding="utf-8")
    return write_suite(folder, len(ESCAPES), models, judges=known, judge="llm", rubric="rubric.yaml").name


def test_what_answers_and_rubric_say_in_a_templates_words_reaches_the_judge_as_it_stands(
    sciexam: Cli, tmp_path: Path, tally: Tally
) -> None:
    asked: list[str] = []

    def reply(body: Body) -> str:
        asked.append(prompt_of(body))
        return f"VERDICT {nonce_of(prompt_of(body))}: A=B"

    with Endpoint(reply=reply) as endpoint:
        done = sciexam("compare", "-s", exam(tmp_path, endpoint.url))
    assert done.returncode == 0, done.stderr
    assert len(asked) == 2 * len(ESCAPES)
    for one in ESCAPES:
        assert sum(f"\na: {one}\n" in prompt and f"\nb: {one}\n" in prompt for prompt in asked) == 2
    assert all("{{ 31337 * 31339 }}{% raw %}" in prompt for prompt in asked)
    assert not [prompt for prompt in asked if "982007569" in prompt or "982070243" in prompt or "root:" in prompt]
    tally(len(asked))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("one\n{{ question question }}", "t.j2:2: expected token"),
        ("{{ question }}\n{{ lipsum.__globals__ }}", "t.j2: {{ lipsum }} is not a variable of a judge template"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "t.j2:1: SecurityError: access to attribute"),
        ("one\n{{ question }}\n{{ 'a' * 10**9 }}", "t.j2:3: SecurityError: the operator"),
    ],
)
def test_the_command_names_the_file_of_a_hostile_template_before_anything_is_asked(
    source: str, said: str, sciexam: Cli, tmp_path: Path
) -> None:
    (tmp_path / "t.j2").write_text(source, encoding="utf-8")
    with Endpoint() as endpoint:
        done = sciexam("compare", "-s", exam(tmp_path, endpoint.url, template="t.j2"))
        assert endpoint.requests == 0
    assert done.returncode == 2
    assert said in done.stderr
