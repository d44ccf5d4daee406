"""Phrases that name each kind of stem. Training uses `CAPTIONS`, tests of unseen wording `HELD_OUT_CAPTIONS`.

Labels are free text: `MORE_CAPTIONS` names what data sets call their stems beyond the corpus's own vocabulary, `COVERS`
what such a name may sound like, and any label that no table knows stands for itself.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..words import KIT

CAPTIONS: dict[str, tuple[str, ...]] = {
    "drums": (
        "drums",
        "the drums",
        "drum kit",
        "beat",
        "a drum beat",
        "drum set",
        "the drummer",
        "drum groove",
        "drum machine",
        "rhythm section drums",
        "acoustic drums",
        "electronic drums",
    ),
    "bass": (
        "bass",
        "the bass",
        "bass guitar",
        "bass line",
        "bassline",
        "the low end",
        "electric bass",
        "a bass part",
        "low bass notes",
        "bass player",
    ),
    "electric guitar": (
        "electric guitar",
        "the electric guitar",
        "guitar",
        "electric guitar riff",
        "lead guitar",
        "rhythm guitar",
        "guitar part",
        "electric guitarist",
    ),
    "acoustic guitar": (
        "acoustic guitar",
        "the acoustic guitar",
        "guitar",
        "strummed acoustic guitar",
        "fingerpicked guitar",
        "steel string guitar",
        "nylon guitar",
        "unplugged guitar",
    ),
    "piano": ("piano", "the piano", "keys", "piano chords", "grand piano", "keyboard", "piano part", "pianist"),
    "organ": ("organ", "the organ", "hammond organ", "organ chords", "keys organ", "rock organ", "organ part"),
    "strings": (
        "strings",
        "the strings",
        "string section",
        "violins",
        "string ensemble",
        "orchestral strings",
        "bowed strings",
        "string arrangement",
    ),
    "brass": ("brass", "the brass", "horns", "horn section", "brass section", "trumpets", "brass instruments"),
    "reed": ("reed", "saxophone", "sax", "woodwind reed instrument", "reeds", "the saxophone", "reed instrument"),
    "flute": ("flute", "the flute", "flute melody", "woodwind flute", "pipe", "flutist"),
    "lead synth": (
        "lead synth",
        "synth lead",
        "synthesizer lead",
        "the lead synth",
        "synth melody",
        "synth",
        "synthesizer",
        "electronic lead",
    ),
    "pad synth": (
        "pad synth",
        "synth pad",
        "the pad",
        "ambient pad",
        "warm synth pad",
        "synth chords",
        "atmosphere pad",
        "synthesizer pad",
    ),
    "percussion": (
        "percussion",
        "the percussion",
        "hand percussion",
        "shakers and congas",
        "percussion loop",
        "tambourine and shaker",
        "auxiliary percussion",
        "bongos",
    ),
    "vocals": (
        "vocals",
        "the vocals",
        "singing",
        "voice",
        "singer",
        "lead vocals",
        "vocal melody",
        "the voice",
        "a person singing",
    ),
    "effects": (
        "effects",
        "sound effects",
        "fx",
        "risers and sweeps",
        "synth effects",
        "noise sweep",
        "ambient effects",
    ),
    "other": ("other", "other instruments", "everything else", "the rest", "accompaniment", "remaining instruments"),
}

HELD_OUT_CAPTIONS: dict[str, tuple[str, ...]] = {
    "drums": ("percussive drum track", "someone playing a drum kit"),
    "bass": ("bass instrument track", "deep bass notes"),
    "electric guitar": ("an electric guitar playing", "amplified guitar"),
    "acoustic guitar": ("an acoustic guitar playing", "folk guitar"),
    "piano": ("someone playing the piano", "piano track"),
    "organ": ("someone playing an organ", "organ keyboard"),
    "strings": ("violins and cellos", "orchestra strings"),
    "brass": ("trumpet and trombone", "a brass band"),
    "reed": ("someone playing the saxophone", "clarinet or saxophone"),
    "flute": ("a flute playing", "flute solo"),
    "lead synth": ("a lead synthesizer", "solo synth"),
    "pad synth": ("background synth pad", "soft synthesizer pad"),
    "percussion": ("percussion instruments", "conga and shaker rhythm"),
    "vocals": ("sung vocals", "the singer's voice"),
    "effects": ("special effects", "swooshes and risers"),
    "other": ("remaining parts", "all the other sounds"),
}

# What a General MIDI program is called, beyond its family: (first, last, phrases).
PROGRAM_CAPTIONS: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 3, ("acoustic piano", "grand piano")),
    (4, 5, ("electric piano", "rhodes")),
    (6, 6, ("harpsichord",)),
    (7, 7, ("clavinet", "clav")),
    (8, 8, ("celesta",)),
    (9, 9, ("glockenspiel",)),
    (10, 10, ("music box",)),
    (11, 11, ("vibraphone",)),
    (12, 12, ("marimba",)),
    (13, 13, ("xylophone",)),
    (14, 14, ("tubular bells", "church bells")),
    (15, 15, ("dulcimer",)),
    (16, 18, ("hammond organ", "drawbar organ")),
    (19, 20, ("church organ", "pipe organ")),
    (21, 23, ("accordion", "reed organ")),
    (24, 24, ("nylon guitar", "classical guitar")),
    (25, 25, ("steel string guitar", "folk acoustic guitar")),
    (26, 28, ("clean electric guitar", "clean guitar")),
    (29, 30, ("distorted electric guitar", "distortion guitar", "overdriven guitar")),
    (32, 32, ("acoustic bass", "upright bass", "double bass")),
    (33, 34, ("electric bass", "fingered bass")),
    (35, 35, ("fretless bass",)),
    (36, 37, ("slap bass", "funky slap bass")),
    (38, 39, ("synth bass", "bass synthesizer")),
    (40, 40, ("violin", "fiddle")),
    (41, 41, ("viola",)),
    (42, 42, ("cello",)),
    (44, 44, ("tremolo strings",)),
    (45, 45, ("pizzicato strings", "plucked strings")),
    (46, 46, ("harp", "orchestral harp")),
    (48, 49, ("string ensemble", "string section")),
    (50, 51, ("synth strings",)),
    (52, 54, ("choir", "vocal choir", "choir voices")),
    (56, 56, ("trumpet",)),
    (57, 57, ("trombone",)),
    (58, 58, ("tuba",)),
    (59, 59, ("muted trumpet",)),
    (60, 60, ("french horn",)),
    (61, 61, ("brass section", "horn section")),
    (62, 63, ("synth brass",)),
    (64, 67, ("saxophone", "sax", "saxophone solo")),
    (68, 69, ("oboe",)),
    (70, 70, ("bassoon",)),
    (71, 71, ("clarinet",)),
    (72, 73, ("flute", "piccolo")),
    (74, 74, ("recorder",)),
    (75, 75, ("pan flute",)),
    (78, 78, ("whistle",)),
    (104, 104, ("sitar",)),
    (105, 105, ("banjo",)),
    (106, 106, ("shamisen",)),
    (107, 107, ("koto",)),
    (108, 108, ("kalimba", "thumb piano")),
    (109, 109, ("bagpipes",)),
    (110, 110, ("fiddle",)),
    (111, 111, ("shanai",)),
)

MORE_CAPTIONS: dict[str, tuple[str, ...]] = {
    "guitar": ("guitar", "the guitar", "guitars", "guitar part", "guitarist", "a guitar playing chords or riffs"),
    "mallets": ("mallets", "glockenspiel", "vibraphone", "xylophone", "marimba", "bells", "music box", "celesta"),
    "plucked strings": ("plucked strings", "banjo", "mandolin", "harp", "ukulele", "sitar", "koto"),
    "wind": ("wind instruments", "winds", "woodwinds and brass", "horns and flutes", "the winds"),
    "keys": ("keys", "keyboards", "the keyboards", "organ and synths", "keyboard part"),
    "choir": ("choir", "choir voices", "vocal choir", "the choir", "oohs and aahs"),
    "accordion": ("accordion", "the accordion", "squeezebox"),
    "harmonica": ("harmonica", "blues harp", "mouth organ"),
    "turntables": ("turntables", "scratching", "dj scratches"),
    "vinyl noise": ("vinyl noise", "vinyl crackle", "record crackle", "surface noise"),
    "tape noise": ("tape noise", "tape hiss", "the hiss"),
    "kick drum": ("kick drum", "kick", "the kick", "bass drum", "the kick drum", "kicks", "kick track"),
    "snare drum": ("snare drum", "snare", "the snare", "snares", "the snare drum", "snare hits", "rimshots"),
    "hi-hats": ("hi-hats", "hi-hat", "the hi-hats", "hats", "hihat", "closed hi-hat", "open hi-hat"),
    "toms": ("toms", "tom", "the toms", "tom toms", "floor tom", "tom fills"),
    "cymbals": ("cymbals", "the cymbals", "cymbal", "crash cymbal", "ride cymbal", "crash", "ride"),
    "claps": ("claps", "clap", "the claps", "hand claps", "clapping"),
}

# What a label may contain beside itself. A prompt for a kind that some stem may contain is never taught to be silence.
COVERS: dict[str, tuple[str, ...]] = {
    "guitar": ("electric guitar", "acoustic guitar", "plucked strings"),
    "drums": ("percussion", *KIT),
    "cymbals": ("hi-hats",),
    "strings": ("choir", "plucked strings"),
    "vocals": ("choir",),
    "wind": ("brass", "reed", "flute", "harmonica"),
    "keys": ("piano", "organ", "lead synth", "pad synth", "accordion", "mallets"),
    "percussion": ("mallets", "claps"),
    "lead synth": ("keys",),
    "organ": ("accordion",),
    "reed": ("harmonica", "accordion"),
    "plucked strings": ("acoustic guitar", "electric guitar"),
    "effects": ("turntables", "pad synth", "vinyl noise", "tape noise"),
}
# Words that tell what a free label may name, wherever they stand in it; a label without any may name anything.
_TELLING: dict[str, str] = {
    "drums": "drum drums drumkit overhead overheads beat",
    "kick drum": "kick kicks",
    "snare drum": "snare snares rimshot",
    "hi-hats": "hat hats hihat hihats",
    "toms": "tom toms",
    "cymbals": "cymbal cymbals ride crash",
    "claps": "clap claps",
    "bass": "bass bassline sub 808",
    "guitar": "guitar guitars gtr",
    "piano": "piano pianos rhodes wurlitzer harpsichord clavinet",
    "organ": "organ hammond",
    "strings": "string strings violin violins viola violas cello cellos orchestra orchestral",
    "brass": "brass horn horns trumpet trumpets trombone trombones tuba",
    "reed": "reed reeds sax saxes saxophone saxophones clarinet oboe bassoon",
    "flute": "flute flutes piccolo recorder whistle",
    "wind": "wind winds woodwind woodwinds",
    "keys": "key keys keyboard keyboards",
    "lead synth": "synth synths synthesizer lead leads arp pluck",
    "pad synth": "synth synths synthesizer pad pads atmosphere drone",
    "percussion": "percussion perc shaker shakers conga congas bongo bongos tambourine clap claps cowbell timpani",
    "mallets": "mallets glockenspiel vibraphone xylophone marimba bell bells celesta",
    "plucked strings": "harp sitar koto banjo mandolin ukulele",
    "vocals": "vocal vocals voice voices vox singer singers singing sung rap adlib adlibs lead",
    "choir": "choir",
    "accordion": "accordion",
    "harmonica": "harmonica",
    "turntables": "turntable turntables scratch scratches scratching",
    "effects": "effect effects fx sfx riser risers sweep sweeps noise",
}
_BASS_DRUM = re.compile(r"(?<![a-z])bass[ _-]?drum(?![a-z])")  # one drum, neither a bass nor a kit
_ANYTHING = frozenset(
    ("all", "everything", "rest", "other", "others", "band", "instruments", "instrumental", "music", "samples")
)
VAGUE = frozenset(("other", "effects"))  # whether these are absent no one can say
UNPITCHED = frozenset(("drums", "percussion", "effects", "turntables", "vinyl noise", "tape noise", *KIT))
"""Labels of stems that are in no key."""
_NEVER_OTHER = ("vocals", "drums", "bass", *KIT)  # what "other" lacks in every data set


def alike(first: str, second: str) -> bool:
    """Whether a stem of one label may contain what the other names; of labels that say nothing any stem may."""
    mine, theirs = kinds(first), kinds(second)
    return not (mine and theirs) or any(_overlap(a, b) for a in mine for b in theirs)


@cache
def kinds(label: str) -> frozenset[str]:
    """Labels of the tables that a label may name: itself, or those that words of it tell; none may be any."""
    if label in CAPTIONS or label in MORE_CAPTIONS:
        return frozenset((label,))
    words = _split(_BASS_DRUM.sub("kick", label.lower()))
    if words & _ANYTHING:
        return frozenset()
    told = frozenset(kind for kind, telling in _TELLING.items() if words & {*telling.split()})
    return told - {"drums"} if told & {*KIT} else told  # "kick drum 2" is that piece alone


def is_pitched(label: str) -> bool:
    """Whether a stem of that label may be in a key; free text that names drums alone, as "kick in", is in none."""
    return not kinds(label) or not kinds(label) <= UNPITCHED


@cache
def _split(text: str) -> frozenset[str]:
    """Its words, and the number that is one; the two pedals of "double bass drums" are no double bass."""
    return frozenset(re.findall(r"808|[^\W\d_]+", text.lower().replace("double bass drum", "bass drum")))


def _overlap(first: str, second: str) -> bool:
    if "other" in (first, second):
        return first == second or not {first, second} & set(_NEVER_OTHER)
    mine, theirs = {first, *COVERS.get(first, ())}, {second, *COVERS.get(second, ())}
    return first in theirs or second in mine


def absent(labels: Iterable[str], vocabulary: Iterable[str]) -> list[str]:
    """Labels of the vocabulary that a song of `labels` lacks for certain; never those that say nothing."""
    labels = list(labels)
    return [v for v in vocabulary if v not in VAGUE and not any(alike(v, label) for label in labels)]


def phrases(label: str, program: int | None = None) -> list[str]:
    """Phrases for a label, the plainest first, then those of its General MIDI program."""
    return describe(label, None, (), program)


def _known(label: str) -> Sequence[str]:
    """Phrases of the tables for a label.

    Free text stands for itself; where it tells one class alone, as "kick in" does, that class's phrases are said too.
    """
    if known := CAPTIONS.get(label) or MORE_CAPTIONS.get(label):
        return known
    told = [*kinds(label)]
    return [label, f"the {label}", *(_known(told[0]) if len(told) == 1 else ())]


def own_phrases(label: str, program: int | None, tags: Iterable[str]) -> list[str]:
    """Phrases that name one very sound: what its tags are called under that label, and its General MIDI program."""
    named = [phrase for tag in tags for phrase in _NAMED.get((tag, label), ())]
    return [*named, *(program_captions(program) if program is not None else ())]


def _fitting(said: Iterable[str], label: str, *told: str) -> list[str]:
    """Those phrases that name no alternative of `_EITHER` where the label, or a text about the sound, names another.

    Each counts for itself, and texts without the label's words: a lead synth that plays chords is a lead all the same.
    """
    usual = _split(label)
    facts = [_alternatives(words) for words in (usual, *(_split(text) - usual for text in told))]
    return [p for p in said if not any(_contradict(_alternatives(_split(p) - usual), fact) for fact in facts)]


@cache
def _alternatives(words: frozenset[str]) -> frozenset[tuple[int, int]]:
    """Which alternatives of `_EITHER` words name: row and place."""
    return frozenset((i, j) for i, row in enumerate(_EITHER) for j, each in enumerate(row) if words & {*each.split()})


def _contradict(first: frozenset[tuple[int, int]], second: frozenset[tuple[int, int]]) -> bool:
    """Whether both name something of a row, and nothing in common."""
    return {row for row, _ in first} & {row for row, _ in second} != {row for row, _ in first & second}


def kin(first: str, second: str) -> bool:
    """Whether one broader label covers both, as "guitar" does the electric and the acoustic one."""
    return any({first, second} <= {*covered} for covered in COVERS.values())


def unmistakable(label: str, heard: Iterable[str], known: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Those phrases of `known[label]` that can mean none of its kin among the `heard` labels: no "guitar" for either.

    What tells a phrase apart is a word of the label, or one of its own that no other label's phrases have, unless the
    kin's phrases have it too.
    """
    others = {word for other, words in _words().items() if other != label for word in words}
    telling = {word for word in " ".join(known[label]).split() if word in label.split() or word not in others}
    rivals = [{*" ".join([*phrases(h), *known.get(h, ())]).split()} for h in heard if kin(label, h)]
    return tuple(p for p in known[label] if all({*p.split()} & telling - rival for rival in rivals))


@cache
def _words() -> dict[str, frozenset[str]]:
    return {label: frozenset(" ".join(phrases(label)).split()) for label in (*CAPTIONS, *MORE_CAPTIONS)}


def program_captions(program: int) -> tuple[str, ...]:
    """Extra phrases for one General MIDI program."""
    return next((phrases for low, high, phrases in PROGRAM_CAPTIONS if low <= program <= high), ())


# How a part is played, by the styles and grooves of `events`: forms that take the label.
PLAYED: dict[str, tuple[str, ...]] = {
    "root": ("simple {}", "steady {}"),
    "octave": ("octave {}", "disco {} line"),
    "walking": ("walking {}", "walking {} line", "jazz {}"),
    "synth": ("pulsing {}", "sixteenth note {}"),
    "syncopated": ("syncopated {}", "funky {} line"),
    "long": ("long {} notes", "legato {}", "sustained {}"),
    "held": ("held {} chords", "sustained {}", "{} chords"),
    "stabs": ("{} stabs", "stabbing {} chords"),
    "strum": ("strummed {}", "{} strumming"),
    "offbeat": ("offbeat {}", "offbeat {} chords"),
    "eighths": ("driving {}", "{} in eighths", "pumping {}"),
    "broken": ("broken {} chords", "picked {}"),
    "arpeggio": ("arpeggiated {}", "{} arpeggio", "{} sequence"),
    "power": ("{} power chords", "power chords", "chugging {}"),
    "halves": ("slow {} chords", "{} chords"),
    "phrases": ("{} melody", "{} line", "melodic {}"),
    "riff": ("{} riff", "{} hook", "repeating {}"),
    "runs": ("fast {} runs", "soloing {}", "virtuoso {}"),
    "rock": ("rock beat", "rock drums", "straight rock drums"),
    "rock_ride": ("rock drums with ride cymbal", "rock beat"),
    "rock_busy": ("busy rock drums",),
    "ballad": ("ballad drums", "slow drums with rim clicks"),
    "four_floor": ("four on the floor beat", "dance drums"),
    "house": ("house beat", "house drums"),
    "techno": ("techno beat", "techno drums"),
    "trance": ("trance beat",),
    "hip_hop": ("hip hop beat", "hip hop drums"),
    "boom_bap": ("boom bap beat", "old school hip hop drums"),
    "trap": ("trap beat", "trap drums with fast hi-hats"),
    "half_time": ("half-time drums",),
    "half_ride": ("half-time drums with ride cymbal",),
    "funk": ("funk drums", "funky beat"),
    "funk_open": ("funk drums with open hi-hats",),
    "disco": ("disco beat", "disco drums"),
    "samba": ("samba drums", "samba beat"),
    "latin": ("latin drums", "latin beat"),
    "shuffle": ("shuffle beat", "blues shuffle drums"),
    "jazz_ride": ("jazz drums", "swing drums", "ride cymbal swing"),
    "punk": ("punk drums", "fast punk beat"),
    "metal": ("metal drums", "double bass drums"),
    "motown": ("motown drums", "soul drums"),
    "sparse": ("sparse drums", "minimal beat"),
    "tribal": ("tribal drums", "tom groove"),
    "uk_garage": ("garage beat", "two-step drums"),
    "drum_and_bass": ("drum and bass beat", "breakbeat", "fast breakbeat"),
    "train": ("train beat", "country drums with brushes"),
}

# What was done to a sound (`production`), or what made it (`Sampler.tags`, `Bank.kit_tags`): tag to adjectives.
ADJECTIVES: dict[str, tuple[str, ...]] = {
    "distorted": ("distorted", "overdriven", "dirty", "gritty"),
    "bright": ("bright", "crisp", "brilliant"),
    "dark": ("dark", "warm", "mellow"),
    "muffled": ("muffled", "filtered", "dull"),
    "thin": ("thin", "telephone-like", "tinny"),
    "wide": ("wide", "lush", "chorused"),
    "echoing": ("echoing", "delayed"),
    "reverberant": ("reverberant", "spacious", "distant", "ambient"),
    "lo-fi": ("lo-fi", "bit-crushed"),
    "electronic": ("electronic", "synthetic", "programmed"),
    "acoustic": ("acoustic", "live"),
    "saw": ("saw", "buzzing"),
    "fm": ("fm", "glassy"),
    "wavetable": ("wavetable", "morphing"),
    "struck": ("struck", "bell-like"),
    "808": ("808", "booming"),
    "plucked": ("plucked", "plucky"),
    "female": ("female", "a woman's"),
    "male": ("male", "a man's"),
    "choral": ("choral", "harmonised", "layered"),
}
_MADE = ("saw", "fm", "wavetable", "struck", "808", "plucked", "female", "male", "choral")
"""Tags of what made a sound; the others tell how it is, and come before in a phrase: "bright saw"."""
_LEADS = {"lead synth": "lead", "pad synth": "pad"}  # what these are called for short, and can be counted

# What a tag is called in a stem of that label, beside its adjectives.
_NAMED: dict[tuple[str, str], tuple[str, ...]] = {
    ("808", "bass"): ("808 bass", "sub bass", "synth bass"),
    ("plucked", "bass"): ("plucked bass",),
    ("electronic", "bass"): ("synth bass", "bass synthesizer"),
    ("plucked", "acoustic guitar"): ("plucked strings guitar",),
    ("female", "vocals"): ("female vocals", "female singer", "woman singing"),
    ("male", "vocals"): ("male vocals", "male singer", "man singing"),
}

# Alternatives that exclude each other, each as its words. What is one of them is never called by another of its row.
_EITHER: tuple[tuple[str, ...], ...] = (
    (
        "acoustic upright double unplugged",
        "electric guitar slap fretless",
        "electronic synth synthesizer machine sub 808",
        "mixed",  # `bank.MIXED`, which no phrase says
    ),
    ("clean", "distorted overdriven distortion"),
    ("grand acoustic", "electric electronic rhodes wurlitzer", "harpsichord", "clavinet clav"),
    ("hammond drawbar rock", "church pipe", "accordion reed"),
    ("nylon classical", "steel folk"),
    ("strummed strumming", "fingerpicked picked arpeggiated arpeggio"),
    ("melody melodic riff hook soloing lead", "chords rhythm strummed strumming"),
    ("violin fiddle viola cello", "section ensemble arrangement orchestral violins"),
    ("bowed", "pizzicato plucked"),
    ("synth", "bowed orchestral violins horn horns trumpets"),
    ("trumpet trombone tuba french", "section horns trumpets"),
    ("saxophone sax", "oboe", "bassoon", "clarinet", "bagpipes", "shanai"),
    ("flutist piccolo", "recorder", "whistle", "pan"),
    ("glockenspiel", "vibraphone", "xylophone", "marimba", "bell bells", "box", "celesta", "dulcimer", "kalimba"),
    ("banjo", "mandolin", "harp", "ukulele", "sitar", "koto", "shamisen", "pizzicato"),
    ("shaker shakers", "tambourine", "conga congas", "bongo bongos", "cowbell", "timpani"),
    ("choir choral", "singer person lead"),
    ("backing", "lead"),
    ("bright", "dark warm muffled"),
    ("thin", "warm"),
    ("saw fm wavetable struck", "noise risers"),
    ("ride", "crash"),
    ("open", "closed"),
    ("overhead overheads", "kick machine electronic"),
)


def describe(label: str, style: str | None, tags: Iterable[str], program: int | None = None) -> list[str]:
    """Phrases for one very sound: those of its label, of how it is played, of what was done to it, both together.

    Nothing is said that contradicts the label, the tags, the style or the program (`_EITHER`).
    """
    tags = list(dict.fromkeys(tags))
    done, own, forms = " ".join(tags), own_phrases(label, program, tags), PLAYED.get(style or "", ())
    plain = _fitting([*_known(label), *own], label, done, " ".join(own), " ".join(forms))
    played = [form.format(label) for form in forms]
    told = [tag for tag in tags if tag in ADJECTIVES]
    adjectives = [word for tag in told for word in ADJECTIVES[tag] if not label.startswith(word)]
    # whatever plays it: a clean guitar is called distorted where that was done to it
    described = _fitting((f"{word} {label}" for word in adjectives), label, done)
    both = [f"{ADJECTIVES[tag][0]} {first}" for tag in told for first in played[:1]]
    return list(dict.fromkeys([*plain, *played, *described, *both, *_twice(label, told)]))


def _twice(label: str, tags: Sequence[str]) -> list[str]:
    """Phrases of how a sound is and what made it: "a bright saw lead", "distorted 808 bass"."""
    pairs = [
        f"{ADJECTIVES[how][0]} {ADJECTIVES[made][0]} {_LEADS.get(label, label)}"
        for made in tags
        for how in tags
        if made in _MADE and how not in _MADE
    ]
    if label in _LEADS:
        return [f"{'an' if pair[0] in 'aeio' else 'a'} {pair}" for pair in pairs]
    return pairs


@dataclass(frozen=True)
class Union:
    """A source that is the sum of stems: what it is called, the labels of `parts` it sums, phrases for it."""

    label: str
    parts: tuple[str, ...]
    captions: tuple[str, ...]


GROUPS = (
    Union(
        "rhythm section",
        ("drums", "bass", "percussion", *KIT),
        ("rhythm section", "the rhythm section", "bass and drums", "drums and bass", "the groove", "rhythm track"),
    ),
    Union("guitars", ("electric guitar", "acoustic guitar", "guitar"), ("guitars", "the guitars", "all guitars")),
    Union("keyboards", ("piano", "organ", "keys"), ("keyboards", "the keyboards", "all keys", "piano and organ")),
    Union("synths", ("lead synth", "pad synth"), ("synths", "the synths", "synthesizers", "all synths")),
    Union("winds", ("brass", "reed", "flute", "wind"), ("wind instruments", "winds", "horns and woodwinds")),
    Union(
        "orchestra",
        ("strings", "brass", "reed", "flute", "choir"),
        ("orchestra", "the orchestra", "orchestral instruments", "symphonic parts"),
    ),
    Union("drums", KIT, tuple(_fitting(CAPTIONS["drums"], "drums", "mixed"))),  # of what pieces is not known
    Union(
        "all percussion",
        ("drums", "percussion", *KIT),
        ("drums and percussion", "all drums", "everything percussive"),
    ),
)
WITHOUT = {
    "vocals": ("instrumental", "the instrumental", "karaoke version", "backing track", "the accompaniment"),
    "drums": ("drumless track", "everything but the beat"),
    "bass": ("everything but the low end",),
}
_WITHOUT_FORMS = ("everything but the {}", "everything except the {}", "all but the {}", "the mix without {}")
_PAIRED = ("drums", "bass", "vocals", "piano", "electric guitar", "acoustic guitar", "guitar", "strings")


def unions(labels: Sequence[str]) -> dict[str, list[Union]]:
    """Unions of at least two of `labels` that leave at least one out, by kind: "groups", "all but one", "pairs"."""
    labels = list(dict.fromkeys(labels))
    groups = [Union(g.label, tuple(label for label in labels if label in g.parts), g.captions) for g in GROUPS]
    all_but = [_without(label, labels) for label in labels if not any(alike(label, o) for o in labels if o != label)]
    common = [label for label in labels if label in _PAIRED]
    pairs = [
        Union(f"{a} and {b}", (a, b), (f"{a} and {b}", f"{b} and {a}", f"the {a} and the {b}", f"{a} with {b}"))
        for i, a in enumerate(common)
        for b in common[i + 1 :]
    ]
    kinds = {"groups": groups, "all but one": all_but, "pairs": pairs}
    return {kind: [u for u in found if 2 <= len(u.parts) < len(labels)] for kind, found in kinds.items()}


def _without(label: str, labels: Sequence[str]) -> Union:
    said = [form.format(label) for form in _WITHOUT_FORMS]
    return Union(f"all but {label}", tuple(x for x in labels if x != label), (*said, *WITHOUT.get(label, ())))


def draw_union(labels: Sequence[str], rng: np.random.Generator) -> Union | None:
    """One of `unions`, every kind that there is being as likely; None where there is none."""
    kinds = [found for found in unions(labels).values() if found]
    if not kinds:
        return None
    found = kinds[rng.integers(len(kinds))]
    return found[rng.integers(len(found))]


def draw_absent(heard: Iterable[str], known: Mapping[str, Sequence[str]], rng: np.random.Generator) -> Union | None:
    """A source that none of the `heard` labels may contain, of those that `known` has phrases for: it has no parts.

    Where pieces of a kit are heard it may be another piece.
    """
    heard = list(heard)
    if {*KIT} & {*heard}:
        known = {**{piece: MORE_CAPTIONS[piece] for piece in KIT}, **known}
    missing = [Union(label, (), unmistakable(label, heard, known)) for label in absent(heard, known)]
    missing = [union for union in missing if union.captions]
    return missing[rng.integers(len(missing))] if missing else None
