"""Phrases that name each kind of stem. Training uses `CAPTIONS`, tests of unseen wording `HELD_OUT_CAPTIONS`."""

CAPTIONS: dict[str, tuple[str, ...]] = {
    "drums": ("drums", "the drums", "drum kit", "beat", "a drum beat", "drum set", "the drummer", "drum groove",
              "kick and snare", "drum machine", "rhythm section drums", "acoustic drums", "electronic drums"),
    "bass": ("bass", "the bass", "bass guitar", "bass line", "bassline", "the low end", "electric bass", "a bass part",
             "low bass notes", "bass player"),
    "electric guitar": ("electric guitar", "the electric guitar", "guitar", "electric guitar riff", "lead guitar",
                        "rhythm guitar", "guitar part", "electric guitarist"),
    "acoustic guitar": ("acoustic guitar", "the acoustic guitar", "guitar", "strummed acoustic guitar",
                        "fingerpicked guitar", "steel string guitar", "nylon guitar", "unplugged guitar"),
    "piano": ("piano", "the piano", "keys", "piano chords", "grand piano", "keyboard", "piano part", "pianist"),
    "organ": ("organ", "the organ", "hammond organ", "organ chords", "keys organ", "rock organ", "organ part"),
    "strings": ("strings", "the strings", "string section", "violins", "string ensemble", "orchestral strings",
                "bowed strings", "string arrangement"),
    "brass": ("brass", "the brass", "horns", "horn section", "brass section", "trumpets", "brass instruments"),
    "reed": ("reed", "saxophone", "sax", "woodwind reed instrument", "reeds", "the saxophone", "reed instrument"),
    "flute": ("flute", "the flute", "flute melody", "woodwind flute", "pipe", "flutist"),
    "lead synth": ("lead synth", "synth lead", "synthesizer lead", "the lead synth", "synth melody", "synth",
                   "synthesizer", "electronic lead"),
    "pad synth": ("pad synth", "synth pad", "the pad", "ambient pad", "warm synth pad", "synth chords", "atmosphere pad",
                  "synthesizer pad"),
    "percussion": ("percussion", "the percussion", "hand percussion", "shakers and congas", "percussion loop",
                   "tambourine and shaker", "auxiliary percussion", "bongos"),
    "vocals": ("vocals", "the vocals", "singing", "voice", "singer", "lead vocals", "vocal melody", "the voice",
               "a person singing"),
    "effects": ("effects", "sound effects", "fx", "risers and sweeps", "synth effects", "noise sweep", "ambient effects"),
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
    (0, 3, ("acoustic piano", "grand piano")), (4, 5, ("electric piano", "rhodes")), (6, 6, ("harpsichord",)),
    (7, 7, ("clavinet", "clav")), (16, 18, ("hammond organ", "drawbar organ")), (19, 20, ("church organ", "pipe organ")),
    (21, 23, ("accordion", "reed organ")), (24, 24, ("nylon guitar", "classical guitar")),
    (25, 25, ("steel string guitar", "folk acoustic guitar")), (26, 28, ("clean electric guitar", "clean guitar")),
    (29, 30, ("distorted electric guitar", "distortion guitar", "overdriven guitar")),
    (32, 32, ("acoustic bass", "upright bass", "double bass")), (33, 34, ("electric bass", "fingered bass")),
    (35, 35, ("fretless bass",)), (36, 37, ("slap bass", "funky slap bass")), (38, 39, ("synth bass", "bass synthesizer")),
    (40, 40, ("violin", "fiddle")), (41, 41, ("viola",)), (42, 42, ("cello",)), (44, 44, ("tremolo strings",)),
    (45, 45, ("pizzicato strings", "plucked strings")), (48, 49, ("string ensemble", "string section")),
    (50, 51, ("synth strings",)), (52, 54, ("choir", "vocal choir", "choir voices")), (56, 56, ("trumpet",)),
    (57, 57, ("trombone",)), (58, 58, ("tuba",)), (59, 59, ("muted trumpet",)), (60, 60, ("french horn",)),
    (61, 61, ("brass section", "horn section")), (62, 63, ("synth brass",)),
    (64, 67, ("saxophone", "sax", "saxophone solo")), (68, 69, ("oboe",)), (70, 70, ("bassoon",)), (71, 71, ("clarinet",)),
    (72, 73, ("flute", "piccolo")), (74, 74, ("recorder",)), (75, 75, ("pan flute",)), (78, 78, ("whistle",)),
)


def program_captions(program: int) -> tuple[str, ...]:
    """Extra phrases for one General MIDI program."""
    return next((phrases for low, high, phrases in PROGRAM_CAPTIONS if low <= program <= high), ())
