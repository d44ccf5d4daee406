"""What producers' words mean: the rest of a song instead of a source, and studio slang. No torch.

The text towers hear no "no", to them "without drums" is drums, and they have read neither "gtr" nor "vox".
"""

from __future__ import annotations

import re

_SONG = (
    r"(?:(?:the|this|my|whole|full|entire)\s+)*(?:everything(?:\s+else)?|anything|song|track|mix|music|instruments|"
    r"(?:all|every)(?:\s+(?:of\s+)?(?:the\s+)?(?:other\s+)?instruments?)?)"
)
_BUT = (
    r"(?:but|except(?:ing)?|excluding|besides|bar|without|w/o|minus|no|apart\s+from|aside\s+from|other\s+than)"
    r"(?:\s+(?:not|for))?"
)
_ASKED = r"(?:(?:please|can\s+you|could\s+you|just|only|i\s+(?:want|need)|give\s+me|keep|extract|isolate)\s+)*"
_REMOVE = (  # with an article those that name sounds too: "kill switch guitar", "strip club bass", "not too loud drums"
    r"(?:remove|exclude|mute|delete|omit|erase|silence|get\s+rid\s+of|turn\s+off|(?:take|cut|strip|filter)\s+(?:out|away)"
    r"|(?:drop|kill|cut|strip|lose|not)(?=\s+(?:the|all|any|those|these)\s))"
)
_WITHOUT = (
    r"(?:no(?!\s+wave)|w/o|without(?!\s+an?\s+(?:doubt|trace))|minus(?!\s+one$)|except(?:\s+for)?|other\s+than|neither"
    r"|but(?=\s+the\s))"
)
_KEEP_REST = re.compile(
    rf"{_ASKED}(?:{_SONG},?\s+{_BUT}|{_WITHOUT}|{_REMOVE})[\s-]+(?:(?:all|any)\s+(?:of\s+)?(?=\w))?(.+?)"
    rf"(?:\s+from\s+{_SONG})?(?:,?\s+please)?"
)
_LESS = re.compile(
    r"(?:the\s+)?(drums?|bass|vocals?|voice|guitars?|pianos?|synths?|strings|brass|percussion)"
    r"(?:less|-free|\s+(?:off|muted|removed|out))(?:\s+(?:track|mix|version|song))?"
)
_INSTRUMENTAL = re.compile(rf"{_ASKED}(?:the\s+|an?\s+)?(?:instrumentals?|karaoke)(?:\s+(?:track|mix|version))?")
_AND_NO = re.compile(r"\b(?:(and|or)\s+(?:no|without)|nor)\b")
_AROUND = " \t\n\"'“”‘’«»„.!?…"

# Studio words that the embedded text tower takes for something else, in words that it knows (see tests/conditioning).
# It hears a drum kit as one, so hats and toms are drums.
_SLANG = {
    "vocals": "vox, vocs, acapella, acappella, acapela, a cappella, a capella, topline, rap, rapper",
    "backing vocals": "bgv, bgvs, bv, bvs, adlibs, ad-libs",
    "drums": "tom, toms, overheads, hat, hats, hihat, hihats, hi hat, hi hats, hi-hat, hi-hats, cymbal, cymbals, "
    "crash, ride, ride cymbal, clap, claps, rimshot",
    "kick drum": "kik, bass drum",
    "percussion": "perc, percs, cajon, cowbell",
    "guitar": "gtr, gtrs, gtar",
    "electric guitar": "egtr, e-gtr, e gtr, strat, stratocaster, telecaster",
    "acoustic guitar": "agtr, ac gtr, ukulele, uke",
    "synth bass": "sub, subs, reese",
    "electric piano": "wurli, wurlitzer, epiano",
    "hammond organ": "hammond, b3",
    "orchestral strings": "orchestra, strs",
    "plucked strings": "harp",
    "harmonica": "blues harp",
    "synth": "moog, supersaw, arp, arpeggio, pluck, plucks, stab, stabs",
}
_PLAIN = {slang: plain for plain, words in _SLANG.items() for slang in words.split(", ")}
_SLANG_WORD = re.compile(rf"(?<![\w-])(?:{'|'.join(sorted(_PLAIN, key=len, reverse=True))})(?![\w-])", re.IGNORECASE)


def parse_prompt(prompt: str) -> tuple[str, bool]:
    """What to extract, and whether the rest is wanted instead: "everything but the drums" gives ("the drums", True)."""
    words = prompt.strip(_AROUND)
    low = words.lower()
    if len(low) != len(words):  # a letter that grows in lower case would move what the patterns find
        low = words
    if _INSTRUMENTAL.fullmatch(low):
        return "vocals", True
    if match := _KEEP_REST.fullmatch(low):
        return _AND_NO.sub("and", words[match.start(1) : match.end(1)].strip()), True
    if match := _LESS.fullmatch(low):
        return words[match.start(1) : match.end(1)], True
    return prompt.strip(), False


def plain(prompt: str) -> str:
    """A prompt in words that the embedded text tower has learnt: "the gtr" is the guitar, "toms" are drums."""
    words = _SLANG_WORD.sub(lambda found: _PLAIN[found[0].lower()], prompt)
    return re.sub(r"\b(\w+) \1\b", r"\1", words, flags=re.IGNORECASE)  # "sub bass", "hammond organ"
