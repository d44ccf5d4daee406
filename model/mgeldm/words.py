"""What producers' words mean: the rest of a song instead of a source, studio slang, other languages. No torch.

The text towers hear no "no", to them "without drums" is drums, and they have read neither "gtr" nor "Schlagzeug".
"""

from __future__ import annotations

import re
import unicodedata

KIT = ("kick drum", "snare drum", "hi-hats", "toms", "cymbals", "claps")
"""What a drum kit consists of: drums that are recorded piece by piece have stems of these names."""

_NAME = (
    r"drums?|bass|vocals?|vox|voices?|singers?|singing|guitars?|pianos?|keys|organs?|synths?|strings|brass|horns|"
    r"percussion"
)
_PARTS = r"(?:tracks?|mix|version|song|music|parts?|sounds?|stems?|instruments?|elements?)"
_SONG = (
    r"(?:(?:the|this|my|whole|full|entire|all|every|of|other) )*(?:every(?:thing|body|one)(?: else)?|anything|all|it|"
    rf"{_PARTS}|band|recording|loop|section|rest|what(?: is|'s)? (?:left|remains)|alles|tout|todo|tutto|tudo)"
)
_WITHOUT = (
    r"(?:w/o|without(?! an? (?:doubt|trace))|minus(?! one$)|except(?:ing|o|é)?(?: for)?|exceto|eccetto|"
    r"excluding|besides|other than|apart from|aside from|ohne|sans|sin(?! wave)|senza|sem)"
)
_SAVE = r"außer|ausser|bis auf|sauf|menos|tranne|salvo"
_NONE = r"kein(?:e[nmrs]?)?|pas de|nessun[ao]?|niente|nada de|nenhuma?|geen"
_NO = rf"(?:{_WITHOUT}|(?:with )?no(?! wave)|{_NONE}|neither|but(?= the ))"
_CHANGED = r"(?:(?:with(?! no )|in|as) |(?:slower|faster|louder|softer|quieter|darker|brighter)(?=$|,))"
_BUT = (  # "the song but with strings" is a wish for strings
    rf"(?:{_WITHOUT}|(?:(?:but )?with )?no|but(?! {_CHANGED})|bar|than|(?:(?:that|which)(?: is| are|'s)? )?"
    rf"(?:not|isn't|aren't)|{_SAVE})(?: (?:not?|for))?"
)
_POLITE = (
    r"please|(?:can|could|would) you|can i (?:get|have|hear)|(?:let me|to) (?:hear|have|get|keep|extract|isolate)|just|"
    r"only|i (?:just|only) (?:want|need)|(?:i )?(?:want|need)|(?:give|get|show|find|make) me|"
    r"i(?:'d| would) (?:just )?like|pull out|separate|extract|isolate"
)
_VERBS = r"make|keep|find|get|hear|solo"  # begin names, too: "solo guitar", "get lucky guitar"
_ASKED = rf"(?:(?:{_POLITE}|{_VERBS}) )*"
_TAKE, _AWAY = r"(?:take|turn|switch|leave|cut|strip|filter)", r"(?:out|off|away)"
_REMOVE = (  # with an article those that name sounds too: "kill switch guitar", "strip club bass", "not too loud drums"
    rf"(?:remove|exclude|mute|delete|omit|erase|silence|get rid of|{_TAKE} {_AWAY}"
    r"|(?:do not|don'?t)(?: (?:include|take|want|need|play|use|keep|add|have|hear|to|give me|extract))+"
    r"|(?:drop|kill|cut|strip|lose|ditch|hide|not)(?= (?:the|all|any|those|these) )"
    rf"|(?:kill|lose|not)(?= (?:{_NAME})$))"
)
_GONE = r"(?:off|muted|removed|out|excluded|remover)"
_ANY = r"(?:(?:all|any) (?:of )?(?!but )(?=\w))?"
_ONLY = r"nur|bloss|seulement|juste|uniquement|solamente|soltanto|apenas|somente"
_KEEP = rf"(?:keep|leave(?= the )|solo(?= the )|just|only|{_ONLY}|add|with(?! no ))"  # "solo guitar" is an instrument
_END = rf"(?: (?:from|in|of) {_SONG})?(?:,? please)?(?:(?:,|,? and|,? but) {_KEEP} (.+))?"
_LEFT_OUT = [  # what each finds is what the song is to do without, and what it is to keep
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_ASKED}(?:{_SONG}(?: in {_SONG})?,? {_BUT}|{_NO}|(?:i )?{_REMOVE}):?[ -]+{_ANY}([^ ,].*?){_END}",
        rf"{_ASKED}{_TAKE} ([^ ,].*?) {_AWAY}{_END}",
        rf"(?:{_SONG} with )?(?:the )?({_NAME})(?:less|-free| {_GONE})(?: {_PARTS})?{_END}",
        rf"{_ASKED}(?:(?:all|every|the) )*non?[ -]?({_NAME})(?: {_PARTS})?{_END}",
    )
]
_LESS = rf"(?:,? {_WITHOUT}|(?:,|,? (?:and|but|with)) (?:not?|{_WITHOUT}))"
_INSTRUMENTAL = re.compile(
    rf"{_ASKED}(?:the |an? )?(?:(?:instrumentals?|inst|karaoke)(?: {_PARTS})?|backing tracks?)(?: only)?(?:,? please)?"
    rf"(?:{_LESS} (.+))?|(?:only|just)(?: the)? music|(?:the )?music only",
    re.IGNORECASE,
)
_DEEPEST = 8  # exclusions inside one another that are read, "mute all but ..."; more are no sentence, and take long
_VOICES = re.compile(r"\b(?:vocals?|vox|voices?|singers?|singing)\b", re.IGNORECASE)
_AND = r"(?:and|or|&|und|oder|et|ou|y|e|o|en)"
_AND_NO = re.compile(
    rf"(?:(?:,|,? {_AND}) (?:{_WITHOUT}|{_NONE}|(?!not ){_REMOVE})|,? (?:{_AND} )?(?:with )?nor?) {_ANY}", re.IGNORECASE
)
_OPENING = re.compile(rf"\b({_WITHOUT}|but|not|{_SAVE})(?!\w)", re.IGNORECASE)
_OR = re.compile(r"(?<! e),? (?:or|nor|oder|ou|o|ni|né|nem) ", re.IGNORECASE)  # "e o baixo" has an article
_LESS_A_PART = re.compile(rf"(.+?){_LESS} (.+)", re.IGNORECASE)
_WITH = re.compile(r"(?:,? (?:and|but)|,)? with (?!no )", re.IGNORECASE)
_BRACKETED = re.compile(rf" \((?=(?:but|no|{_WITHOUT}|{_SAVE})[ :])([^()]+)\)$", re.IGNORECASE)
_GOES_ON = re.compile(rf"(?:but|not(?! (?:too|so|very) )|with no|{_WITHOUT}|{_SAVE}):? ", re.IGNORECASE)
_KEEPS = re.compile(rf"{_KEEP} ", re.IGNORECASE)
_DOTLESS = str.maketrans("ı", "i")  # has a key of its own in Turkey
_TOGETHER = re.compile(r",? (?:and|with|plus|und|et|y|e|&|\+) |, ", re.IGNORECASE)
_DRUM_AND_BASS = re.compile(r"\bdrum (?:and|&) bass (?=\w)", re.IGNORECASE)  # before a noun: the music of that name
_A_SONG = re.compile(rf"(?:an? )?{_SONG}", re.IGNORECASE)
_A_VERSION = re.compile(rf"^({_ASKED})(?:an?|some) (?={_SONG}(?: in {_SONG})?,? {_BUT} )", re.IGNORECASE)
_NOTHING_BUT = re.compile(rf"{_ASKED}nothing (?:but|except|besides|other than)(?: for)? ", re.IGNORECASE)
_AROUND = " \t\n\"'“”‘’«»„.!?…"

# Studio words, and slips of the keys, that the embedded text tower takes for something else, in words that it knows
# (see tests/conditioning).
_SLANG = {
    "vocals": "vox, vocs, acapella, acappella, acapela, a cappella, a capella, topline, rap, rapper, vocls, voclas, "
    "vokals, vocales",
    "backing vocals": "bgv, bgvs, bv, bvs, adlibs, ad-libs, ad libs",
    "drums": "overheads, rhythm section drums, drumz, drms, durms, drusm",
    "drums and bass": "rhythm section, rhythm track",
    "kick drum": "kik, bass drum, bassdrum, sub kick",
    "snare drum": "snr, rim shot, rim shots, sidestick, side stick, cross stick",
    "hi-hats": "high hat, high hats",
    "claps": "handclap, handclaps, finger snap, finger snaps",
    "percussion": "perc, percs, cajon, cowbell, percusion",
    "hand percussion": "hand drum, hand drums",
    "steel pan": "steel drum, steel drums, steel pans, steelpan, steelpans",
    "bass": "rhythm section bass, basss, bas",
    "guitar": "gtr, gtrs, gtar, guitr, gutiar, guiter, gitar, guitarr",
    "electric guitar": "egtr, e-gtr, e gtr, strat, stratocaster, telecaster",
    "acoustic guitar": "agtr, ac gtr, ukulele, uke",
    "synth bass": "sub, subs, reese",
    "piano": "paino, pinao",
    "electric piano": "wurli, wurlitzer, epiano, e-piano",
    "hammond organ": "hammond, b3",
    "orchestral strings": "orchestra, strs",
    "plucked strings": "harp",
    "saxophone": "saxaphone, saxophon",
    "harmonica": "blues harp",
    "synth": "moog, supersaw, arp, arpeggio, pluck, plucks, stab, stabs, sinth, snyth",
}
# Sounds that the tower has never read of, and the nearest that it knows.
_NEAR = {
    "vocals": "falsetto, spoken word, speech, talking, humming, screams, vocoder, talkbox, talk box",
    "backing vocals": "harmonies, vocal harmonies, vocals harmonies",
    "percussion": "conga, congas, djembe, djembes, tabla, tablas, gong, castanets, wood block, wood blocks, woodblock, "
    "foot stomps, wind chimes",
    "electric guitar": "power chords",
    "slide guitar": "lap steel, pedal steel",
    "808 bass": "808, 808s",
    "synth bass": "303, tb-303",
    "marimba": "steel pan, handpan, kalimba, mbira, thumb piano",
    "orchestral strings": "mellotron",
    "synth": "theremin, hoover",
}
# The tower has read English alone. In each row German, French, Spanish, Italian, Portuguese, without their accents; a
# word that is English too ("chant", "viola", "flugel") is left to it.
_ABROAD = {
    "drums": "schlagzeug, trommeln, batterie, bateria, tambores, batteria",
    "kick drum": "grosse caisse, bombo, grancassa, grosse trommel, bumbo",
    "snare drum": "kleine trommel, caisse claire, rullante",
    "cymbals": "becken, cymbales, platillos, piatti, pratos",
    "percussion": "perkussion, schlagwerk, percussions, percusion, percussioni, percussao",
    "bass": "bassgitarre, e-bass, basse, guitare basse, bajo, basso, baixo",
    "double bass": "kontrabass, contrebasse, contrabajo, contrabbasso, contrabaixo",
    "vocals": "gesang, stimme, stimmen, sanger, sangerin, voix, le chant, chanteur, chanteuse, voz, voces, cantante, "
    "voce, voci, canto, vozes",
    "choir": "chor, choeur, chœur, choeurs, chœurs, coro, coros, cori",
    "guitar": "gitarre, gitarren, guitare, guitares, guitarra, guitarras, chitarra, chitarre",
    "electric guitar": "e-gitarre, e-gitarren, elektrische gitarre, guitare electrique, guitarra electrica, "
    "chitarra elettrica, guitarra eletrica",
    "acoustic guitar": "akustikgitarre, akustische gitarre, guitare acoustique, guitare seche, guitarra acustica, "
    "chitarra acustica, violao",
    "piano": "klavier, pianoforte",
    "keyboard": "tasten, clavier, claviers, teclado, teclados, tastiera, tastiere",
    "organ": "orgel, orgue, organo, orgao",
    "synthesizer": "synthe, synthetiseur, sintetizador, sintetizzatore",
    "strings": "streicher, cordes, cuerdas, archi, cordas",
    "violin": "geige, geigen, violine, violon, violons, violines, violino, violini, violinos",
    "cello": "violoncelle, violonchelo, violoncello, violoncelo",
    "flute": "flote, floete, querflote, flauta, flauto",
    "saxophone": "saxofon, saxo, saxofono, sassofono, saxofone",
    "trumpet": "trompete, trompette, trompeta, tromba",
    "brass": "blechblaser, blaser, cuivres, metales, ottoni, metais",
}
# What is said around a source is no part of its name: of "just the bass" the towers know half of "the bass".
_SAID_BEFORE = re.compile(
    rf"^[ ,]*(?:(?:{_POLITE}|{_ONLY}|(?:{_VERBS})(?= (?:the|an?|my|only|just|all|some|any) )|"
    rf"(?:all|any|some)(?: of)?(?! {_BUT} )|(?:the )?(?:whole|entire)(?= (?:{_NAME})\b)|"
    r"solo(?= (?:el|la|los|las|il|lo|gli) )|so(?= (?:o|a|os|as) )),? )+(?=\w)",
    re.IGNORECASE,
)
_SAID_AFTER = re.compile(
    r"(?:,? (?:please|only|alone|by (?:it|them)sel(?:f|ves)|on (?:its|their) own|"
    rf"(?:from|in|of|out of) (?:the|this|my) (?:(?:whole|full|entire|other) )*"
    rf"(?:{_PARTS}|band|recording|loop|section)))+$",
    re.IGNORECASE,
)
_IS_PLAYED = re.compile(  # a "rap beat" is no rap
    r" (?:beats?|drums?|percussion|bass|guitars?|pianos?|keys|organs?|synths?|pads?|strings|brass|horns)\b",
    re.IGNORECASE,
)
_HAS_GUITAR = re.compile(r"\bguitars? $", re.IGNORECASE)  # nor is a "guitar arpeggio" a synth's
_ARTICLES = "das|der|die|den|ein|eine|le|la|les|un|une|el|los|las|una|il|lo|i|gli|o|a|os|as|um|uma"
_PLAIN = {word: plain for table in (_SLANG, _ABROAD) for plain, words in table.items() for word in words.split(", ")}
_NEAREST = {word: near for near, words in _NEAR.items() for word in words.split(", ")}
_STRANGE, _UNREAD = (
    re.compile(rf"(?<![\w-]){article}({'|'.join(sorted(words, key=len, reverse=True))})(?![\w-])", re.IGNORECASE)
    for article, words in ((rf"(?:(?:{_ARTICLES}) |l['’])?", _PLAIN), ("", _NEAREST))
)


def parse_prompt(prompt: str) -> tuple[str, bool]:
    """What to extract, and whether the rest is wanted instead: "everything but the drums" gives ("the drums", True).

    No text can name a part that a source is to lack: "the drums without the cymbals" are the drums.
    """
    typed = _sentence(prompt)
    song = _A_VERSION.sub(r"\1", typed)  # "a song without drums" is this song
    words, rest, _ = _read(song if song != typed else prompt)
    return words, rest


def wanted(prompt: str) -> tuple[str, str]:
    """What a new part is to be, and to be without: "rock without drums" gives ("rock", "drums").

    "Everything but the drums" says nothing of the first: ("", "the drums"). What it is to be with may follow: "a ballad
    without drums, with strings" gives ("a ballad with strings", "drums").
    """
    words, rest, kept = _read(prompt)
    if rest:
        without, *more = _WITH.split(words, maxsplit=1)
        return " with ".join(filter(None, [*more, kept])), without
    found = _LESS_A_PART.fullmatch(_sentence(prompt))
    if not found or found[1].strip(" ,") != words:
        return words, ""
    without, *more = _WITH.split(_as_one(found[2], found.string[found.end(1) : found.start(2)]), maxsplit=1)
    return " with ".join([words, *more]), without


def goes_on(piece: str) -> bool:
    """Whether what follows a comma leaves something out of what is before it: "but no vocals", "not the piano".

    "No drums" does not: that is asked for by itself.
    """
    return bool(_GOES_ON.match(_typed(piece)))


def keeps(piece: str) -> bool:
    """Whether what follows a comma ends what is left out before it: "keep the drums", "just the bass"."""
    return bool(_KEEPS.match(_typed(piece)))


def _read(prompt: str) -> tuple[str, bool, str]:
    """What a prompt names, whether the rest is wanted instead, and what that is to have: "no bass, just drums"."""
    typed = _sentence(prompt)
    words, rest, kept = _NOTHING_BUT.sub("", typed, count=1), False, ""
    if found := _INSTRUMENTAL.fullmatch(typed):
        less = found[1] or ""
        words = f"no {less}" if _VOICES.search(less) else f"no vocals and no {less}" if less else "no vocals"
    for _ in range(_DEEPEST):
        if not (found := next(filter(None, (pattern.fullmatch(words) for pattern in _LEFT_OUT)), None)):
            break
        left_out = _OR.sub(" and ", _as_one(found[1], words[: found.start(1)])).strip()
        words, rest, kept = left_out, not rest, kept or found[2] or ""  # "mute all but the bass" is the bass
    if found := _LESS_A_PART.fullmatch(words):
        words = found[1].strip(" ,")
    return prompt.strip() if words == typed else words, rest, kept


def _as_one(left_out: str, opening: str) -> str:
    """What is left out one by one, together: "drums and no bass", and after "minus" also "drums minus bass"."""
    if found := _OPENING.search(opening):
        again = re.escape(found[1].removesuffix(" for"))
        left_out = re.sub(rf",?(?: {_AND})? {again}(?: for)? {_ANY}", " and ", left_out, flags=re.IGNORECASE)
    return _AND_NO.sub(" and ", left_out).strip()


def named_together(prompt: str) -> list[str]:
    """The sources that a prompt may name one by one ("the drums and the bass", "kick, snare & hats"), if several.

    What is no name, as the first of "warm and mellow piano", only the towers can tell, but that a "lead" may be vocals.
    """
    typed = _typed(prompt)
    names = _TOGETHER.split(typed)
    is_one = len(names) == 1 or names[0].lower() in ("lead", "the lead") or _DRUM_AND_BASS.search(typed)
    return [] if is_one or any(_A_SONG.fullmatch(name) for name in names) else names


def _typed(prompt: str) -> str:
    """A prompt with one kind of spaces, apostrophes and letters, and without the quotes around it."""
    return " ".join(_folded(prompt).replace("_", " ").replace("’", "'").split()).strip(_AROUND)


def _sentence(prompt: str) -> str:
    """A prompt as it is read aloud: "all (no vocals)" is "all, no vocals"."""
    return _BRACKETED.sub(r", \1", _typed(prompt))


def _folded(text: str) -> str:
    """Letters as they are on most keyboards: full-width ones, ligatures."""
    return unicodedata.normalize("NFKC", text).translate(_DOTLESS)


def bare(prompt: str) -> str:
    """A prompt without what is said around a name: "can you isolate the bass, please?" is "the bass"."""
    return _SAID_AFTER.sub("", _SAID_BEFORE.sub("", " ".join(prompt.split()).strip(_AROUND)))


def plain(prompt: str) -> str:
    """A prompt in words that the embedded text tower has learnt: "the gtr" is the guitar, "das Schlagzeug" drums."""
    apart = unicodedata.normalize("NFD", _folded(prompt))
    spelt = "".join(char for char in apart if unicodedata.category(char) != "Mn")
    words = _STRANGE.sub(_in_plain_words, bare(spelt))
    return re.sub(r"\b(\w+) \1\b", r"\1", words, flags=re.IGNORECASE)  # "sub bass", "hammond organ"


def nearest(prompt: str) -> str:
    """A plain prompt in names of what the embedded text tower has read of: "congas" are percussion."""
    return _UNREAD.sub(lambda found: _NEAREST[found[1].lower()], plain(prompt))


def _in_plain_words(found: re.Match[str]) -> str:
    """What slang means; beside a name it may only say how that is played."""
    meant, before, after = _PLAIN[found[1].lower()], found.string[: found.start()], found.string[found.end() :]
    is_style = (meant == "vocals" and _IS_PLAYED.match(after)) or (meant == "synth" and _HAS_GUITAR.search(before))
    return found[0] if is_style else meant
