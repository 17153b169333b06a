"""RULER's own generators and scores, as ``nvidia-long-context-eval`` brings them, beside ours.

Its scripts are run with the same random numbers. Two things are replaced in them: the tokenizer, which only sets lengths, by Qwen2's; and
nltk's English sentence parameters, which no package carries, by those of nltk alone.
"""

from __future__ import annotations

import ast
import importlib.util
import random
import re
import sys
from pathlib import Path

import long_context_eval
import numpy as np
import pytest
import wonderwords
import yaml
from long_context_eval.data import tokenizer
from long_context_eval.data.synthetic import constants
from long_context_eval.eval.synthetic import constants as scoring

from ctxbench import Sample, load_plugins
from ctxbench_qwen_tokens import encode
from ctxbench_ruler import data, words
from ctxbench_ruler.needles import VARIANTS
from ctxbench_ruler.tracking import renamed

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # RULER's scripts leave their files open

FOLDER = Path(long_context_eval.__path__[0])
NIAH = tuple(VARIANTS)
ORDER = 42
CONFIGS = yaml.safe_load((FOLDER / "synthetic.yaml").read_text("utf-8"))


class Qwen:
    def text_to_tokens(self, text):
        return encode(text)


def task(name: str, **options):
    return load_plugins().task(f"ruler_{name}", **options)


@pytest.fixture
def script(monkeypatch):
    """A function that runs one of RULER's scripts for a task, as its ``prepare.py`` does, up to where it would write files."""
    monkeypatch.setattr(tokenizer, "select_tokenizer", lambda kind, path: Qwen())
    monkeypatch.setitem(sys.modules, "tokenizer", tokenizer)
    monkeypatch.setitem(sys.modules, "constants", constants)
    monkeypatch.setattr(np.random, "randint", lambda low, high: random.randrange(low, high))

    def run(name: str, length: int):
        config = CONFIGS[name]
        base = constants.TASKS[config["task"]]
        options = {"save_dir": ".", "save_name": name, "tokenizer_path": "qwen2", "max_seq_length": length, "num_samples": 1}
        options |= {"tokens_to_generate": base["tokens_to_generate"], "template": base["template"] + base["answer_prefix"]}
        options |= {"random_seed": ORDER} | config["args"]
        monkeypatch.setattr(sys, "argv", ["x", *(word for key, value in options.items() for word in (f"--{key}", str(value)))])
        path = FOLDER / "data" / "synthetic" / f"{config['task']}.py"
        spec = importlib.util.spec_from_file_location(f"ruler_{config['task']}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return run


@pytest.fixture
def few_words(monkeypatch):
    """Both with 40 adjectives and 60 nouns: RULER's script keeps every pair of all of them in memory."""
    read = wonderwords.random_word._get_words_from_text_file
    size = {"nounlist.txt": 60, "adjectivelist.txt": 40}
    monkeypatch.setattr(wonderwords.random_word, "_get_words_from_text_file", lambda name: read(name)[: size[name]])
    lines = words._lines
    monkeypatch.setattr(words, "_lines", lambda name: lines(name)[: size[f"{name}list.txt"]])
    words.pairs.cache_clear()
    yield
    words.pairs.cache_clear()


@pytest.mark.parametrize("name", NIAH)
def test_needle_prompts_are_rulers(name, script, few_words, monkeypatch):
    """Equal random numbers give the very same prompt: wording, haystack, places of the needles, keys that are asked for."""
    theirs = script(name, 4096)
    if theirs.args.type_haystack == "essay":
        from nltk.tokenize.punkt import PunktSentenceTokenizer

        monkeypatch.setattr(theirs, "sent_tokenize", PunktSentenceTokenizer().tokenize)
    ours = task(name)
    for seed, units in ((1, 40), (2, 57), (3, 700)):
        random.seed(seed)
        prompt, answers = theirs.generate_input_output(units)
        draft = ours.hide(random.Random(seed), units, ORDER)
        assert draft.whole == prompt
        assert sorted(draft.answers) == sorted(answers)
        assert_cut(draft, prompt)


def assert_cut(draft, prompt):
    """Context and question are the prompt but for white space around them."""
    before, cut, after = prompt.partition(draft.context)
    assert cut
    assert not before.strip()
    assert after.strip() == draft.question


def test_the_needles_options_are_rulers():
    """The eight variants have the arguments that its configuration gives them; where a needle is asked for, it is hidden."""
    for name in NIAH:
        assert task(name).config == CONFIGS[name]["args"] | {"num_needle_k": task(name).config["num_needle_k"]}
        assert task(name).keys == max(CONFIGS[name]["args"]["num_needle_k"], CONFIGS[name]["args"]["num_needle_q"])


@pytest.mark.parametrize("options", [{}, {"num_chains": 3, "num_hops": 2}])
def test_variable_tracking_is_rulers(options, script):
    """The prompt, its chains, and the example with its renamed variables."""
    theirs, ours = script("vt", 4096), task("vt", **options)
    made = ours.num_chains, ours.num_hops
    for seed, units in ((1, 12), (2, 60)):
        random.seed(seed)
        prompt, answers = theirs.generate_input_output(units, *made)
        draft = ours.chained(random.Random(seed), units)
        assert draft.whole == prompt
        assert list(draft.answers) == answers
        random.seed(seed)
        example, answers = theirs.generate_input_output(10, *made, is_icl=True)
        shown = theirs.randomize_icl(f"{example} {' '.join(answers)}\n\n")
        rng = random.Random(seed)
        assert renamed(ours.chained(rng, 10, example=True), rng) == shown


def test_the_example_of_variable_tracking_has_rulers_length(script):
    """Lines of noise are added by fives until another five would not leave room for the answer in 500 tokens."""
    theirs, ours = script("vt", 4096), task("vt")
    random.seed(7)
    example = theirs.sys_vartrack_w_noise_random(num_samples=1, max_seq_length=500, incremental=5, num_chains=1, num_hops=4)[0]
    draft = ours.example(random.Random(7))
    assert draft.whole.count("The grass is green") == example["input"].count("The grass is green")


@pytest.mark.parametrize("length", [1024, 4096])
def test_common_words_are_rulers(length, script):
    """The example, the list with its repetitions, and the words asked for, on both sides of 4,096 tokens."""
    theirs, ours = script("cwe", length), task("cwe")
    assert tuple(sorted(theirs.words)) == words.single_words()
    for seed, units in ((1, 11), (2, 70)):
        random.seed(seed)
        prompt, answers = theirs.generate_input_output(units)
        draft = ours.listed(random.Random(seed), units, length, tuple(theirs.words), ORDER)
        assert draft.whole == prompt
        assert list(draft.answers) == answers
        assert_cut(draft, prompt)


def test_frequent_words_are_rulers(script):
    """The coded text word by word, and the three asked for."""
    theirs, ours = script("fwe", 4096), task("fwe")
    for seed, units, size in ((1, 300, 20), (2, 1500, 81)):
        random.seed(seed)
        prompt, answers, _ = theirs.generate_input_output(10**9, num_words=units, vocab_size=size)
        draft = ours.coded(random.Random(seed), units, size, ORDER)
        assert draft.whole == prompt
        assert list(draft.answers) == answers
        assert_cut(draft, prompt)


@pytest.mark.parametrize("name", ["qa_1", "qa_2"])
def test_questions_are_rulers(name, script):
    """Every question with its answers and documents, and prompts with few documents, with all of an article, and with others."""
    theirs, ours = script(name, 4096), task(name)
    assert list(ours.corpus.documents) == theirs.DOCS
    assert [one.text for one in ours.corpus.questions] == [one["query"] for one in theirs.QAS]
    for seed, units in ((1, 10), (2, 25), (3, 90)):
        index = 1000 * seed
        random.seed(seed)
        prompt, answers = theirs.generate_input_output(index, units)
        draft = ours.asked(random.Random(seed), ours.corpus.questions[index], units, ORDER)
        assert draft.whole == prompt
        assert list(draft.answers) == answers
        assert_cut(draft, prompt)


def postprocess():
    """RULER's treatment of predictions, out of a script that cannot be imported without running it."""
    tree = ast.parse((FOLDER / "eval" / "evaluate.py").read_text("utf-8"))
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "postprocess_pred"]
    scope = {"re": re}
    exec(compile(ast.Module([function], []), "evaluate.py", "exec"), scope)
    return lambda text: scope["postprocess_pred"](text, {})


def predictions(rng: random.Random) -> list[tuple[str, list[str]]]:
    """Predictions that hold all, some or none of the references, in other cases, in longer words and beside control characters."""
    made = []
    for _ in range(300):
        references = [rng.choice(["Ada", "17", "x y", "ÉTÉ", "a-b", "1234567"]) for _ in range(rng.randint(1, 4))]
        said = [rng.choice([str.upper, str.lower, str])(one) for one in references if rng.random() < 0.6]
        said += rng.sample(["the", "\x00", "\t", "x\ny", "917", "\n\n"], 2)
        rng.shuffle(said)
        made.append((rng.choice(["", " "]).join(said), references))
    return made


def test_scores_are_rulers():
    """The same predictions get the same scores, each by itself and on average."""
    pairs = predictions(random.Random(1))
    clean = postprocess()
    texts, references = [clean(text) for text, _ in pairs], [expected for _, expected in pairs]
    for name in ("string_match_all", "string_match_part"):
        metric = load_plugins().metric(name)
        ours = [metric.score(text, Sample("c", "q", "a", 1, metadata={"answers": expected}))[name] for text, expected in pairs]
        each = getattr(scoring, f"{name}_per_sample")(texts, references)
        assert [100 * score for score in ours] == pytest.approx(each)
        assert round(100 * sum(ours) / len(ours), 2) == getattr(scoring, name)(texts, references)
        assert len(set(ours)) > 1


def test_each_task_is_scored_as_ruler_scores_it():
    """Questions by any accepted answer, all others by every expected string."""
    for name, config in CONFIGS.items():
        assert task(name).primary_score == scoring.TASKS[config["task"]]["metric_fn"].__name__


def test_all_thirteen_are_there():
    """RULER's configuration and our registry name the same tasks."""
    found = {name.removeprefix("ruler_") for name in load_plugins().names("task") if name.startswith("ruler_")}
    assert found == set(CONFIGS)


def test_essay_sentences_are_those_of_the_words_alone():
    """Sentences are found once for many words and then cut; a cut that changed them would move needles."""
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    for count in (1, 90, 333, 1024, 1500, 5000):
        assert data.essay_sentences(count) == PunktSentenceTokenizer().tokenize(" ".join(data.essay_words()[:count]))
