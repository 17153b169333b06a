"""What a plugin's factory makes. Each class is small on purpose: implement the abstract methods, keep the rest.

A component's *identity*, which decides whether a stored trial can be reused, is its name, its distribution's name and version, its
:attr:`~Component.version`, its options and :attr:`~Component.config`, the files that they name, and its :attr:`~Component.fingerprint`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from ctxbench.options import SECRET
from ctxbench.records import Carrier, ImageTokens, Prompt, Reading, Sample, Scores, TokenUsage

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from ctxbench.contamination import TrainingData
    from ctxbench.replicas import ModelSpec, Replica


def secret(**arguments: Any) -> Any:
    """``attrs.field(**arguments)`` for an option that nobody may see, such as a password.

    Its value reaches the component and nothing else: no store, log, message or trial id, and not :attr:`Component.config`.
    A factory that is no attrs class names such options in its record (``CodecRecord(..., secrets=("password",))``).
    """
    metadata = {**arguments.pop("metadata", {}), SECRET: True}
    return attrs.field(**{"repr": False, **arguments}, metadata=metadata)


class Component:
    """Base of everything that a config can name."""

    version: ClassVar[int] = 1
    """Raise it whenever the same input and config would give another output."""

    fingerprint: str = ""
    """A hash of the data that outcomes depend on beside the options (weights, word lists, records); empty if all of it belongs to the
    distribution. Files that options name are hashed anyway."""

    neutral_options: ClassVar[frozenset[str]] = frozenset()
    """Options that change no output (speed, memory) and are therefore no part of the identity."""

    @property
    def config(self) -> dict[str, Any]:
        """The options that made this component, as JSON-serialisable values; ``factory(**config)`` makes an equal one.

        An attrs class gets it from its fields. Secret options are left out.
        """
        cls: type[Any] = type(self)
        if not attrs.has(cls):
            return {}
        values = attrs.asdict(self, filter=lambda a, _: a.init and not a.metadata.get(SECRET))  # type: ignore[arg-type]
        return {field.alias or field.name: values[field.name] for field in attrs.fields(cls) if field.name in values}


class Codec(Component, abc.ABC):
    """Puts a text into a carrier and, classically, gets it back. Stateless: one instance serves many threads."""

    can_decode: ClassVar[bool] = True
    """False if no classical decoder exists; :meth:`decode` is then never called."""

    fidelity: ClassVar[Literal["exact", "approximate"]] = "exact"
    """``exact``: a clean page decodes to the very text, or :class:`~ctxbench.errors.DecodeError`. ``approximate``: an OCR-like
    decoder, whose errors are measured and not excluded."""

    verbatim: ClassVar[bool] = False
    """True if the carrier's text is the very context, without pages. There is nothing to decode then: a run checks that it is so, and
    takes the carrier's text for what :meth:`decode` gives."""

    @abc.abstractmethod
    def encode(self, text: str) -> Carrier:
        """Put ``text`` into a carrier, the same one every time.

        Raises:
            EncodeError: this codec cannot carry the text (say which character, and where).
            CapacityError: the text is too large for this configuration.
        """

    def decode(self, carrier: Carrier) -> str:
        """Recover the text from pixels (or text) alone, without a model and without anything but ``carrier``.

        Raises:
            DecodeError: the text cannot be recovered; never return a text known to be wrong.
        """
        raise NotImplementedError(f"{type(self).__name__} has no classical decoder")

    def page_sizes(self, text: str) -> list[tuple[int, int]]:
        """Sizes (width, height) in pixels of the pages that :meth:`encode` would make; override it if that is cheaper to know."""
        return [page.size for page in self.encode(text).pages]

    def places(self, text: str) -> list[tuple[int, float, float] | None] | None:
        """Where each character of ``text`` stands, for maps of errors: its page, from 0, and its middle as shares of the page's width and
        height, from the top left; ``None`` for one that leaves no ink.

        ``None`` in place of the list, as here, if a character has no place of its own: it is compressed, or spread over a page.
        """
        return None

    def hint(self, language: str) -> str:
        """One sentence, put in front of the question, that tells a reader what the carrier is. ``language`` is ``en`` or ``zh``."""
        if language == "zh":
            return "上下文在上面的图像中。"
        return "The context is in the images above."


class Augmenter(Component, abc.ABC):
    """Changes a page image as a camera, a scanner or a lossy channel would."""

    @abc.abstractmethod
    def apply(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        """Return a new RGB image; ``image`` stays as it is. All randomness comes from ``rng``."""


class Task(Component, abc.ABC):
    """Makes samples of an exact length, and knows the answer."""

    metrics: ClassVar[tuple[str, ...]] = ()
    """Names of the metrics that score this task unless the config names others."""

    primary_score: ClassVar[str] = ""
    """The score that decides whether a trial is *correct* (it must be 1.0)."""

    sized: ClassVar[bool] = True
    """Contexts meet their bucket, within 1 % or one token; a run checks it. False for a task whose contexts have the length they have."""

    whole: ClassVar[bool] = False
    """Takes bucket 0, for contexts as long as the data has them. A run refuses it for other tasks."""

    def supply(self, bucket: int) -> int | None:
        """How many samples there are, for a task whose data can run out; ``None`` if every seed is another one.

        A run uses each of the samples 0 to ``supply(bucket) - 1`` once, in an order drawn from its own seed, and refuses to plan more.

        Raises:
            SampleError: the data has none of this length.
        """
        return None

    @abc.abstractmethod
    def sample(self, bucket: int, seed: int) -> Sample:
        """Make the sample that (bucket, seed) names.

        The context is within 1 % of ``bucket`` reference tokens, or one token where that is more. A task with a :meth:`supply` takes
        seeds beyond it too, and counts round.

        Raises:
            SampleError: the options cannot give a context this short or long.
        """

    @abc.abstractmethod
    def solve(self, context: str, question: str) -> str:
        """The answer that a perfect reader would give to ``question`` from ``context``, damaged or not.

        It may use nothing but its two arguments and the task's own options.
        ``solve(sample.context, sample.question)`` is ``sample.answer``.
        """


class Metric(Component, abc.ABC):
    """Scores one prediction."""

    higher_is_better: ClassVar[bool] = True

    @abc.abstractmethod
    def score(self, prediction: str, sample: Sample) -> Mapping[str, float] | Scores:
        """Score names and values; a metric with one score uses its own name.

        Return :class:`~ctxbench.records.Scores` to say how the answer was extracted as well.
        """


class Model(Component, abc.ABC):
    """Reads prompts. ``close`` is called when the run no longer needs it."""

    adapter_fingerprint: str = ""
    """The same for the adapter, or an empty string."""

    family: str | None = None
    """The token counter whose formula this model's processor should agree with, if one is known."""

    needs_channel: ClassVar[bool] = False
    """True if the model stands for the channel: only then do its prompts carry ``channel``, and the channel stage runs even where a
    config switches it off."""

    instant: ClassVar[bool] = False
    """True if reading takes no time worth mentioning: after an interrupt such a model still reads what was prepared."""

    beside: ClassVar[bool] = False
    """True if :meth:`read` may run in a thread of its own, one call at a time, while this process prepares, scores and writes."""

    at_once: int = 1
    """Prompts that the model can make use of at once, where that is more than ``run.batch_size``: how many :meth:`read` is then given."""

    training_data: tuple[TrainingData, ...] | None = ()
    """Records of the ctxbench data that the weights were trained on. Empty: nothing says that they were trained on any, as with an
    original model of a hub. ``None``: they were trained, or are an adapter, and the record is missing."""

    layouts: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """Options of the codecs whose pages the weights were trained on, by codec name, an adapter's before its model's. A run uses them for a
    codec that its config gives no options, and says so if its pages differ."""

    shares: str | None = None
    """A key. Models with an equal key hold the same memory: it is freed when the last of them is closed. ``None``: this one is alone."""

    @property
    def runtime(self) -> dict[str, Any]:
        """What else decides answers on this machine (device, dtype, ...), as JSON values; found without loading weights."""
        return {}

    @property
    def pixel_budget(self) -> tuple[int | None, int | None]:
        """(min_pixels, max_pixels) of a page as the model's own processor has them; ``None`` for a bound that it has not."""
        return (None, None)

    @abc.abstractmethod
    def read(self, prompts: Sequence[Prompt]) -> Sequence[Reading]:
        """Answer each prompt, in order. A prompt that fails alone gets ``Reading(error=...)``; raising fails the batch."""

    def ahead(self, prompts: Sequence[Prompt]) -> None:
        """These will be read soon, by a model that reads ``beside``: it may begin what comes before the reading. It must not wait."""

    def give_up(self) -> None:
        """The run was interrupted while the model reads ``beside``: a read that goes on may end with KeyboardInterrupt."""

    def read_each(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Reading]]:
        """The same, each answer as soon as it is there: (index of the prompt, reading), in any order.

        Override it where prompts are answered one by one: after an interrupt, what has come is kept.
        """
        yield from enumerate(self.read(prompts))

    def placed(self, device: str) -> Mapping[str, Any] | None:
        """Options that make the same model on a device (``cpu``, ``cuda:1``), so that a run can keep a replica of it on each of several.

        ``None``, as here, if it cannot be told where to compute.

        Raises:
            ConfigError: this machine has no such device.
        """
        return None

    def most_usd(self, prompt: Prompt) -> float:
        """The most that reading the prompt can cost, in US dollars.

        Raises:
            ConfigError: it may cost something, and the model was not told what.
        """
        return 0.0

    def count(self, prompt: Prompt) -> TokenUsage | None:
        """Token usage of the prompt by the model's own processor, without generating; ``None`` if the model has none."""
        return None

    def close(self) -> None:
        """Free what the model holds."""


class TokenCounter(Component, abc.ABC):
    """One model family's rules for counting tokens. ``source`` cites where the rule comes from."""

    source: str = ""

    def text(self, text: str) -> int | None:
        """Text tokens, or ``None`` if this family's tokenizer is not at hand."""
        return None

    @abc.abstractmethod
    def image(self, width: int, height: int) -> ImageTokens:
        """Visual tokens and markers of one image of this size in pixels, and its size after the processor's resizing.

        Raises:
            ValueError: the family's processor refuses an image of this size.
        """

    def overhead(self, pages: Sequence[ImageTokens]) -> int:
        """Marker tokens of a prompt's images, given what :meth:`image` says of each; override it if a prompt has markers of its own."""
        return sum(page.markers for page in pages)


@attrs.frozen
class Lost:
    """What an executor yields in place of ``function(job)`` for a job that has no result.

    Attributes:
        job: the job itself, the very object that the executor was given.
        stage: the stage that the function reported last (:func:`ctxbench.executors.report_stage`), or an empty string.
        type: ``WorkerDied`` (the process that ran it ended, twice), ``TimeLimit`` (the stage took longer than its limit), or the name
            of the exception that left the function, ``SystemExit`` for example.
        message: one line that says what happened.
    """

    job: Any
    stage: str
    type: str
    message: str


class Executor(Component, abc.ABC):
    """Runs CPU work somewhere: in this process, in a pool, on a cluster. Never writes the store. ``close`` is called when a run is over."""

    @property
    def at_once(self) -> int:
        """Jobs that it can run at once, if these may be more than this machine has cores; 0, as here, if not. A run's window follows it."""
        return 0

    def close(self) -> None:
        """Free what it holds between calls of :meth:`map`, such as a connection. It may be used again, and closed again."""

    @property
    def pauses(self) -> bool:
        """True if :meth:`map` also takes the keyword argument ``wait: float | None = None``.

        Where seconds are given, ``jobs`` may yield ``None`` for "none just now": the executor asks again after it has yielded something. It
        yields ``None`` itself where it has waited so long for a result, or has nothing to do. A job whose attribute ``background`` is true
        runs when no other job waits and leaves a place free for those that come, if there are two or more.

        With such an executor the classical decoding of pages is jobs of its own, which do not hold a model up. With others it is part of
        the preparation of a trial.
        """
        return False

    @abc.abstractmethod
    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any], *, window: int) -> Iterator[Any]:
        """Yield ``function(job)``, or a :class:`Lost`, exactly once for every job, in any order.

        At most ``window`` jobs are started and not yet yielded. ``function``, the jobs and the results can be pickled. ``function``
        handles what it can: whatever still leaves it, and the end of the process that it runs in, costs the one job, which is yielded
        as :class:`Lost`. Raise only when no job can be run any more.

        Time limits: an executor that can stop a job takes one more keyword argument, ``limits: Mapping[str, float] | None = None``,
        seconds for each stage that has a limit, and yields a job whose stage exceeds it as a :class:`Lost` of type ``TimeLimit``.
        ``limits`` is not passed to an executor that does not name it.

        Closing the iterator gives up every job that is not yielded and ends whatever runs.

        Interrupts: make it a generator. A ``KeyboardInterrupt`` that comes while it waits, or that the caller throws into it, ends it as
        follows: nothing more is started, jobs that still run are given up, results that have arrived are yielded, and then the
        ``KeyboardInterrupt`` is raised. An executor that raises at once is correct too; the caller then loses those results.
        """

    def replicas(self, specs: Mapping[str, ModelSpec]) -> Sequence[Callable[[], Replica]] | None:
        """Places where the models of ``specs`` can be read, all of them in each: one function for each place, which starts a replica there.

        Called by a run that has models to read, for those that share memory, and again for the next ones; the functions are called in the
        main thread, a function again after its replica was lost. ``None``, as here: models are read on this machine.
        """
        return None


__all__ = ["Augmenter", "Codec", "Component", "Executor", "Lost", "Metric", "Model", "Task", "TokenCounter", "secret"]
