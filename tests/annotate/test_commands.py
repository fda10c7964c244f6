"""`sciexam annotate`: what its commands print, refuse, and write."""

from __future__ import annotations

import csv
import json
import re
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from annotate_queue import judging_by, queue_of
from conftest import Cli, answers, write_jsonl, write_suite
from sciexam.annotate.desk import Desk, keep_queue
from sciexam.annotate.links import until
from sciexam.annotate.serving import write_invitations
from sciexam.store import Store
from study import Study

Serve = Callable[..., Study]


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A folder whose ledger holds what Ann and Bob judged."""
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        queue = queue_of(tmp_path, store, prompts=4, scale="five-point")
        for name, choice in (("Ann", "left-much"), ("Bob", "tie")):
            judging_by(Desk(store, queue), store.annotators.add(name, until(1)), lambda item, shown, c=choice: c)
    return tmp_path


# ---------------------------------------------------------------- serve


def test_links_are_printed_one_a_line_and_kept_in_a_file_that_only_the_owner_reads(
    study: Serve, tmp_path: Path
) -> None:
    (tmp_path / "names.txt").write_text("Ann Lee\n\n  Bøb  \n")
    served = study("--names", "names.txt", "--overlap", "2")
    lines = [line.split("  ") for line in served.output.splitlines() if "  http" in line]
    assert [line[1].strip() for line in lines] == ["Ann Lee", "Bøb", "the owner"]
    [file] = tmp_path.glob("results/*/*/links.csv")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["pseudonym"] for row in rows] == ["annotator-1", "annotator-2", "adjudication"]
    assert [row["link"] for row in rows] == [line[-1].strip() for line in lines]


def test_the_rubric_is_named_and_where_it_comes_from(study: Serve, tmp_path: Path) -> None:
    served = study("--annotators", "1")
    assert "\nRubric: helpfulness (that of suite exam; --rubric NAME or FILE for another)\n" in served.output
    assert "\nThe links open on this machine alone; for others: --host 0.0.0.0 --public-url http" in served.output


def test_bare_files_are_told_that_their_rubric_is_the_default(study: Serve) -> None:
    served = study("base.jsonl", "sft.jsonl", "--annotators", "1")
    told = "\nRubric: helpfulness (the default; --rubric NAME or FILE for another)\n"
    assert told in served.output


def test_a_rubric_that_was_chosen_is_named_alone(study: Serve) -> None:
    served = study("--annotators", "1", "--rubric", "helpfulness", "--public-url", "https://annotate.example.org")
    assert "\nRubric: helpfulness\n" in served.output
    assert "this machine alone" not in served.output


def test_nobody_else_is_served_without_a_public_address(sciexam: Cli) -> None:
    done = sciexam("annotate", "serve", "base", "sft", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "--host 0.0.0.0 serves other machines; say under which address they reach it: --public-url" in done.stderr


@pytest.mark.parametrize("url", ["annotate.example.org", "ftp://x.org", "https://x.org/path", "https://"])
def test_a_public_address_is_an_address(sciexam: Cli, url: str) -> None:
    done = sciexam("annotate", "serve", "base", "sft", "--public-url", url)
    assert done.returncode == 2
    assert "--public-url: an address like https://annotate.example.org" in done.stderr


def test_links_begin_with_the_public_address_and_it_is_served(study: Serve) -> None:
    served = study("--annotators", "1", "--public-url", "https://annotate.example.org")
    link = served.links["annotator-1"]
    assert link.startswith("https://annotate.example.org/a/")
    path = link.removeprefix("https://annotate.example.org")
    answer = httpx2.get(served.origin + path, headers={"host": "annotate.example.org"}, follow_redirects=False)
    assert answer.status_code == 303


def test_a_port_that_is_taken_is_told(sciexam: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = sciexam("annotate", "serve", "base", "sft", "--port", str(taken.getsockname()[1]))
        known = sciexam("annotate", "serve", "base", "stf", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "address already in use; perhaps this is being served already; choose another with --port" in done.stderr
    assert "did you mean 'sft'?" in known.stderr


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Ann\nBob\nAnn\n", "names.txt:3: 'Ann' stands in line 1 already"),
        ("Ann\n\x1b[2J\n", "names.txt:2: a name has 1 to 100 printable characters"),
        ("Ann\n" + "x" * 101, "names.txt:2: a name has 1 to 100 printable characters"),
        ("\n \n", "names.txt: holds no names; give one name a line"),
    ],
)
def test_a_file_of_names_is_told_its_fault_with_the_line(sciexam: Cli, tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "names.txt").write_text(text)
    done = sciexam("annotate", "serve", "base", "sft", "--names", "names.txt")
    assert done.returncode == 2
    assert what in done.stderr


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--overlap", "0"), "--overlap: 1 or more annotators for each item, not 0"),
        (
            ("--draw", "101"),
            "--draw: 101 prompts of the 100 in 'science' that everyone can answer; draw fewer, "
            "or leave --draw out for all 100",
        ),
        (("--task", "ranking", "--samples", "1"), "3 to 9 answers to a prompt, not 2 (2 contestants x 1 samples)"),
        (
            ("--task", "demonstrations"),
            "name the one contestant whose answers are edited, or none",
        ),
        (("--gold", "nowhere.jsonl"), "nowhere.jsonl: no such file of gold items"),
        (("--guide", "nowhere.txt"), "--guide nowhere.txt: No such file or directory"),
        (("--days", "0"), "--days: how long a link is valid, up to 3650 days, not 0"),
        (("--annotators", "0"), "--annotators"),
    ],
)
def test_what_cannot_be_served_is_refused(sciexam: Cli, options: tuple[str, ...], what: str) -> None:
    done = sciexam("annotate", "serve", "base", "sft", "--port", "0", *options)
    assert done.returncode == 2, done.stdout
    assert what in done.stderr


def test_one_contestant_alone_needs_two_samples(sciexam: Cli) -> None:
    done = sciexam("annotate", "serve", "sft", "--port", "0", "--samples", "1")
    assert done.returncode == 2
    assert "--samples 2" in done.stderr


def test_without_a_contestant_demonstrations_are_written(study: Serve) -> None:
    served = study("--task", "demonstrations", "--annotators", "1", "--draw", "2", prompts=3)
    for text in ("One.", "Two."):
        page = httpx2.get(served.links["annotator-1"], follow_redirects=True)
        body = {"turn": "0", "choice": "write", "text": text}
        assert httpx2.post(str(page.url), data=body, follow_redirects=False).status_code == 303
    assert served.run("annotate", "export", "demonstrations", "-o", "d.jsonl").returncode == 0
    assert [line["completion"] for line in lines_of(served.folder / "d.jsonl")] == ["One.", "Two."]


def test_answers_that_name_a_model_are_counted(study: Serve) -> None:
    texts = ["As an AI language model, I think so.", "Because it is.", "Ask GPT-4.", "The llama is an animal."]
    served = study("--annotators", "1", prompts=2, texts=lambda name, prompt, _: texts[2 * prompt + (name == "sft")])
    assert "2 of 4 answers (50%) name a model, and may tell who wrote them." in served.output


def test_another_plan_for_the_same_queue_is_told_and_what_makes_it_as_it_was(study: Serve) -> None:
    study("--annotators", "2", prompts=6).stop()
    served = study("--annotators", "2", "--draw", "4", "--overlap", "1", prompts=6)
    assert (
        "This queue had 6 pairs of 6 prompts, 2 annotators for each; now 4 pairs of 4 prompts, 1 annotator for each. "
        "What was judged stays.\n"
        "To keep it as it was, Ctrl-C, and the same command with --overlap 2 and without --draw.\n"
    ) in served.output
    assert "; 1 annotator for each, so about 2 an annotator." in served.output
    served.stop()
    again = study("--annotators", "2", "--draw", "4", "--overlap", "1", prompts=6)
    assert "This queue had" not in again.output
    again.stop()
    wider = study("--annotators", "2", "--overlap", "2", prompts=6)
    had = "This queue had 4 pairs of 4 prompts, 1 annotator for each; now 6 pairs of 6 prompts, 2 annotators for each."
    assert had in wider.output
    assert "To keep it as it was, Ctrl-C, and the same command with --draw 4 --overlap 1.\n" in wider.output


def test_a_queue_keeps_its_overlap_its_repeats_and_its_guide_until_others_are_given(
    study: Serve, tmp_path: Path
) -> None:
    (tmp_path / "guide.txt").write_text("Read both.")
    (tmp_path / "empty.txt").write_text("")
    study("--annotators", "2", "--overlap", "1", "--repeats", "3", "--guide", "guide.txt").stop()
    kept = study("--annotators", "3")
    queue = kept.kept()[0]
    assert (queue.overlap, queue.repeats, queue.guide) == (1, 3, "Read both.")
    assert "This queue had" not in kept.output
    kept.stop()
    other = study("--annotators", "3", "--overlap", "2", "--repeats", "0", "--guide", "empty.txt").kept()[0]
    assert (other.overlap, other.repeats, other.guide) == (2, 0, "")


def test_what_was_judged_outside_a_narrower_draw_is_told_wherever_it_is_not_counted(judged: Path, sciexam: Cli) -> None:
    with Store(judged / "results" / "ledger.sqlite") as store:
        queue_of(judged, store, prompts=4, scale="five-point", draw=3)
    outside = "2 judgements outside the 3 prompts drawn"
    done = sciexam("annotate", "export", "verdicts", "-o", "v.jsonl")
    assert done.stderr.endswith(f": {outside} left out\n")
    assert json.loads(sciexam("annotate", "status", "--json").stdout)["outside"] == 2
    shown = " ".join(sciexam("annotate", "status").stdout.split())
    assert f"3/3 items complete, 6 judgements, and {outside}" in shown
    assert "`sciexam annotate serve` without --draw shows them again." in shown
    assert re.search(r"instead of taking the majority: 0\.\d\d \[[\d., ]+\], on these 3 prompts\.", shown), shown


def test_a_queue_that_is_served_again_says_how_far_it_is(judged: Path, study: Serve) -> None:
    served = study("--scale", "five-point", "--rubric", "helpfulness", "--draw", "3", prompts=4)
    assert "\nSo far 6 judgements, and 2 judgements outside the 3 prompts drawn; 3/3 items complete.\n" in served.output


def test_links_to_another_port_are_replaced_and_that_is_told(study: Serve) -> None:
    first = study("--annotators", "1", prompts=2)
    second = study("--annotators", "1", prompts=2)
    told = f"links.csv held links to {first.origin}, which are replaced by those to {second.origin}"
    assert f"{told}; a server answers there still: perhaps this study is served twice.\n" in second.output
    first.stop()
    second.stop()
    assert f"links to {second.origin}, which are replaced" in study("--annotators", "1", prompts=2).output


# ---------------------------------------------------------------- link, status, forget


def test_a_link_is_added_renewed_and_ended_while_the_page_is_served(study: Serve) -> None:
    served = study("--annotators", "1", prompts=2)
    port = str(served.port)
    added = served.run("annotate", "link", "Zoë", "--port", port).stdout.split()[-1]
    assert httpx2.get(added, follow_redirects=True).status_code == 200
    assert served.run("annotate", "link", "Zoë", "--port", port).stdout.split()[-1] == added
    renewed = served.run("annotate", "link", "annotator-2", "--renew", "--port", port).stdout.split()[-1]
    assert httpx2.get(added).status_code == 403
    assert httpx2.get(renewed, follow_redirects=True).status_code == 200
    done = served.run("annotate", "link", "Zoë", "--revoke")
    assert "the link of Zoë is ended; what was judged with it stays" in done.stderr
    assert httpx2.get(renewed).status_code == 403
    assert "was ended" in httpx2.get(renewed).text


def test_the_file_of_links_has_the_links_that_open_something(study: Serve, tmp_path: Path) -> None:
    served = study("--annotators", "2", prompts=2)
    [file] = tmp_path.glob("results/*/*/links.csv")

    def links() -> dict[str, str]:
        return {row["annotator"]: row["link"] for row in csv.DictReader(file.read_text().splitlines())}

    before = links()
    renewed = served.run("annotate", "link", "annotator-1", "--renew", "--port", str(served.port)).stdout.split()[-1]
    added = served.run("annotate", "link", "=Eve").stdout.split()[-1]
    owned = served.run("annotate", "link", "The owner", "--renew", "--port", str(served.port)).stdout.split()[-1]
    now = links()
    assert list(now) == ["annotator-1", "annotator-2", "the owner", "'=Eve"]
    assert (now["annotator-1"], now["'=Eve"], now["the owner"]) == (renewed, added, owned)
    assert now["annotator-2"] == before["annotator-2"]
    assert before["the owner"] != owned
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [httpx2.get(link, follow_redirects=True).status_code for link in now.values()] == [200] * 4


def test_a_link_leads_to_where_the_page_was_served_last_unless_another_place_is_given(study: Serve) -> None:
    served = study("--annotators", "1", prompts=2)
    done = served.run("annotate", "link", "annotator-1")
    assert (done.stdout.split()[-1], done.stderr) == (served.links["annotator-1"], "")
    assert "http://127.0.0.1:9/a/" in served.run("annotate", "link", "annotator-1", "--port", "9").stdout
    elsewhere = served.run("annotate", "link", "annotator-1", "--public-url", "https://x.org").stdout
    assert "https://x.org/a/" in elsewhere


def test_before_anything_was_served_the_command_says_what_a_link_opens(tmp_path: Path, sciexam: Cli) -> None:
    verdict = {"prompt": "q0", "first": "base", "second": "sft", "preferred": "second", "rater": "Ann Lee"}
    write_jsonl(tmp_path / "v.jsonl", [verdict])
    models = {name: {"responses": answers(tmp_path, name, ["One.", "Two."])} for name in ("base", "sft")}
    write_suite(tmp_path, 2, models)
    assert sciexam("annotate", "import", "v.jsonl", "--suite", "exam.yaml").returncode == 0
    opens = "opens once `sciexam annotate serve` runs, on port 8400 unless --port says otherwise"
    none = sciexam("annotate", "link")
    why = "1 annotator has come with a file, which gives no link"
    assert none.stdout == ""
    assert none.stderr == f"sciexam: {why}. `sciexam annotate link -- 'Ann Lee'` gives one; it {opens}\n"
    made = sciexam("annotate", "link", "Ann Lee")
    assert "http://127.0.0.1:8400/a/" in made.stdout
    assert made.stderr == f"sciexam: the link {opens}\n"
    assert sciexam("annotate", "link").stderr == "", "a link was printed"
    sciexam("annotate", "link", "Ann Lee", "--revoke")
    assert (
        "(revoked; a new link: sciexam annotate link --renew -- 'Ann Lee')"
        in sciexam("annotate", "link", "Ann Lee").stdout
    )


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_what_export_writes_of_people_is_known_where_it_comes_from(judged: Path, sciexam: Cli, suffix: str) -> None:
    on, file = ("base", "sft", "--suite", "exam.yaml"), f"v.{suffix}"
    wrote = sciexam("export", "verdicts", *on, "--judge", "humans", "-o", file)
    assert wrote.returncode == 0, wrote.stderr
    done = sciexam("annotate", "import", file, *on)
    assert "of 2 annotators read: 0 new, 8 known already, 0 unmatched" in done.stdout, done.stderr
    refused = sciexam("annotate", "import", "v.parquet", *on)
    assert refused.returncode == 2
    (judged / "v.parquet").write_bytes(b"PAR1")
    refused = sciexam("annotate", "import", "v.parquet", *on)
    assert "v.parquet: verdicts are read from .jsonl or .csv, which `sciexam export verdicts` writes" in refused.stderr


def test_forgetting_who_came_with_a_file_says_that_the_verdicts_are_gone(tmp_path: Path, sciexam: Cli) -> None:
    write_jsonl(
        tmp_path / "v.jsonl",
        [{"prompt": "q0", "first": "base", "second": "sft", "preferred": "second", "rater": "Ann"}],
    )
    models = {name: {"responses": answers(tmp_path, name, ["One.", "Two."])} for name in ("base", "sft")}
    write_suite(tmp_path, 2, models)
    assert sciexam("annotate", "import", "v.jsonl", "--suite", "exam.yaml").returncode == 0
    done = sciexam("annotate", "forget", "Ann", "--yes")
    assert "annotator-1 is forgotten; the verdicts that came with a file were deleted\n" in done.stderr


def test_the_length_of_a_link_that_is_there_already_is_not_changed_without_a_word(judged: Path, sciexam: Cli) -> None:
    told = "sciexam: --days holds for new links, and this one is as it was; add --renew\n"
    assert sciexam("annotate", "link", "Ann", "--days", "5").stderr == told
    assert sciexam("annotate", "link", "Ann", "--days", "5", "--renew").stderr == ""
    assert sciexam("annotate", "link", "Ann").stderr == ""


@pytest.mark.parametrize("name", ["Ann", "ann lee", "Anne Lee"])
def test_a_new_annotator_with_nearly_the_name_of_another_is_told(tmp_path: Path, sciexam: Cli, name: str) -> None:
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        store.annotators.add("Ann Lee", until(1))
    done = sciexam("annotate", "link", name)
    assert done.stderr.startswith(
        f"sciexam: there is an annotator 'Ann Lee' already; {name} was added, as annotator-2; "
        "sciexam annotate forget annotator-2 --yes undoes it\n"
    )
    assert sciexam("annotate", "link", "Bob").stderr.startswith("sciexam: Bob was added, as annotator-3\n")


def test_an_unknown_annotator_is_told_the_nearest(judged: Path, sciexam: Cli) -> None:
    for command in (("link", "An", "--revoke"), ("forget", "An", "--yes")):
        done = sciexam("annotate", *command)
        assert (done.returncode, done.stderr) == (2, "sciexam: 'An' is no annotator here; did you mean 'Ann'?\n")


def test_status_says_who_did_what(judged: Path, sciexam: Cli) -> None:
    found = json.loads(sciexam("annotate", "status", "--json").stdout)
    assert (found["items"], found["complete"], found["judgements"]) == (4, 4, 8)
    people = {one["annotator"]: one for one in found["annotators"]}
    assert (people["annotator-1"]["done"], people["annotator-2"]["ties"]) == (4, 4)
    assert sum(one["count"] for one in found["preferences"] if one["winner"] == "") == 4
    shown = sciexam("annotate", "status").stdout
    assert "Ann" in shown
    assert "4/4 items complete, 8 judgements" in shown
    assert "4 pairs are disputed" in shown
    told = " ".join(shown.split())
    assert "no majority: pairs on which as many say one thing as another; each counts half." in told
    assert "mean preference: from -3 (base is much better) to 3 (sft is)." in told
    assert "gold" not in shown
    assert "again: " not in shown


def test_status_has_names_everywhere_and_what_was_adjudicated_beside(tmp_path: Path, sciexam: Cli) -> None:
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        queue = queue_of(tmp_path, store, prompts=4)
        for name, better in (("Ann", 0), ("Bob", 1)):
            judging_by(
                Desk(store, queue),
                store.annotators.add(name, until(1)),
                lambda item, shown, better=better: "left-much" if shown[0] == better else "right-much",
            )
        owner, desk = store.annotators.owner(until(1)), Desk(store, queue)
        for item in queue.ordinary[:2]:
            store.annotations.assign(queue.id, owner.id, 1, lambda mine, loads, item=item: (item.id, (1, 0)))
            desk.judge(owner, item.id, 0, {"choice": "left-much"})
    shown = sciexam("annotate", "status").stdout
    assert "4/4 items complete, 8 judgements and 2 adjudications" in shown
    assert "Ann and Bob" in shown
    assert "annotator-1" not in shown
    shown = " ".join(shown.split())
    _, _, said = shown.partition("averages the votes of each pair instead of taking the majority: 0.50 [")
    assert "] by the annotators alone, 0.75 [" in said
    assert "] with what was adjudicated." in said
    assert not shown.endswith("\n\n\n")


def test_commands_without_a_ledger_or_a_queue_say_where_to_begin(sciexam: Cli, tmp_path: Path) -> None:
    export = ("annotate", "export", "verdicts", "-o", "v.csv")
    asked = ("annotate", "status"), ("annotate", "link", "Ann"), ("annotate", "forget", "Ann"), export
    for command in (*asked, ("agree", "--judge", "humans")):
        done = sciexam(*command)
        assert (done.returncode, "no ledger there; run `sciexam annotate serve` first" in done.stderr) == (2, True)
    Store(tmp_path / "results" / "ledger.sqlite").close()
    done = sciexam("annotate", "status")
    assert done.returncode == 2
    assert "nothing was ever served from it; begin with `sciexam annotate serve`" in done.stderr


def test_a_link_that_was_ended_is_not_written_when_the_queue_is_served_again(judged: Path, sciexam: Cli) -> None:
    sciexam("annotate", "link", "Bob", "--revoke")
    with Store(judged / "results" / "ledger.sqlite") as store:
        queue, people = queue_of(judged, store, prompts=4, scale="five-point"), store.annotators.all()
        listed, file, _ = write_invitations(store, judged / "results", queue, people, None, "http://localhost:8400")
    assert [one.annotator.label for one in listed] == ["Ann", "Bob", "the owner"]
    assert [row["annotator"] for row in csv.DictReader(file.read_text().splitlines())] == ["Ann", "the owner"]


def test_the_queue_that_was_served_last_is_meant_whichever_came_first(judged: Path, sciexam: Cli) -> None:
    with Store(judged / "results" / "ledger.sqlite") as store:
        first = queue_of(judged, store, prompts=4, scale="five-point")
        other = queue_of(judged, store, prompts=4, scale="choice")
        for served in (first, other, first, first):
            keep_queue(store, served)
        assert [*store.annotations.queues()] == [other.id, first.id]
    told = sciexam("annotate", "status")
    assert f"queue {first.id}, which was served last; --queue names another of {other.id}" in told.stderr
    assert "8 judgements" in told.stdout


def test_forgetting_asks_first(judged: Path, sciexam: Cli) -> None:
    done = sciexam("annotate", "forget", "Ann")  # nobody answers
    assert done.returncode == 2
    assert done.stderr.endswith("sciexam: nobody answers here, and nothing was deleted; --yes answers\n")
    assert json.loads(sciexam("annotate", "status", "--json").stdout)["judgements"] == 8
    done = sciexam("annotate", "forget", "Ann", "--yes")
    assert done.stderr == (
        "sciexam: annotator-1 is forgotten; 4 judgements were deleted\n"
        "sciexam: what stays: the pseudonym with that number; reports, exports and backups that were made before, "
        "which are yours to delete, and a name in a file of names, from which `annotate serve --names` adds it again\n"
        "sciexam: 4 items that were complete are short of an annotator; sciexam annotate status has what is left\n"
    )
    assert json.loads(sciexam("annotate", "status", "--json").stdout)["judgements"] == 4
    assert sciexam("annotate", "forget", "Bob", "--yes", "--keep-judgements").stderr.count("short of") == 0
    shown = sciexam("annotate", "status").stdout
    assert re.search(r"annotator-1\s+forgotten, 4 deleted\s+0 ", shown)
    assert re.search(r"annotator-2\s+forgotten\s+4 ", shown)


# ---------------------------------------------------------------- files


def test_an_export_has_pseudonyms_unless_names_are_wanted(judged: Path, sciexam: Cli) -> None:
    assert sciexam("annotate", "export", "verdicts", "-o", "v.jsonl").returncode == 0
    assert {line["rater"] for line in lines_of(judged / "v.jsonl")} == {"annotator-1", "annotator-2"}
    assert sciexam("annotate", "export", "verdicts", "-o", "v.jsonl", "--with-names").returncode == 0
    assert {line["rater"] for line in lines_of(judged / "v.jsonl")} == {"Ann", "Bob"}


def test_an_export_of_preferences_says_what_was_judged_by_one_person_and_what_is_left_out(
    tmp_path: Path, sciexam: Cli
) -> None:
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        queue = queue_of(tmp_path, store, prompts=4, scale="five-point")
        desk = Desk(store, queue)
        left, tie = (lambda item, shown: "left-much"), (lambda item, shown: "tie")
        judging_by(desk, store.annotators.add("Ann", until(1)), left, at_most=3)
        judging_by(desk, store.annotators.add("Bob", until(1)), tie, at_most=1)
    done = sciexam("annotate", "export", "preferences", "-o", "p.jsonl")
    assert done.returncode == 0
    lines = len(lines_of(tmp_path / "p.jsonl"))
    told = f"{lines} pairs of queue {queue.id}: 2 judged by one person, 1 without a winner left out"
    assert done.stderr == f"sciexam: wrote p.jsonl: {told}\n"
    done = sciexam("annotate", "export", "verdicts", "-o", "v.jsonl")
    assert done.stderr == f"sciexam: wrote v.jsonl: 4 verdicts of queue {queue.id}\n"


def test_a_result_says_how_much_of_it_is_one_persons_word(tmp_path: Path, sciexam: Cli) -> None:
    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        desk = Desk(store, queue_of(tmp_path, store, prompts=4))
        for name, at_most in (("Ann", 3), ("Bob", 1)):
            who = store.annotators.add(name, until(1))
            judging_by(desk, who, lambda item, shown: "left-much", at_most)
    said = json.loads(sciexam("compare", "base", "sft", "-s", "exam.yaml", "-j", "humans", "--json").stdout)["caveats"]
    assert [one for one in said if one.startswith("Judged by one annotator alone: 2 of 3 comparisons;")], said


def test_two_reports_of_one_run_are_told_apart_by_the_verdicts_of_people_that_they_count(
    tmp_path: Path, sciexam: Cli
) -> None:
    def judged(name: str, choice: str) -> tuple[str, str]:
        with Store(tmp_path / "results" / "ledger.sqlite") as store:
            desk = Desk(store, queue)
            judging_by(desk, store.annotators.add(name, until(1)), lambda item, shown: choice, 2)
        found = json.loads(sciexam("compare", "base", "sft", "-s", "exam.yaml", "-j", "humans", "--json").stdout)
        (counted,) = (one for one in found["caveats"] if one.startswith("Counted: "))
        return found["run"], counted

    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        queue = queue_of(tmp_path, store, prompts=4)
    (run, first), (again, second) = judged("Ann", "left-much"), judged("Bob", "right-much")
    assert run == again
    assert first.startswith("Counted: 2 verdicts by 1 annotator, the last of which came in on 20")
    assert second.startswith("Counted: 4 verdicts by 2 annotators, the last of which came in on 20")


def lines_of(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (
            ("rankings", "-o", "r.jsonl"),
            ", but verdicts and preferences; nothing was written",
        ),
        (("verdicts", "-o", "v.xlsx"), "--out v.xlsx: write to a .jsonl (every text exactly) or a .csv"),
        (("verdicts", "-o", "v.csv", "--queue", "nope"), "'nope' is not a queue here"),
    ],
)
def test_what_cannot_be_exported_is_told(judged: Path, sciexam: Cli, arguments: tuple[str, ...], what: str) -> None:
    done = sciexam("annotate", "export", *arguments)
    assert done.returncode == 2
    assert what in done.stderr


def test_a_line_may_name_a_prompt_by_its_whole_text(judged: Path, sciexam: Cli) -> None:
    (asked, *_) = lines_of(judged / "prompts.jsonl")
    line = {"prompt": asked["text"], "first": "base", "second": "sft", "preferred": "first", "rater": "Eve"}
    write_jsonl(judged / "v.jsonl", [line])
    command = ("annotate", "import", "v.jsonl", "base", "sft", "--suite", "exam.yaml")
    assert sciexam(*command).stdout.startswith("1 verdict of 1 annotator read: 1 new, 0 known already, 0 unmatched\n")
    write_jsonl(judged / "v.jsonl", [line | {"prompt": asked["id"]}])
    assert sciexam(*command).stdout.startswith("1 verdict of 1 annotator read: 0 new, 1 known already, 0 unmatched\n")


def test_lines_that_match_nothing_are_counted_and_named(judged: Path, sciexam: Cli) -> None:
    good = {"prompt": "q0", "first": "base", "second": "sft", "preferred": "first", "rater": "Eve"}
    write_jsonl(judged / "v.jsonl", [good, good | {"prompt": "q99"}, good | {"prompt": "q1", "second": "rlhf"}])
    done = sciexam("annotate", "import", "v.jsonl", "base", "sft", "--suite", "exam.yaml")
    assert done.returncode == 0
    counted, *steps = done.stdout.splitlines()
    assert counted == "3 verdicts of 1 annotator read: 1 new, 0 known already, 2 unmatched"
    assert steps == [
        "To hold a judge against them: sciexam validate openai:gpt-4.1-mini-2025-04-14 base sft --suite exam.yaml",
        "What they say: sciexam compare base sft --judge humans --suite exam.yaml",
    ]
    assert "v.jsonl:2: no prompt 'q99' has these answers" in done.stderr
    assert "v.jsonl:3: no answer of 'rlhf' to 'q1'" in done.stderr


def test_an_export_that_is_read_back_brings_nothing_back_of_who_was_forgotten(judged: Path, sciexam: Cli) -> None:
    assert sciexam("annotate", "export", "verdicts", "-o", "v.csv", "--with-names").returncode == 0
    assert sciexam("annotate", "forget", "Bob", "--yes").returncode == 0
    assert sciexam("annotate", "forget", "Ann", "--keep-judgements", "--yes").returncode == 0
    done = sciexam("annotate", "import", "v.csv", "base", "sft", "--suite", "exam.yaml")
    told = "4 lines of annotator-{}, who was forgotten here, left out\n"
    assert done.returncode == 2
    gone = f"sciexam: {told.format(1)}sciexam: {told.format(2)}"
    assert done.stderr == f"sciexam: v.csv: every line is of somebody who was forgotten here\n{gone}"
    with (judged / "v.csv").open("a") as file:
        file.write("q0,base,sft,first,,Zoe,,human,\n")
    done = sciexam("annotate", "import", "v.csv", "base", "sft", "--suite", "exam.yaml")
    assert done.stderr == gone
    assert done.stdout.startswith("1 verdict of 1 annotator read")
    with Store(judged / "results" / "ledger.sqlite") as store:
        assert [one.name for one in store.annotators.all()] == [None, None, "Zoe"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("prompt,first,second,preferred\nq0,base,sft,first\n", "v.csv:2: a human verdict needs a 'rater'"),
        ("prompt,first,second,preferred,rater\nq0,base,sft,left,Ann\n", "v.csv:2: preferred: input should be 'first'"),
        ("prompt,first,second,preferred,rater\nq0,base,sft,first,Ann,x\n", "v.csv:2: has more cells than the head"),
        ("prompt,first,second,preferred,rater\n", "v.csv: holds no verdicts"),
        ("prompt,first,second,preferred,rater\nq9,base,sft,first,Ann\n", "v.csv: no line matches an answer here"),
    ],
)
def test_a_bad_file_of_verdicts_changes_nothing(judged: Path, sciexam: Cli, text: str, what: str) -> None:
    (judged / "v.csv").write_text(text)
    done = sciexam("annotate", "import", "v.csv", "base", "sft", "--suite", "exam.yaml")
    assert done.returncode == 2
    assert what in done.stderr
    assert json.loads(sciexam("annotate", "status", "--json").stdout)["judgements"] == 8


def test_questions_of_several_turns_are_exported_as_chats(tmp_path: Path, sciexam: Cli) -> None:
    models = {name: {"responses": answers(tmp_path, name, [f"{name} 0"])} for name in ("base", "sft")}
    suite = write_suite(tmp_path, 1, models)
    turns = [("user", "Hi"), ("assistant", "Hello"), ("user", "Why?")]
    write_jsonl(tmp_path / "prompts.jsonl", [{"id": "q0", "messages": [{"role": r, "content": c} for r, c in turns]}])
    from sciexam.annotate.desk import keep_queue
    from sciexam.annotate.queue import make_queue
    from sciexam.exam.answering import answers_of
    from sciexam.exam.runs import terms_of
    from sciexam.suite import load_suite

    with Store(tmp_path / "results" / "ledger.sqlite") as store:
        loaded = load_suite(str(suite))
        found = answers_of(loaded, ("base", "sft"), store, terms_of(loaded, 1))
        queue = make_queue(loaded, found, "pairs", "choice", seal=store.seal, overlap=1, annotators=1)
        keep_queue(store, queue)
        judging_by(
            Desk(store, queue),
            store.annotators.add("Ann", until(1)),
            lambda item, shown: "left" if item.by[shown[0]] == "sft" else "right",
        )
    assert sciexam("annotate", "export", "preferences", "-o", "p.jsonl").returncode == 0
    [line] = lines_of(tmp_path / "p.jsonl")
    assert line == {
        "prompt": [{"role": role, "content": content} for role, content in turns],
        "chosen": [{"role": "assistant", "content": "sft 0"}],
        "rejected": [{"role": "assistant", "content": "base 0"}],
    }
