"""What a person reads, made so that it can be said in another language than English.

`say` makes every sentence that a user of the window can meet, and the errors of this library go through it. The data,
training and evaluation commands and the command line are for researchers and speak English only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real

Translator = Callable[[str], str]
"""From an English template to the same one in another language; what it does not know it gives back."""

_translator: Translator | None = None


class Sentence(str):
    """A text for people that knows how it was made. Pickled, it is said anew in the language where it arrives.

    Attributes:
        template: The English text, with `{names}` of values.
        values: What stands in their places: text, numbers, other sentences.
    """

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, values: Mapping[str, object]) -> Sentence:
        made = super().__new__(cls, _said(template, values))
        made.template, made.values = template, dict(values)
        return made

    def __str__(self) -> str:
        """The sentence itself, so that `str(error)` is one too."""
        return self

    def __reduce__(self) -> tuple[type[Sentence], tuple[str, Mapping[str, object]]]:
        return Sentence, (self.template, self.values)


def say(template: str, /, **values: object) -> Sentence:
    """A text in the user's language.

    Args:
        template: In English, as `str.format` takes it; without values its braces are only braces.
        values: What it names. Neither text nor numbers, they stand there as `str` gives them.
    """
    if isinstance(template, Sentence):
        return template
    return Sentence(template, {name: _plain(value) for name, value in values.items()})


def later(template: str) -> str:
    """The template, for `say` to say later; marks what stands in a table, so that translators are given it too."""
    return template


def speak(translator: Translator | None) -> None:
    """Say everything from now on as a translator has it; None for English."""
    global _translator
    _translator = translator


def _said(template: str, values: Mapping[str, object]) -> str:
    translated = _translator(template) if _translator is not None else template
    if not values:
        return translated
    try:
        return translated.format(**values)
    except (LookupError, ValueError, AttributeError, TypeError):  # a slip of the translator's
        return template.format(**values)


def _plain(value: object) -> object:
    """A value that another process can be sent."""
    if isinstance(value, str | int):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else str(value)
