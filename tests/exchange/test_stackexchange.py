"""A dump of StackExchange becomes demonstrations, preferences and prompts, with everybody named."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datasketch")
pytest.importorskip("markdownify")

from dump import LINKS, ONIONS, SITE, Row, answer, question, rows, write_dump, xml

from conftest import COMMAND, Cli, clean_environment, write_jsonl
from sciexam.check import check
from sciexam.errors import DocumentError, UsageError
from sciexam.exchange import training_data
from sciexam.exchange.html_to_markdown import words_of
from sciexam.exchange.post_index import PostIndex
from sciexam.exchange.question_draw import Choice
from sciexam.exchange.training_data import Made, make
from sciexam.models.recorded import read_responses
from sciexam.prompts import read_prompts
from sciexam.suite import load_suite

ALL_TRAIN = Choice(test_share=0.0)
HALF = Choice(test_share=0.5)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def by_id(path: Path) -> dict[str, dict[str, Any]]:
    return {line["id"].removeprefix(f"{SITE}/"): line for line in lines(path)}


def made_of(tmp_path: Path, posts: list[Row] | None = None, choice: Choice = ALL_TRAIN, **more: Any) -> Made:
    return make([write_dump(tmp_path, posts)], tmp_path / "out", choice, **more)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dump")
    made_of(folder)
    return folder / "out"


@pytest.fixture(scope="module")
def provenance(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "provenance.json").read_text())
    return found


def test_the_best_answer_to_each_question_is_a_demonstration(out: Path) -> None:
    found = by_id(out / "demonstrations.jsonl")
    assert found["1"]["score"] == 5
    assert found["1"]["votes"] == 30
    assert found["2"]["completion"] == "An hour a kilogram."  # of two with one vote the earlier
    assert found["10"]["prompt"].startswith("What is gluten made of?\n\nPlease explain")
    assert "4" not in found  # a negative answer is nobody's model
    assert set(found) <= set(by_id(out / "train_prompts.jsonl"))


def test_pairs_have_the_difference_of_scores_as_their_margin_and_are_at_most_ten(out: Path) -> None:
    found = lines(out / "preferences.jsonl")
    of_rye = [line for line in found if line["id"] == f"{SITE}/1"]
    assert sorted((x["score_chosen"], x["score_rejected"], x["margin"]) for x in of_rye) == [
        (3, -1, 4.0),
        (5, -1, 6.0),
        (5, 3, 2.0),
    ]
    assert len([line for line in found if line["id"] == f"{SITE}/9"]) == 10
    assert not [line for line in found if line["id"] == f"{SITE}/2"]  # a tie
    for line in found:
        assert [set(message) for key in ("prompt", "chosen", "rejected") for message in line[key]] == [
            {"role", "content"}
        ] * 3
        assert line["prompt"][0]["role"] == "user"
        assert line["chosen"][0]["role"] == "assistant"
        assert line["margin"] == line["score_chosen"] - line["score_rejected"] > 0


def test_every_text_names_its_author_its_link_and_the_licence_of_its_day(out: Path) -> None:
    lesson = by_id(out / "demonstrations.jsonl")["1"]
    assert lesson["attribution"] == [
        {
            "role": "question",
            "author": "Ann <b>Baker</b>",
            "author_link": f"https://{SITE}/users/7",
            "link": f"https://{SITE}/q/1",
            "licence": "CC BY-SA 2.5",
        },
        {
            "role": "answer",
            "author": "Ann <b>Baker</b>",
            "author_link": f"https://{SITE}/users/7",
            "link": f"https://{SITE}/a/11",
            "licence": "CC BY-SA 2.5",  # a millisecond before 2011-04-08
        },
    ]
    texts = [text for line in lines(out / "preferences.jsonl") for text in line["attribution"]]
    by_link = {text["link"].rpartition("/")[2]: text for text in texts}
    assert by_link["12"]["licence"] == "CC BY-SA 4.0"  # at the first moment of 2018-05-02
    assert by_link["13"]["author"] == "user42"
    assert by_link["13"]["author_link"] is None
    if "62" in by_link:  # of questions 5 and 6 one is kept
        assert by_link["62"]["author"] == "Community"
    assert by_id(out / "train_prompts.jsonl")["2"]["attribution"][0]["author"] is None  # deleted, and left no name


def test_an_edit_and_what_the_dump_states_decide_the_licence(tmp_path: Path) -> None:
    posts = [
        question(1, "One?", CreationDate="2010-01-01T00:00:00", LastEditDate="2012-01-01T00:00:00"),
        answer(2, 1, 4, ContentLicense="CC BY-SA 4.0"),
        answer(3, 1, 1, "<p>Other.</p>", ContentLicense="whatever"),
    ]
    made = made_of(tmp_path, posts)
    assert made.licences == {"CC BY-SA 3.0": 2, "CC BY-SA 4.0": 1}, "each post once, whatever rows it stands in"
    (pair,) = lines(tmp_path / "out" / "preferences.jsonl")
    assert [text["licence"] for text in pair["attribution"]] == ["CC BY-SA 3.0", "CC BY-SA 4.0", "CC BY-SA 3.0"]


def test_what_was_left_out_is_counted_by_reason(out: Path, provenance: dict[str, Any]) -> None:
    assert provenance["read"] == {"questions": 10, "answers": 27, "other": 1}
    assert provenance["left_out"]["questions"] == {
        "without an answer good enough, and without two that differ": 2,
        "closed as a duplicate of a kept one": 1,
        "near-duplicate of a kept one": 1,
        "without an answer": 1,
    }
    assert provenance["left_out"]["answers"] == {
        "without a text, or nested too deep to read": 2,
        "whose question is not in the dump": 1,
    }
    assert provenance["questions"] == {"train": 5, "test": 0}
    assert sum(provenance["questions"].values()) + sum(provenance["left_out"]["questions"].values()) == 10
    names = [Path(source["file"]).name for source in provenance["sources"]]
    assert names == ["Posts.xml", "Users.xml", "PostLinks.xml"]
    assert sorted(path.name for path in out.iterdir()) == [
        ".sciexam-files",
        "demonstrations.jsonl",
        "preferences.jsonl",
        "provenance.json",
        "train_prompts.jsonl",
    ]


def test_the_order_of_rows_and_the_seed_of_hashes_change_nothing(tmp_path: Path) -> None:
    made_of(tmp_path, choice=HALF)
    shuffled = rows()
    random.Random(3).shuffle(shuffled)
    dump = write_dump(tmp_path / "other", shuffled, LINKS)
    command = [str(COMMAND), "data", "stackexchange", str(dump), "--out", str(tmp_path / "2"), "--test-share", "0.5"]
    env = clean_environment() | {"PYTHONHASHSEED": "77"}
    done = subprocess.run([*command, "--json"], env=env, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == json.loads((tmp_path / "2" / "provenance.json").read_text())
    files = [path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".jsonl"]
    assert len(files) >= 5
    for name in files:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name
    for key in ("read", "left_out", "questions", "licences"):
        one, two = (json.loads((tmp_path / folder / "provenance.json").read_text()) for folder in ("out", "2"))
        assert one[key] == two[key]


def test_another_seed_draws_another_test_set(tmp_path: Path) -> None:
    posts = [row for n in range(40) for row in (question(n, f"Topic {n} of words{n}?"), answer(100 + n, n, 5))]
    parts = []
    for seed in (0, 1):
        made_of(tmp_path, posts, Choice(test_share=0.3, seed=seed))
        parts.append(set(by_id(tmp_path / "out" / "test_prompts.jsonl")))
    assert parts[0] != parts[1]
    assert all(5 <= len(part) <= 20 for part in parts)


def test_a_near_duplicate_of_a_test_question_never_trains(tmp_path: Path) -> None:
    posts = []
    for n in range(60):  # thirty questions, each said twice in nearly the same words
        said = f"<p>{' '.join(f'word{n // 2}x{k}' for k in range(60))} variant{n}</p>"
        posts += [question(n, f"Topic {n // 2} again and again?", said), answer(100 + n, n, 5)]
    made = made_of(tmp_path, posts, HALF)
    topics = {
        part: [line["text"].split()[1] for line in lines(tmp_path / "out" / f"{part}_prompts.jsonl")]
        for part in ("train", "test")
    }
    assert not set(topics["train"]) & set(topics["test"])
    assert sorted(topics["train"] + topics["test"], key=int) == [str(n) for n in range(30)]
    left = made.left_out["questions"]
    assert left["near-duplicate of a test question"] + left["near-duplicate of a kept one"] == 30
    assert left["near-duplicate of a test question"] >= 5


def test_both_duplicates_of_a_question_that_is_not_kept_are_one(tmp_path: Path) -> None:
    posts = [question(1, "Nobody answered this?"), question(2, "Flat bread?"), answer(3, 2, 4)]
    posts += [question(4, "Why so dense, my loaf?"), answer(5, 4, 4)]
    links: list[Row] = [{"Id": n, "PostId": n, "RelatedPostId": 1, "LinkTypeId": 3} for n in (2, 4)]
    made = make([write_dump(tmp_path, posts, links)], tmp_path / "out", ALL_TRAIN)
    assert made.questions["train"] == 1
    assert made.left_out["questions"]["closed as a duplicate of a kept one"] == 1


def test_filters_keep_what_was_asked_for(tmp_path: Path) -> None:
    def kept(**given: Any) -> set[str]:
        made_of(tmp_path, choice=Choice(test_share=0.0, **given))
        return set(by_id(tmp_path / "out" / "train_prompts.jsonl"))

    assert kept(tags=("pasta", "meat")) == {"2", "9"}
    assert kept(since="2020-01-02") == {"9"}
    assert kept(until="2010-07-09") == {"1"}
    assert len(kept(max_questions=6)) <= 6
    assert kept(min_score=4) >= {"9", "1"}
    demonstrated = by_id(tmp_path / "out" / "demonstrations.jsonl")
    assert "10" not in demonstrated
    assert demonstrated["9"]["score"] == 12


def test_demonstrations_can_be_messages(tmp_path: Path) -> None:
    made_of(tmp_path, choice=Choice(test_share=0.0, messages=True))
    line = by_id(tmp_path / "out" / "demonstrations.jsonl")["10"]
    assert [message["role"] for message in line["messages"]] == ["user", "assistant"]
    assert "prompt" not in line


# ---------------------------------------------------------------- what else exists takes the files


def test_prompts_of_a_suite_are_kept_out_of_training_and_the_check_agrees(tmp_path: Path) -> None:
    asked = [{"id": "q1", "text": "Explain in simple words what gluten is made of."}]  # inside of question 10
    asked.append({"id": "q2", "text": "An hour a kilogram!"})  # the whole of an answer to question 2
    write_jsonl(tmp_path / "prompts.jsonl", asked)
    write_jsonl(tmp_path / "a.jsonl", [{"prompt": one["id"], "text": "x"} for one in asked])
    models = {
        "base": {"weights": "x/y"},
        "sft": {"from": "base", "stage": "sft", "data": "out/demonstrations.jsonl", "responses": "a.jsonl"},
        "rm": {"from": "sft", "stage": "reward", "data": "out/preferences.jsonl"},
    }
    exam = tmp_path / "exam.yaml"
    exam.write_text(json.dumps({"suite": "exam", "prompts": "prompts.jsonl", "contestants": ["sft"], "models": models}))

    def found() -> list[str]:
        return [one.text for one in check(load_suite(str(exam))) if "word for word" in one.text or "train " in one.text]

    made_of(tmp_path)
    assert any("train sft on prompts of the exam" in text for text in found())
    made = made_of(tmp_path, suite=str(exam))
    assert made.left_out["questions"]["holds a prompt of the suite"] == 2
    assert found() == [
        "sft: no prompt of the exam stands word for word in demonstrations.jsonl",
        "rm: no prompt of the exam stands word for word in preferences.jsonl",
    ]


FLAT = (
    "<p>My oven is old, and the kitchen is as cold as the street. I knead by hand for ten minutes and let it rest. "
    "<b>Why</b> does my <a href='https://x.y/z'>rye bread</a> stay so flat in winter?</p>"
)


def test_a_question_that_says_nearly_what_the_suite_asks_does_not_train(tmp_path: Path) -> None:
    posts = [
        question(1, "Why do onions make me cry?", ONIONS),
        answer(11, 1, 5, "<p>A gas.</p>"),
        question(2, "Bread", FLAT),
        answer(21, 2, 5, "<p>It is cold.</p>"),
        question(3, "How long does a roast take?", "<p>It has two kilograms.</p>"),
        answer(31, 3, 5, "<p>Two hours.</p>"),
    ]
    onions = f"Why do onions make people cry?\n\n{words_of(ONIONS).replace('sister', 'brother')}"
    write_jsonl(
        tmp_path / "prompts.jsonl",
        [{"id": "q1", "text": onions}, {"id": "q2", "text": "Why does my rye bread stay so flat in winter?"}],
    )
    exam = tmp_path / "exam.yaml"
    exam.write_text(
        json.dumps(
            {"suite": "exam", "prompts": "prompts.jsonl", "contestants": ["m"], "models": {"m": {"weights": "x/y"}}}
        )
    )
    made = made_of(tmp_path, posts, suite=str(exam))
    assert made.left_out["questions"] == {
        "holds a prompt of the suite": 1,
        "near-duplicate of a prompt of the suite": 1,
    }
    assert list(by_id(tmp_path / "out" / "train_prompts.jsonl")) == ["3"]
    again = made_of(tmp_path, posts, Choice(test_share=0.9, seed=3), suite=str(exam))
    assert again.questions["test"] == 3, "what the suite asks may be asked in a test"


def test_test_questions_are_prompts_and_their_best_answers_a_contestant(tmp_path: Path) -> None:
    made_of(tmp_path, choice=HALF)
    prompts = read_prompts(tmp_path / "out" / "test_prompts.jsonl")
    answers = read_responses(tmp_path / "out" / "test_answers.jsonl")
    assert prompts
    assert {prompt for prompt, _ in answers} <= {prompt.id for prompt in prompts}
    assert prompts[0].metadata["site"] == SITE


# ---------------------------------------------------------------- what cannot be read


GOOD = question(1, "One?")
FAULTS = {
    "no id": ({"Id": None}, "Posts.xml:3: row ?: Id: is missing"),
    "an id that is none": ({"Id": "x"}, "Posts.xml:3: row x: Id: 'x' is no whole number"),
    "no kind": ({"PostTypeId": None}, "row 1: PostTypeId: is missing"),
    "votes that are none": ({"Score": "3.5"}, "row 1: Score: '3.5' is no whole number"),
    "no votes": ({"Score": None}, "row 1: Score: is missing"),
    "no body": ({"Body": None}, "row 1: Body: is missing"),
    "no title": ({"Title": None}, "row 1: Title: is missing"),
    "no date": ({"CreationDate": "yesterday"}, "row 1: CreationDate: 'yesterday' is no date"),
    "an answer to nothing": ({"PostTypeId": 2}, "row 1: ParentId: is missing"),
    "an accepted answer that is none": ({"AcceptedAnswerId": "-"}, "row 1: AcceptedAnswerId: '-' is no whole number"),
}


@pytest.mark.parametrize(("change", "told"), FAULTS.values(), ids=FAULTS)
def test_a_row_that_cannot_be_understood_is_told_with_its_line(change: Row, told: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        made_of(tmp_path, [{**GOOD, **change}, {**GOOD, "Id": 2, "Score": "many"}])
    assert told in str(caught.value)
    assert "row 2: Score: 'many' is no whole number" in str(caught.value)  # all faults at once
    assert not (tmp_path / "out").exists()


def test_two_posts_of_one_id_are_told_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"Posts\.xml:4: id '.*/1' stands at .*Posts\.xml:3, too"):
        made_of(tmp_path, [GOOD, GOOD])


LAUGHS = '<!DOCTYPE a [<!ENTITY b "lol"><!ENTITY c "&b;&b;&b;">]>\n<posts><row Id="1" Body="&c;"/></posts>'
FILES = {
    "a billion laughs": (LAUGHS, r"Posts\.xml:1: a DOCTYPE, which no file of a dump has, is not read"),
    "an external DTD": ('<!DOCTYPE posts SYSTEM "file:///etc/passwd">\n<posts/>', "1: a DOCTYPE"),
    "an unknown entity": ('<posts>\n<row Id="&x;"/></posts>', r"Posts\.xml:2: not XML: undefined entity"),
    "a file that was cut off": (xml("posts", rows())[:900], r"not XML: the file ends in the middle; was it cut off\?"),
    "an empty file": ("", r"Posts\.xml:1: not XML: the file ends in the middle"),
    "another file of the dump": (xml("users", []), r"Posts\.xml:2: <users> where <posts> is expected"),
    "elements in rows": ("<posts><row Id='1'><b/></row></posts>", "a <row> of <posts> is expected"),
    "a nest": ("<posts>" + "<row>" * 9, "Posts.xml:1: "),
    "no question": (xml("posts", []), "no question is left of 0; is this the right file?"),
    "no XML at all": ("PK\x03\x04", r"Posts\.xml:1: not XML"),
}


@pytest.mark.parametrize(("content", "told"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_dump_is_refused(content: str, told: str, tmp_path: Path) -> None:
    path = write_dump(tmp_path)
    path.write_text(content)
    with pytest.raises(UsageError, match=told):
        make([path], tmp_path / "out", ALL_TRAIN)


def test_a_row_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = write_dump(tmp_path)
    with path.open("w") as file:
        file.write('<posts>\n<row Id="1" Body="')
        for _ in range(40):
            file.write("x" * 1_000_000)
        file.write('"/></posts>')
    with pytest.raises(DocumentError, match=r"Posts\.xml:2?\d*: more than 16,000,000 bytes without a row"):
        make([path], tmp_path / "out", ALL_TRAIN)


def test_a_full_disk_says_where_temporary_files_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(PostIndex):
        def finish(self) -> None:
            pages = self.database.execute("PRAGMA page_count").fetchone()[0]
            self.database.execute(f"PRAGMA max_page_count = {pages}")
            super().finish()

    monkeypatch.setattr(training_data, "PostIndex", Small)
    with pytest.raises(UsageError, match=r"no room for temporary files \(database or disk is full\).*TMPDIR"):
        made_of(tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_faulty_dump_leaves_the_folder_as_it_was(sciexam: Cli, tmp_path: Path) -> None:
    path = write_dump(tmp_path)
    assert sciexam("data", "stackexchange", str(path), "--out", "out").returncode == 0
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    path.write_text(path.read_text().replace('Score="30"', 'Score="\x9b31m"'))
    done = sciexam("data", "stackexchange", str(path), "--out", "out")
    assert done.returncode == 2
    assert done.stderr.startswith(f"sciexam: {path}:4: row 11: Score: ")
    assert "\x9b" not in done.stderr
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before


@pytest.mark.slow
def test_an_imported_suite_is_not_replaced_and_an_import_does_not_replace_what_this_made(
    sciexam: Cli, tmp_path: Path
) -> None:
    (tmp_path / "b.csv").write_text("model_a,model_b,winner\nx,y,tie\n")
    write_dump(tmp_path)
    landing, making = ("import", "lmarena", "b.csv"), ("data", "stackexchange", SITE)
    assert sciexam(*landing, "--out", "suite").returncode == sciexam(*making, "--out", "made").returncode == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for command, out, holds in (
        (making, "suite", "a suite that `sciexam import` wrote"),
        (landing, "made", "training data that `sciexam data stackexchange` wrote"),
    ):
        done = sciexam(*command, "--out", out)
        assert done.returncode == 2
        assert done.stderr == (
            f"sciexam: --out: {out} holds {holds}, and would be replaced as a whole; name another folder\n"
        )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert sciexam(*landing, "--out", "suite").returncode == sciexam(*making, "--out", "made").returncode == 0


def test_a_dump_without_a_name_asks_for_its_site(tmp_path: Path) -> None:
    nameless = write_dump(tmp_path).rename(tmp_path / "Posts.xml")
    with pytest.raises(UsageError, match=r"say which site it is of, for the links: --site cooking\.stackexchange\.com"):
        make([nameless], tmp_path / "out", ALL_TRAIN)
    elsewhere = Choice(site="bread.example.org")
    make([nameless], tmp_path / "out", elsewhere)
    assert "https://bread.example.org/q/" in (tmp_path / "out" / "train_prompts.jsonl").read_text()
    with pytest.raises(UsageError, match=f"is of {SITE} by its name, and --site says bread.example.org"):
        make([write_dump(tmp_path)], tmp_path / "out", elsewhere)
    with pytest.raises(UsageError, match="name it as browsers do"):
        make([nameless], tmp_path / "out", Choice(site="cooking"))


def test_the_console_says_what_was_read_kept_left_out_and_what_is_next(sciexam: Cli, tmp_path: Path) -> None:
    write_dump(tmp_path)
    done = sciexam("data", "stackexchange", SITE, "--out", "out", "--test-share", "0.5")
    assert done.returncode == 0, done.stderr
    assert "Read: 10 questions, 27 answers, 1 other" in done.stdout
    assert "Left out questions:" in done.stdout
    assert " 1 near-duplicate of a " in done.stdout
    assert "    sft: {from: base, stage: sft, data: out/demonstrations.jsonl}" in done.stdout
    assert "    prompts: out/test_prompts.jsonl" in done.stdout
    assert done.stdout.rstrip().endswith("sciexam check SUITE")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_dump(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
    import stackexchange

    small, _ = stackexchange.write_dump(tmp_path / "20", 20_000_000)
    large, _ = stackexchange.write_dump(tmp_path / "60", 60_000_000)
    assert stackexchange.measured(small, tmp_path / "out")["mb"] < 220
    few = ("--max-questions", "500")  # all is read, and little of it made into Markdown
    peaks = [stackexchange.measured(path, tmp_path / "out", *few)["mb"] for path in (small, large)]
    assert peaks[1] - peaks[0] < 15, peaks
