"""A checkpoint, a YAML file or a package brings code along: pickles, a model's own code, `!function`, entry points."""

from __future__ import annotations

import ast
import json
import pickle
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT, Cli, answers, write_jsonl, write_suite
from rows import Tally

SOURCES = sorted((ROOT / "src").rglob("*.py"))
UNPICKLERS = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle", "pkg_resources"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
CALLS = {
    *("os.system", "os.popen", "yaml.unsafe_load", "yaml.full_load", "pandas.read_pickle", "pd.read_pickle"),
    *("importlib.metadata.entry_points", "metadata.entry_points", "entry_points"),
}
# Where a module is imported by a name: our own, and the class that a user names in a suite.
BY_NAME = {"__init__.py", "cli/__init__.py", "train/stages.py", "models/__init__.py"}


def breaches(source: str, name: str) -> Iterator[str]:
    """What of a module could run what a file says."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            modules = names if isinstance(node, ast.Import) else [node.module or ""]
            yield from (f"imports {one}" for one in modules if one.partition(".")[0] in UNPICKLERS)
            yield from (f"imports {one}" for one in names if one in ("entry_points", "unsafe_load", "full_load"))
        elif isinstance(node, ast.Call):
            yield from _calls(node, name)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "trust_remote_code" and not _is(value, False):
                    yield "trusts code of a model's own"
        elif isinstance(node, ast.Attribute) and node.attr in ("add_constructor", "add_multi_constructor"):
            yield "gives a YAML tag a meaning"


def _calls(node: ast.Call, name: str) -> Iterator[str]:
    called = ast.unparse(node.func)
    given = {one.arg: one.value for one in node.keywords}
    if called in RUNNERS | CALLS:
        yield f"calls {called}"
    if called.endswith("import_module") and name not in BY_NAME:
        yield "imports by name"
    if called.endswith("torch.load") and not _is(given.get("weights_only"), True):
        yield "torch.load without weights_only=True"
    if called == "yaml.load" and ast.unparse(given.get("Loader", node)) not in ("LOADER", "yaml.SafeLoader"):
        yield "yaml.load without a safe loader"
    if "trust_remote_code" in given and not _is(given["trust_remote_code"], False):
        yield "trusts code of a model's own"
    if "allow_pickle" in given and not _is(given["allow_pickle"], False):
        yield "allows pickles"
    if "shell" in given and not _is(given["shell"], False):
        yield "runs a shell"


def _is(node: ast.AST | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_nothing_in_the_sources_could_run_what_a_file_says(tally: Tally) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {what}"
        for path in SOURCES
        for what in breaches(path.read_text("utf-8"), path.relative_to(ROOT / "src" / "sciexam").as_posix())
    ]
    assert found == []
    tally(len(SOURCES))


PLANTED = (
    "import pickle",
    "from cloudpickle import loads",
    "from importlib.metadata import entry_points",
    "import importlib.metadata\nimportlib.metadata.entry_points(group='x')",
    "import pkg_resources",
    "eval(text)",
    "exec(text)",
    "compile(text, 'x', 'exec')",
    "__import__(name)",
    "importlib.import_module(name)",
    "torch.load(path)",
    "torch.load(path, weights_only=False)",
    "yaml.load(text)",
    "yaml.load(text, Loader=yaml.Loader)",
    "yaml.unsafe_load(text)",
    "yaml.SafeLoader.add_constructor('!function', run)",
    "AutoModel.from_pretrained(name, trust_remote_code=True)",
    "AutoModel.from_pretrained(name, trust_remote_code=asked)",
    "more = {'trust_remote_code': True}",
    "numpy.load(path, allow_pickle=True)",
    "pandas.read_pickle(path)",
    "subprocess.run(text, shell=True)",
    "os.system(text)",
)


@pytest.mark.parametrize("planted", PLANTED)
def test_the_search_finds_what_is_planted(planted: str) -> None:
    assert [*breaches(planted, "exam/planted.py")]


def test_the_linter_looks_for_the_same_in_every_source() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert not {"S102", "S301", "S307", "S506", "S602", "S605", "S"} & set(lint["ignore"])
    spared = {pattern for pattern, rules in lint["per-file-ignores"].items() if any(r.startswith("S") for r in rules)}
    assert spared <= {"tests/**", "benchmarks/**", "docs/**"}
    said = [path for path in SOURCES if any(f"noqa: {rule}" in path.read_text("utf-8") for rule in ("S301", "S307"))]
    assert said == []


class Planted:
    """What an unpickler calls: it makes the file at `path`."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_no_weights_and_is_not_opened(sciexam: Cli, tmp_path: Path, tally: Tally) -> None:
    trap = tmp_path / "it ran"
    for name in ("pytorch_model.bin", "model.pt"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / name).write_bytes(pickle.dumps(Planted(trap)))
        (folder / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
        models = {"old": {"responses": answers(tmp_path, "old", ["yes"])}, "evil": {"weights": str(folder)}}
        done = sciexam("compare", "old", "evil", "--suite", str(write_suite(tmp_path, 1, models)))
        assert done.returncode == 2, done.stderr
        assert f"has its weights as pickle ({name}), which can run code when it is read" in done.stderr
        assert not trap.exists()
    assert pickle.loads((tmp_path / "model-pt" / "model.pt").read_bytes()) is None
    assert trap.exists(), "the trap is armed"
    tally(2)


@pytest.mark.slow  # it loads torch
def test_code_that_a_model_brings_along_never_runs(sciexam: Cli, tmp_path: Path, tally: Tally) -> None:
    pytest.importorskip("torch")
    from checkpoints import causal

    trap, folder = tmp_path / "it ran", tmp_path / "evil"
    causal(folder, "llama")
    (folder / "modeling_evil.py").write_text(f"import pathlib\npathlib.Path({str(trap)!r}).touch()\n")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": dict.fromkeys(("AutoConfig", "AutoModel"), "modeling_evil.Evil")}
    config["auto_map"]["AutoModelForCausalLM"] = "modeling_evil.Evil"
    (folder / "config.json").write_text(json.dumps(config))
    models = {"old": {"responses": answers(tmp_path, "old", ["yes"])}, "evil": {"weights": str(folder)}}
    done = sciexam("compare", "old", "evil", "--suite", str(write_suite(tmp_path, 1, models)))
    assert done.returncode == 2, done.stderr
    assert "needs code of its own, which sciexam never runs" in done.stderr
    assert not trap.exists()
    tally(1)


@pytest.mark.slow  # it loads torch
def test_the_state_of_a_resumed_training_holds_no_code(tmp_path: Path, tally: Tally) -> None:
    pytest.importorskip("torch")
    from sciexam.train.ppo.networks import _load

    trap, file = tmp_path / "it ran", tmp_path / "optimizer.pt"
    file.write_bytes(pickle.dumps(Planted(trap)))
    with pytest.raises(pickle.UnpicklingError, match=r"[Ww]eights.only"):
        _load(file)
    assert not trap.exists()
    tally(1)


def test_a_tag_in_yaml_calls_nothing(sciexam: Cli, tmp_path: Path, tally: Tally) -> None:
    trap = tmp_path / "it-ran"
    tags = (f"!!python/object/apply:os.system ['touch {trap}']", "!function evil.run", "!!python/name:os.system")
    for tag in tags:
        write_jsonl(tmp_path / "prompts.jsonl", [{"id": "q0", "text": "Why is it so?"}])
        (tmp_path / "exam.yaml").write_text(f"suite: exam\nprompts: prompts.jsonl\nmodels: {tag}\ncontestants: [a]\n")
        done = sciexam("check", "exam.yaml")
        assert (done.returncode, "exam.yaml:3" in done.stderr) == (2, True), done.stderr
        assert not trap.exists()
    tally(len(tags))


def test_a_package_that_is_installed_is_not_asked_by_sciexam(sciexam: Cli, tmp_path: Path, tally: Tally) -> None:
    """A package that calls itself a plugin of ours is never imported."""
    trap, plugins = tmp_path / "it ran", tmp_path / "plugins"
    (plugins / "evil-1.dist-info").mkdir(parents=True)
    (plugins / "evil.py").write_text(f"import pathlib\npathlib.Path({str(trap)!r}).touch()\n")
    (plugins / "evil-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1\n")
    groups = "".join(f"[{group}]\nevil = evil:run\n" for group in ("sciexam", "sciexam.judges", "sciexam.plugins"))
    (plugins / "evil-1.dist-info" / "entry_points.txt").write_text(groups)
    done = sciexam("compare", "base", "sft", "--quiet", env={"PYTHONPATH": str(plugins)})
    assert done.returncode == 0, done.stderr
    assert not trap.exists()
    tally(1)
