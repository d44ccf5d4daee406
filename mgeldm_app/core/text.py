"""Words: what a line of prompts asks for, how it is completed, and how work and numbers are told to people."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
from typing import Final, NamedTuple

from mgeldm.language import later, say
from mgeldm.requests import Quality
from mgeldm.words import bare, goes_on, keeps, parse_prompt, plain

from .project import Prompt, Task

INSTRUMENTS: Final = (
    "accordion", "acoustic guitar", "backing vocals", "bagpipes", "banjo", "bass", "bass guitar", "bassoon", "bells",
    "brass", "cello", "choir", "clarinet", "claps", "clavinet", "congas", "cymbals", "double bass", "drum machine",
    "drums", "electric guitar", "electric piano", "female vocals", "fiddle", "flute", "french horn", "glockenspiel",
    "grand piano", "guitar", "hammond organ", "harmonica", "harp", "harpsichord", "hi-hats", "horns", "kick drum",
    "lead guitar", "lead synth", "male vocals", "mandolin", "marimba", "oboe", "organ", "pads", "percussion", "piano",
    "rap", "rhythm guitar", "Rhodes", "saxophone", "sitar", "slide guitar", "snare drum", "steel drums",
    "string section", "strings", "sub bass", "synth", "synth bass", "synth pad", "tabla", "tambourine", "timpani",
    "toms", "trombone", "trumpet", "tuba", "ukulele", "upright bass", "vibraphone", "viola", "violin", "vocals",
    "voice", "whistle", "Wurlitzer", "xylophone",
)  # fmt: skip
ADJECTIVES: Final = (
    "acoustic", "aggressive", "airy", "ambient", "arpeggiated", "bright", "clean", "dark", "deep", "distorted",
    "dreamy", "dry", "dusty", "electronic", "fast", "fingerpicked", "funky", "fuzzy", "gentle", "gritty", "heavy",
    "jazzy", "lo-fi", "lush", "mellow", "melodic", "muted", "orchestral", "picked", "plucked", "punchy", "rhythmic",
    "sharp", "slow", "smooth", "soft", "staccato", "strummed", "sustained", "vintage", "warm",
)  # fmt: skip
CHIPS: Final = ("vocals", "drums", "bass", "electric guitar", "piano", "strings", "brass", "everything but vocals")
SUGGESTIONS = 8
_NO_SOURCE: Final = re.compile(
    r"(?:(?:the|this|my|whole|full|entire|all|of) )*(?:(?:(?:every|any|no) ?)?thing|all|it|none|silence|song|"
    r"mix|track|recording)[.!]*",
    re.IGNORECASE,
)
_WHAT_IS_LEFT: Final = re.compile(
    r"(?:all )?(?:the )?(?:others?|rest|remainder)(?: of (?:the )?(?:song|track|mix))?[.!]*"
    r"|(?:every ?thing|all) else[.!]*",
    re.IGNORECASE,
)
_BRACKETED: Final = re.compile(r"\([^()]*\)")
_LEADING_AND: Final = re.compile(r"^(?:(?:and|or|&)(?: |$))+", re.IGNORECASE)
_POLITE: Final = re.compile(r"(?:please|thanks|thank you)[ .!]*", re.IGNORECASE)

# ------------------------------------------------------------------------------------------------------------- prompts


def prompts_of(prompt: Prompt) -> tuple[str, ...]:
    """What a prompt asks for; stems are listed, while a new part is described, with commas in its description.

    Of "drums, bass, vocals, other" the last is what the Rest lane holds anyway.
    """
    if prompt.task != "extract":
        return split_prompts(prompt.text, commas=False)
    found = split_prompts(prompt.text)
    return tuple(each for each in found if not names_what_is_left(each)) or found


def split_prompts(text: str, commas: bool = True) -> tuple[str, ...]:
    """The prompts of a line, in order, each once: commas, unless they do not, semicolons and line ends divide them.

    After "everything but" or "no" a comma names another exception instead, as in a sentence: "everything but drums,
    bass" is one stem without either, read as "everything but drums and bass". A semicolon or a line end closes it, and
    words that can take no other do, or that say what to keep: "drums off, bass" are two. What a comma leaves out of the
    words before it belongs to them: "guitar, but no vocals". Of "drums, the drums" the first is kept.
    """
    found: dict[str, str] = {}
    for group in re.split(r"[;\n]", text):
        names = _pieces(group) if commas else [" ".join(group.split())]
        names = [name for name in names if any(character.isalnum() for character in name)]
        told: set[str] = set()
        while names:
            prompt, *names = names
            others = list(takewhile(lambda name: not keeps(name), names)) if _keeps_rest(prompt) else []
            if _keeps_rest(whole := " and ".join([prompt, *others])):
                prompt, names = whole, names[len(others) :]
            if called(prompt).casefold() not in told:
                found.setdefault(prompt.casefold(), prompt)
            told.add(called(prompt).casefold())
    return tuple(found.values())


def join_prompts(prompts: Iterable[str], commas: bool = True) -> str:
    """The line that `split_prompts` takes apart into these."""
    line, last = "", ""
    told: set[str] = set()
    for prompt in prompts:
        name = called(prompt).casefold()
        closes = not commas or _keeps_rest(last) or goes_on(prompt) or name in told or _in_brackets(line, prompt)
        line += ("" if not line else "; " if closes else ", ") + prompt
        last, told = prompt, {name} if closes else {*told, name}
    return line


def _in_brackets(line: str, prompt: str) -> bool:
    """Whether a comma between a line and what is to follow it would lie in brackets, as between "(a" and "b)"."""
    return len(_at_commas(f"{line}, {prompt}")) == len(_at_commas(line))


def called(prompt: str) -> str:
    """The name of a lane for a prompt: "just a warm Rhodes part" is called "warm Rhodes part"."""
    return re.sub(r"^(?:the|an?|some)\s+(?=\w)", "", bare(prompt), flags=re.IGNORECASE)


def with_toggled(text: str, prompt: str, commas: bool = True) -> str:
    """A line with a prompt put at its end, or taken out where it has it."""
    prompts = split_prompts(text, commas)
    others = [each for each in prompts if called(each).casefold() != prompt.casefold()]
    return join_prompts(others if len(others) < len(prompts) else [*prompts, prompt], commas)


def names_no_source(prompt: str) -> bool:
    """Whether a prompt asks for the song itself or for nothing, which can be found in no song."""
    return _means(prompt, _NO_SOURCE) or names_what_is_left(prompt)


def names_what_is_left(prompt: str) -> bool:
    """Whether a prompt asks for what the stems leave of the song, which depends on them."""
    return _means(prompt, _WHAT_IS_LEFT)


def _means(prompt: str, pattern: re.Pattern[str]) -> bool:
    words, inverted = parse_prompt(prompt)
    return not inverted and bool(pattern.fullmatch(" ".join(words.split())))


def _pieces(line: str) -> list[str]:
    """What stands between commas, without politeness and the "and" of a list, each with what is left out of it."""
    pieces: list[str] = []
    for typed in _at_commas(line):
        piece = _LEADING_AND.sub("", " ".join(typed.split()))
        if pieces and goes_on(piece):
            pieces[-1] += f", {piece}"
        elif piece and not _POLITE.fullmatch(piece):
            pieces.append(piece)
    return pieces


def _at_commas(line: str) -> list[str]:
    """What stands between commas that are not in brackets."""
    hidden = _BRACKETED.sub(lambda found: found[0].replace(",", "\n"), line)  # a line has no line ends
    return [piece.replace("\n", ",") for piece in hidden.split(",")]


def _keeps_rest(prompt: str) -> bool:
    return parse_prompt(prompt)[1]


# ---------------------------------------------------------------------------------------------------------- completion


def complete(text: str, history: Sequence[str]) -> list[str]:
    """What the prompt at the end of a line may become, best first, at most `SUGGESTIONS`.

    Args:
        text: The line so far.
        history: Earlier prompts, latest first; they go before the list of instruments.
    """
    typed = _last_prompt(text)
    if not typed.strip():
        return []
    key = " ".join(typed.casefold().split()) + (" " if typed[-1] == " " else "")
    found: dict[str, str] = {}
    for whole in (*(x for x in history if x.casefold().startswith(key)), *_endings(typed.lstrip(), key)):
        if whole.casefold() != key.strip():
            found.setdefault(whole.casefold(), whole)
    for whole in history:
        if f" {key}" in f" {whole.casefold()}" and whole.casefold() != key:
            found.setdefault(whole.casefold(), whole)
    return list(found.values())[:SUGGESTIONS]


def completed(text: str, choice: str) -> str:
    """The line with its last prompt replaced by a suggestion."""
    head = text[: len(text) - len(_last_prompt(text))]
    return (head + " " if head and not head[-1].isspace() else head) + choice


def _last_prompt(text: str) -> str:
    """What follows the last separator."""
    return re.split(r"[,;\n]\s*", text)[-1]


def _endings(typed: str, key: str) -> Iterable[str]:
    """The last words typed, made into an instrument or an adjective; words before them stay as they are."""
    starts = [match.start() for match in re.finditer(r"\S+", key)]
    for start in starts:
        head, tail = " ".join(key[:start].split()), key[start:]
        head = typed[: len(head)] + " " if head else ""
        yield from (head + name for name in INSTRUMENTS if name.casefold().startswith(tail))
        yield from (head + word for word in ADJECTIVES if word.startswith(tail))
    if len(starts) == 1:
        yield from (name for name in INSTRUMENTS if f" {key}" in f" {name.casefold()}")


# -------------------------------------------------------------------------------------------------------------- colour

# The first that matches gives the colour, an index into the theme's colours of stems.
_FAMILIES: Final = (
    (1, r"drum|kick|snare|hi-?hats?|cymbal|percussion|beats?\b|clap|tambourine|conga|bongo|shaker|cowbell|toms?\b"),
    (1, r"timpani|tabla"),
    (7, r"bass (?:clarinet|flute)|bassoon"),
    (4, r"vocal|voice|vox|sing(?:er|ing|s)?\b|choir|rap\b|acapella|a cappella|chant|soprano|spoken|speech"),
    (3, r"bass\b|bass ?line|low end|808"),
    (0, r"guitar|banjo|ukulele|mandolin|sitar|lute\b|strum"),
    (2, r"piano|rhodes|wurli|keys|keyboard|organs?\b|clavi?n?e?t?\b|harpsichord|celesta|vibraphone|marimba|xylophone"),
    (2, r"glocken|bells?\b|steel pan"),
    (8, r"synth|pads?\b|arp"),
    (6, r"brass|trumpet|trombone|tuba|horn|cornet|flugel"),
    (7, r"flute|clarinet|oboe|sax|reed|wind|whistle|recorder|harmonica|accordion|bagpipe|piccolo"),
    (5, r"string|violin|viola|cello|fiddle|harp\b|orchestra|pizzicato"),
    (8, r"lead\b|sequence|sawtooth"),
    (9, r"effect|fx\b|noise|ambien|sample|ris(?:er|e)\b|everything|rest\b"),
)
COLOURS: Final = 10


def colour_for(prompt: str, taken: Sequence[int] = ()) -> int:
    """The colour of a stem by its family: guitar 0, drums 1, keys 2, bass 3, voices 4, strings, brass, winds, synth, 9.

    Args:
        prompt: What it was asked for by; "everything but" gives the colour of others.
        taken: Colours of the stems that there are: words of no family take another, as long as there is one.
    """
    words, inverted = parse_prompt(prompt.casefold())
    if inverted:
        return COLOURS - 1
    meant = plain(words)
    turns = [(len(taken) + number) % COLOURS for number in range(COLOURS)]
    free = next((colour for colour in turns if colour not in taken), turns[0])
    return next((colour for colour, pattern in _FAMILIES if re.search(rf"\b(?:{pattern})", meant)), free)


# ----------------------------------------------------------------------------------------------------------- sentences


class Summary(NamedTuple):
    """What the action button says, and the line beside it that says it in full."""

    button: str
    note: str


_BUTTONS: Final[dict[Task, str]] = {
    "extract": later("Extract from {where}"),
    "impute": later("Add to {where}"),
    "accompany": later("Accompany {where}"),
    "inpaint": later("Regenerate {where}"),
    "generate": later("Generate {where}"),
}
_WHOLE: Final[dict[Task, str]] = {
    "extract": later("Takes {what} out of {where}"),
    "impute": later("Adds {what} to {where}"),
    "accompany": later("Makes {what} for {where} of the selected lane"),
    "inpaint": later("Makes {what} anew in {where}"),
    "generate": later("Makes {where} of {what} from nothing"),
}
_UNNAMED: Final[dict[Task, str]] = {
    "extract": later("whatever is like {like}"),
    "impute": later("a part"),
    "accompany": later("a part"),
    "inpaint": later("the part"),
    "generate": later("music"),
}
_DEVICES: Final = {"cpu": later("this CPU"), "cuda": later("this GPU"), "mps": later("this GPU")}


def summary(
    prompt: Prompt,
    span_text: str,
    seconds: float | None = None,
    device: str = "",
    takes: int = 1,
    like: str = "",
    start: str = "",
) -> Summary:
    """What a prompt will do and how long it takes: ("Extract from 8 bars ≈ 6 s", "Takes the bass out of 8 bars, ...").

    Args:
        prompt: What is wanted; its text may be empty for an audio example and for music from nothing.
        span_text: "8 bars", "12.3 s" or "the whole song".
        seconds: Of work, if known.
        device: "cpu", "cuda", "mps", or "" while unknown.
        takes: Versions of each new part.
        like: Which selection it is to be like: "bars 5–7 of Keys".
        start: Where it begins, if nothing else says so: "bar 9".
    """
    task = prompt.task
    button = say(_BUTTONS[task], where=span_text)
    note = say(_WHOLE[task], what=_wanted(prompt, like or say("the selection")), where=span_text)
    if start:
        note = say("{does} at {start}", does=note, start=start)
    if takes > 1 and task != "extract":
        note = say("{does} in {number} takes", does=note, number=takes)
    if seconds is None:
        return Summary(button, say("{does}.", does=note))
    time = duration_text(seconds)
    button = say("{does} ≈ {time}", does=button, time=time)
    if device not in _DEVICES:
        return Summary(button, say("{does}; about {time}.", does=note, time=time))
    on = say(_DEVICES[device])
    return Summary(button, say("{does}; about {time} on {device}.", does=note, time=time, device=on))


def _wanted(prompt: Prompt, like: str) -> str:
    """What a prompt names: "the bass", "drums and bass as 2 stems", "a part like the selection".

    How many lanes it makes is said where words alone leave that open: "drums and bass" may be one source or two.
    """
    names, unnamed = prompts_of(prompt), say(_UNNAMED[prompt.task], like=like)
    if prompt.task == "extract":
        lanes = [*names, unnamed] if prompt.like or not names else names
        if len(lanes) == 1:
            return say("{what} as one stem", what=lanes[0]) if _names_two(lanes[0]) else lanes[0]
        return say("{what} as {number} stems", what=listed(lanes), number=len(lanes))
    what = listed(names) or unnamed
    if len(names) > 1:
        what = say("{what} as {number} parts", what=what, number=len(names))
    return say("{what} like {like}", what=what, like=like) if prompt.like and prompt.task != "generate" else what


def _names_two(prompt: str) -> bool:
    """Whether a source is called by two names; what "everything but drums and bass" leaves is one to everybody."""
    return bool(re.search(r"\w\s+(?:and|&|\+)\s+\w", prompt)) and not _keeps_rest(prompt)


def listed(names: Sequence[str]) -> str:
    """"drums", "drums and bass", "drums, bass and piano"; of more than three the first two and how many others."""
    if len(names) < 2:
        return "".join(names)
    first, second = names[:2]
    if len(names) > 3:
        return say("{first}, {second} and {number} others", first=first, second=second, number=len(names) - 2)
    if len(names) == 3:
        return say("{first}, {second} and {third}", first=first, second=second, third=names[2])
    return say("{first} and {second}", first=first, second=second)


def duration_text(seconds: float) -> str:
    """About how long, at least a second: "6 s", "1 min 20 s", "2 h 5 min"."""
    if not math.isfinite(seconds):
        return say("unknown")
    if seconds < 1:
        return say("{seconds} s", seconds=1)
    whole = round(seconds) if seconds < 60 else round(seconds / 5) * 5
    if whole < 60:
        return say("{seconds} s", seconds=whole)
    if whole < 600 and whole % 60:
        return say("{minutes} min {seconds} s", minutes=whole // 60, seconds=whole % 60)
    if whole < 3600:
        return say("{minutes} min", minutes=whole // 60)
    if whole % 3600 >= 60:
        return say("{hours} h {minutes} min", hours=whole // 3600, minutes=whole % 3600 // 60)
    return say("{hours} h", hours=whole // 3600)


def progress_text(
    windows: tuple[int, int] | None = None, steps: tuple[int, int] | None = None, left_s: float | None = None
) -> str:
    """"window 2 of 3, step 15 of 24 · 3 s left"; each pair is (done, total), and what is being done counts from one."""
    window, step = later("window {number} of {total}"), later("step {number} of {total}")
    parts = [
        say(template, number=min(pair[0] + 1, pair[1]), total=pair[1])
        for template, pair in ((window, windows), (step, steps))
        if pair and pair[1] > 0
    ]
    known = left_s is not None and math.isfinite(left_s)
    left = [say("{duration} left", duration=duration_text(max(left_s or 0, 0)))] if known else []
    return " · ".join([*([", ".join(parts)] if parts else []), *left])


def level_text(level_db: float) -> str:
    """"-12.3 dB", "0.0 dB" or "-∞ dB", with a true minus sign."""
    if level_db == -math.inf or math.isnan(level_db):
        return "−∞ dB"
    return f"{level_db + 0.0:.1f} dB".replace("-0.0", "0.0").replace("-", "−")


def size_text(size_bytes: int) -> str:
    """"23.1 MB", as file managers count."""
    value = float(size_bytes)
    for unit in (later("{size} B"), later("{size} kB"), later("{size} MB")):
        if value < 999.5:
            return say(unit, size=f"{value:.0f}" if size_bytes < 1000 or value >= 100 else f"{value:.1f}")
        value /= 1000
    return say("{size} GB", size=f"{value:.2f}")


def facts_text(rate_hz: int, channels: int, samples: int) -> str:
    """"48 kHz stereo · 3:42"."""
    seconds = round(samples / rate_hz)
    minutes, hours = seconds // 60 % 60, seconds // 3600
    length = f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"
    named = say("mono") if channels == 1 else say("stereo") if channels == 2 else None
    width = named or say("{channels} channels", channels=channels)
    return say("{rate:g} kHz {width} · {length}", rate=rate_hz / 1000, width=width, length=length)


# ------------------------------------------------------------------------------------------------------------ settings

_NOTES: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
KEYS: Final = tuple(f"{note} {mode}" for mode in ("major", "minor") for note in _NOTES)
_SAME: Final = {"Db": "C#", "D#": "Eb", "Gb": "F#", "G#": "Ab", "A#": "Bb", "Cb": "B", "B#": "C", "E#": "F", "Fb": "E"}
_MODES: Final = {"": "major", "maj": "major", "major": "major", "m": "minor", "min": "minor", "minor": "minor"}
QUALITY_NAMES: Final[dict[Quality, str]] = {
    "draft": later("Draft"),
    "standard": later("Standard"),
    "best": later("Best"),
}
MAX_SEED: Final = 2**31 - 1


def parse_key(text: str) -> str | None:
    """One of `KEYS` from what somebody typed ("am", "F# minor", "Db"); "" from nothing, None from anything else."""
    if not text.strip():
        return ""
    match = re.fullmatch(r"([A-Ga-g])\s*([#♯b♭]?)\s*([A-Za-z]*)", text.strip())
    if not match:
        return None
    note = match[1].upper() + match[2].replace("♯", "#").replace("♭", "b")
    mode = _MODES.get("major" if match[3] == "M" else match[3].lower())
    return f"{_SAME.get(note, note)} {mode}" if mode else None


def drawn_seed(taken: Collection[int] = ()) -> int:
    """A seed that is short enough to be told to somebody, and none of those that would sound as what is there."""
    return random.choice([seed for seed in range(10_000) if seed not in taken])
