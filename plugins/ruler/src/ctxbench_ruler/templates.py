"""The wording of RULER's prompts (Hsieh et al., 2024), as in its ``data/synthetic/constants.py`` (Apache-2.0, NVIDIA).

A prompt is cut where its context ends: what stands before the question is the sample's context, and the rest, the beginning of the answer
included, its question. Put together they are RULER's prompt.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Template:
    """One prompt: ``before`` the body, ``after`` it, and the beginning of the answer. The task's type, keys and value are placeholders."""

    before: str
    after: str
    answer: str

    def format(self, **values: object) -> Template:
        """The same with its placeholders filled."""
        return Template(*(part.format(**values) for part in (self.before, self.after, self.answer)))

    def replace(self, old: str, new: str) -> Template:
        """The same with a word replaced everywhere."""
        return Template(*(part.replace(old, new) for part in (self.before, self.after, self.answer)))

    def whole(self, body: str) -> str:
        """The prompt as RULER writes it."""
        return self.before + body + self.after + self.answer


NEEDLES = Template(
    "Some special magic {kind} are hidden within the following text. Make sure to memorize it. I will quiz you about the {kind}"
    " afterwards.\n",
    "\nWhat are all the special magic {kind} for {query} mentioned in the provided text?",
    " The special magic {kind} for {query} mentioned in the provided text are",
)
TRACKING = Template(
    "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n",
    "\nQuestion: Find all variables that are assigned the value {query} in the text above.",
    " Answer: According to the chain(s) of variable assignment in the text above, {count} variables are assgined the value {query},"
    " they are: ",
)
COMMON_WORDS = Template(
    "Below is a numbered list of words. In these words, some appear more often than others. Memorize the ones that appear most often.\n",
    "\nQuestion: What are the 10 most common words in the above list?",
    " Answer: The top 10 words that appear most often in the list are:",
)
FREQUENT_WORDS = Template(
    "Read the following coded text and track the frequency of each coded word. Find the three most frequently appeared coded words. ",
    "\nQuestion: Do not provide any explanation. Please ignore the dots '....'. What are the three most frequently appeared words in the"
    " above coded text?",
    " Answer: According to the coded text above, the three most frequently appeared words are:",
)
_ANSWER = "Answer the question based on the given documents. Only give me the answer and do not output any other words.\n\n"
QUESTIONS = Template(
    f"{_ANSWER}The following are given documents.\n\n",
    f"\n\n{_ANSWER}Question: {{query}}",
    " Answer:",
)

NEEDLE = "One of the special magic {kind} for {key} is: {value}."
NOISE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
"""The haystack that repeats."""
