"""The kinds of facts: how each is told, asked and answered, and what values it takes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from . import values, words
from .values import Draw, entries


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fact. ``direct`` are questions, ``clauses`` follow "do you remember", ``phrase`` is a noun phrase.

    ``answer`` says the value; ``gap`` completes "I don't know". ``anyone`` tells whether others can have it too.
    """

    key: str
    draw: Draw
    tellings: tuple[str, ...]
    direct: tuple[str, ...]
    clauses: tuple[str, ...]
    answer: str
    phrase: str = ""
    anyone: bool = True
    changes: tuple[str, ...] = ()

    @property
    def gap(self) -> str:
        return self.phrase or self.clauses[0]


def name_of_user() -> Kind:
    return Kind(
        "name",
        values.person_name,
        ("[P] name is {v}", "[S] [am] {v}", "[S] [am] called {v}", "they call me {v}", "call me {v}", "[P] name's {v}",
         "you can call me {v}", "this is {v}", "{v} is [P] name", "{v} here", "people call me {v}", "[S] go by {v}"),
        ("what is [P] name", "who [am] [S]", "what [am] [S] called", "how [am] [S] called"),
        ("what [P] name is", "who [S] [am]", "what [S] [am] called"),
        "[P] name is {v}",
        "[P] name",
        anyone=False,
        changes=("[S] changed [P] name to {v}", "actually, [P] name is {v}"),
    )


def simple(key: str, draw: Draw, telling: str, question: str, clause: str, *more: str, changes: tuple[str, ...] = ()) -> Kind:
    """A kind whose answer repeats its first telling."""
    return Kind(key, draw, (telling, *more), tuple(question.split("|")), tuple(clause.split("|")), telling, changes=changes)


def plain_kinds() -> Iterator[Kind]:
    yield simple("lives", values.city, "[S] [live] in {v}", "where [do] [S] live|which city [do] [S] live in|in which city [do] [S] live|where [am] [S] living|where [am] [P] home|what city [do] [S] live in",
                 "where [S] [live]|which city [S] [live] in", "[P] home is in {v}", "[S] [am] living in {v}", "[P] home town is {v}", "[P] city is {v}",
                 changes=("[S] moved to {v}", "[S] just moved to {v}", "[S] now [live] in {v}", "[S] [have] moved to {v}"))
    yield simple("born", values.city, "[S] [was] born in {v}", "where [was] [S] born|in which city [was] [S] born|what is [P] birthplace", "where [S] [was] born", "[P] birthplace is {v}")
    yield simple("origin", values.country, "[S] [come] from {v}", "where [do] [S] come from|which country [do] [S] come from|where [am] [S] from|what is [P] home country",
                 "where [S] [come] from|where [S] [am] from", "[S] [am] from {v}", "[P] home country is {v}", "[S] originally [come] from {v}")
    yield simple("job", values.job, "[S] [work] as a {v}", "what [do] [S] do for a living|what is [P] job|what [do] [S] work as|what is [P] profession|what [do] [S] do for work|what kind of work [do] [S] do|what is [P] occupation",
                 "what [S] [do] for a living|what [P] job is|what [S] [work] as", "[P] job is {v}", "[S] [am] a {v}", "[S] [work] as an {v}", "[P] profession is {v}", "[S] [earn] [P] living as a {v}", "[S] [am] a {v} by profession",
                 changes=("[P] new job is {v}", "[S] now [work] as a {v}"))
    yield simple("employer", values.organisation, "[S] [work] at {v}", "where [do] [S] work|which company [do] [S] work for|who [do] [S] work for|what company [do] [S] work at|who is [P] employer",
                 "where [S] [work]|who [S] [work] for", "[S] [work] for {v}", "[P] employer is {v}", "[P] company is {v}", "[S] [have] a job at {v}", changes=("[S] now [work] at {v}",))
    yield simple("studies", values.subject, "[S] [study] {v}", "what [do] [S] study|which subject [do] [S] study|what [am] [S] studying", "what [S] [study]", "[S] [am] studying {v}", "[P] subject is {v}", "[S] [am] a student of {v}")
    yield simple("school", values.organisation, "[S] [go] to school at {v}", "what school [do] [S] go to|which school [do] [S] go to|where [do] [S] go to school", "which school [S] [go] to", "[P] school is {v}", "[P] university is {v}", "[S] [study] at {v}")
    yield simple("speaks", values.language, "[S] [speak] {v}", "which language [do] [S] speak|what language [do] [S] speak|what [do] [S] speak", "which language [S] [speak]", "[P] language is {v}", "[P] mother tongue is {v}")
    yield simple("learns", values.language, "[S] [am] learning {v}", "which language [am] [S] learning|what language [am] [S] learning|what [am] [S] learning", "which language [S] [am] learning|what [S] [am] learning", "[S] [am] trying to learn {v}")
    yield simple("plays", values.instrument, "[S] [play] the {v}", "which instrument [do] [S] play|what instrument [do] [S] play|what [do] [S] play", "which instrument [S] [play]|what [S] [play]", "[P] instrument is the {v}", "[S] can play the {v}")
    yield simple("drives", values.car, "[S] [drive] a {v}", "what car [do] [S] drive|what kind of car [do] [S] drive|which car [do] [S] have|what [do] [S] drive|what is [P] car", "what car [S] [drive]|what [S] [drive]", "[P] car is a {v}", "[S] [have] a {v}", "[S] [own] a {v}",
                 changes=("[S] bought a {v}", "[P] new car is a {v}"))
    yield simple("eats", values.food, "[S] [like] to eat {v}", "what [do] [S] like to eat|what food [do] [S] like|which food [do] [S] like|what [do] [S] love to eat|what [do] [S] enjoy eating", "what [S] [like] to eat|what food [S] [like]",
                 "[S] [love] eating {v}", "[S] [love] to eat {v}", "[S] [like] eating {v}", "[S] often [eat] {v}", "[S] [enjoy] eating {v}")
    yield simple("drinks", values.drink, "[S] [like] to drink {v}", "what [do] [S] like to drink|which drink [do] [S] like|what [do] [S] drink", "what [S] [like] to drink", "[S] [love] drinking {v}", "[S] usually [drink] {v}")
    yield simple("allergy", values.food, "[S] [am] allergic to {v}", "what [am] [S] allergic to|which allergy [do] [S] have|what is [P] allergy", "what [S] [am] allergic to", "[P] allergy is {v}", "[S] [have] an allergy to {v}", "[S] cannot eat {v} because of an allergy")
    yield simple("hates", values.food, "[S] [hate] {v}", "what [do] [S] hate|what [do] [S] not like|what [do] [S] dislike", "what [S] [hate]|what [S] [dislike]", "[S] really [dislike] {v}", "[S] [dislike] {v}", "[S] can't stand {v}")
    yield simple("fears", values.animal, "[S] [am] afraid of {v}", "what [am] [S] afraid of|what [do] [S] fear|what [am] [S] scared of", "what [S] [am] afraid of|what [S] [fear]", "[S] [am] scared of {v}", "[S] [fear] {v}")
    yield simple("hobby", values.hobby, "[P] hobby is {v}", "what is [P] hobby|what [do] [S] do in [P] free time|what [do] [S] do for fun|what [am] [P] hobbies|what [do] [S] like to do", "what [P] hobby is|what [S] [do] for fun", "[S] [like] {v}", "in [P] free time [S] [do] {v}", "[S] [love] {v}", "[S] [do] {v} for fun", "[S] [enjoy] {v}")
    yield simple("birthday", values.date, "[P] birthday is on {v}", "when is [P] birthday|when [was] [S] born|what day is [P] birthday|what is [P] birthday|when [do] [S] have [P] birthday|what is [P] date of birth", "when [P] birthday is|when [S] [was] born",
                 "[P] birthday is {v}", "[S] [was] born on {v}", "[S] [have] [P] birthday on {v}", "[P] date of birth is {v}", "[S] [celebrate] [P] birthday on {v}")
    yield simple("age", age, "[S] [am] {v} years old", "how old [am] [S]|what is [P] age", "how old [S] [am]|what [P] age is", "[P] age is {v}", "[S] [am] {v}", changes=("[S] just turned {v}", "[S] [am] {v} years old now"))
    yield simple("address", values.address, "[P] address is {v}", "what is [P] address|what street [do] [S] live on|where exactly [do] [S] live", "what [P] address is", "[S] [live] at {v}", changes=("[P] new address is {v}",))
    yield simple("team", values.organisation, "[S] [support] {v}", "which team [do] [S] support|what team [do] [S] support|who [do] [S] support", "which team [S] [support]", "[P] team is {v}", "[S] [am] a fan of {v}")
    yield simple("wants", values.thing, "[S] [want] a {v}", "what [do] [S] want|what [do] [S] wish for|what would [S] like", "what [S] [want]", "[S] would like a {v}", "[S] [wish] for a {v}")
    yield simple("collects", values.thing, "[S] [collect] {v}", "what [do] [S] collect", "what [S] [collect]", "[S] [have] a collection of {v}")
    yield simple("bought", values.thing, "[S] bought a {v}", "what did [S] buy", "what [S] bought", "[S] just bought a {v}", "yesterday [S] bought a {v}")
    yield simple("travels", values.city, "[S] [am] travelling to {v}", "where [am] [S] travelling|where [am] [S] going|where [am] [S] going on holiday|where is [P] trip going|what is [P] destination", "where [S] [am] travelling|where [S] [am] going", "[S] [am] going to {v} next week", "[P] next trip is to {v}", "[S] will fly to {v}", "[S] [am] planning a trip to {v}")
    yield simple("reads", values.title, "[S] [am] reading {v}", "what [am] [S] reading|which book [am] [S] reading", "what [S] [am] reading", "the book [S] [am] reading is {v}", "[S] [am] reading a book called {v}")
    yield simple("owns", values.animal, "[S] [have] a {v} as a pet", "what pet [do] [S] have|what kind of pet [do] [S] have|which animal [do] [S] have", "what pet [S] [have]", "[P] pet is a {v}", "[S] [keep] a {v} at home")
    yield simple("prefers", values.anything, "[S] [prefer] {v}", "what [do] [S] prefer", "what [S] [prefer]", "[S] [prefer] {v} to everything else", "[S] always [prefer] {v}")
    yield simple("likes", values.anything, "[S] [like] {v}", "what [do] [S] like|what [am] [S] fond of|what [do] [S] enjoy", "what [S] [like]", "[S] [love] {v}", "[S] [am] fond of {v}", "[S] really [like] {v}", "[S] [enjoy] {v}", "there is nothing [S] [like] more than {v}")
    yield simple("grew", values.city, "[S] grew up in {v}", "where did [S] grow up", "where [S] grew up", "[S] spent [P] childhood in {v}", "[S] [was] raised in {v}")
    yield simple("married", values.person_name, "[S] [am] married to {v}", "who [am] [S] married to", "who [S] [am] married to", "{v} and [S] [am] married", "[S] married {v}")


def age(rng: Random) -> str:
    return str(rng.randint(1, 110))


def favourite(noun: str, draw: Draw) -> Kind:
    return Kind(
        f"favourite {noun}",
        draw,
        (f"[P] favourite {noun} is {{v}}", f"{{v}} is [P] favourite {noun}", f"the {noun} [S] [like] most is {{v}}", f"[S] [like] {{v}} more than any other {noun}",
         f"[P] favourite {noun} is {{v}}", f"of all {noun}s, [S] [like] {{v}} best", f"[P] favourite {noun} has always been {{v}}", f"[P] preferred {noun} is {{v}}"),
        (f"what is [P] favourite {noun}", f"which {noun} [do] [S] like most", f"which {noun} [do] [S] like best", f"which {noun} is [P] favourite", f"what {noun} [do] [S] like best", f"what {noun} [do] [S] prefer", f"what {noun} [do] [S] like"),
        (f"what [P] favourite {noun} is", f"which {noun} [S] [like] best", f"which {noun} is [P] favourite"),
        f"[P] favourite {noun} is {{v}}",
        f"[P] favourite {noun}",
        changes=(f"[P] favourite {noun} is now {{v}}", f"[P] new favourite {noun} is {{v}}", f"[S] now [prefer] {{v}} as [P] favourite {noun}"),
    )


def called(noun: str, draw: Draw) -> Kind:
    return Kind(
        f"name of {noun}",
        draw,
        (f"[P] {noun} is called {{v}}", f"[P] {noun}'s name is {{v}}", f"[P] {noun} is named {{v}}", f"[S] [have] a {noun} called {{v}}", f"[S] [have] a {noun} named {{v}}", f"{{v}} is [P] {noun}",
         f"the name of [P] {noun} is {{v}}", f"[S] [have] a {noun}. The name is {{v}}", f"[S] [have] a {noun} and the name is {{v}}", f"[S] named [P] {noun} {{v}}", f"[S] [have] a {noun}, {{v}}",
         f"{{v}} is the name of [P] {noun}", f"[P] {noun} {{v}} is with me", f"[P] {noun} is {{v}}", f"meet [P] {noun} {{v}}", f"we call [P] {noun} {{v}}", f"everybody calls [P] {noun} {{v}}", f"[S] decided to call [P] {noun} {{v}}", f"[S] got a new {noun} and named it {{v}}", f"[S] [have] a {noun}. Its name is {{v}}", f"[S] [have] a {noun}. He is called {{v}}", f"[S] [have] a {noun}. Her name is {{v}}"),
        (f"what is [P] {noun}'s name", f"what is [P] {noun} called", f"what is the name of [P] {noun}", f"how is [P] {noun} called", f"what is the {noun} called", f"who is [P] {noun}", f"what [do] [S] call [P] {noun}", f"what name does [P] {noun} have", f"what is [P] {noun} named"),
        (f"what [P] {noun} is called", f"[P] {noun}'s name", f"the name of [P] {noun}", f"what [P] {noun}'s name is", f"who [P] {noun} is"),
        f"[P] {noun} is called {{v}}",
        f"[P] {noun}'s name",
        changes=(f"[S] renamed [P] {noun} to {{v}}", f"[P] {noun} is now called {{v}}", f"[P] new {noun} is called {{v}}"),
    )


def held(noun: str, draw: Draw) -> Kind:
    return Kind(
        noun,
        draw,
        (f"[P] {noun} is {{v}}", f"{{v}} is [P] {noun}", f"[P] {noun} is {{v}}", f"[S] [have] the {noun} {{v}}", f"[P] {noun}: {{v}}", f"as [P] {noun} [S] [have] {{v}}", f"[S] [use] {{v}} as [P] {noun}"),
        (f"what is [P] {noun}", f"which {noun} [do] [S] have", f"what {noun} [do] [S] have", f"what was [P] {noun}"),
        (f"what [P] {noun} is", f"which {noun} [S] [have]", f"[P] {noun}"),
        f"[P] {noun} is {{v}}",
        f"[P] {noun}",
        changes=(f"[P] new {noun} is {{v}}", f"[P] {noun} changed to {{v}}", f"[P] {noun} is now {{v}}"),
    )


def event(noun: str) -> Kind:
    return Kind(
        f"time of {noun}",
        values.moment,
        (f"[P] {noun} is {{v}}", f"[S] [have] a {noun} {{v}}", f"[P] {noun} will be {{v}}", f"{{v}} [S] [have] a {noun}", f"[P] {noun} takes place {{v}}", f"[P] {noun} starts {{v}}", f"there is a {noun} for [S] {{v}}".replace("for [S] ", "")),
        (f"when is [P] {noun}", f"what time is [P] {noun}", f"when [do] [S] have [P] {noun}", f"on which day is [P] {noun}", f"when is the {noun}", f"when does [P] {noun} start"),
        (f"when [P] {noun} is", f"when [S] [have] [P] {noun}", f"the time of [P] {noun}"),
        f"[P] {noun} is {{v}}",
        changes=(f"[P] {noun} was moved, it is now {{v}}", f"[P] {noun} is now {{v}}"),
    )


def coloured(noun: str) -> Kind:
    return Kind(
        f"colour of {noun}",
        values.colour,
        (f"[P] {noun} is {{v}}", f"[S] [have] a {{v}} {noun}", f"the colour of [P] {noun} is {{v}}", f"[P] {noun} has the colour {{v}}", f"[S] painted [P] {noun} {{v}}"),
        (f"what colour is [P] {noun}", f"what is the colour of [P] {noun}", f"which colour does [P] {noun} have"),
        (f"what colour [P] {noun} is", f"the colour of [P] {noun}"),
        f"[P] {noun} is {{v}}",
        changes=(f"[P] {noun} is now {{v}}",),
    )


def placed(noun: str) -> Kind:
    return Kind(
        f"place of {noun}",
        place,
        (f"[P] {noun} is {{v}}", f"[S] left [P] {noun} {{v}}", f"[S] put [P] {noun} {{v}}", f"[S] [keep] [P] {noun} {{v}}", f"[P] {noun} can be found {{v}}"),
        (f"where is [P] {noun}", f"where did [S] leave [P] {noun}", f"where did [S] put [P] {noun}", f"where [do] [S] keep [P] {noun}", f"where can I find [P] {noun}"),
        (f"where [P] {noun} is", f"where [S] left [P] {noun}", f"where [S] put [P] {noun}"),
        f"[P] {noun} is {{v}}",
        changes=(f"[S] moved [P] {noun}, it is now {{v}}",),
    )


def done(noun: str, deed: str) -> Kind:
    """Something that was picked out: which hotel was booked, which film was seen."""
    plain, past = deed.split()
    return Kind(
        f"{noun} {past}",
        values.anything,
        (f"[S] {past} the {noun} {{v}}", f"[S] {past} {{v}} as [P] {noun}", f"the {noun} that [S] {past} is {{v}}", f"[S] {past} a {noun} called {{v}}", f"the {noun} [S] {past} was {{v}}", f"[S] {past} {noun} {{v}}"),
        (f"which {noun} did [S] {plain}", f"what {noun} did [S] {plain}", f"what is the {noun} that [S] {past}"),
        (f"which {noun} [S] {past}", f"what {noun} [S] {past}"),
        f"[S] {past} the {noun} {{v}}",
        changes=(f"in the end [S] {past} the {noun} {{v}}", f"[S] now {past} the {noun} {{v}}"),
    )


def done_somewhere(noun: str, deed: str) -> Kind:
    plain, past = deed.split()
    return Kind(
        f"where {noun} {past}",
        place,
        (f"[S] {past} the {noun} {{v}}", f"{{v}} [S] {past} the {noun}", f"the {noun} was {past} by [S] {{v}}"),
        (f"where did [S] {plain} the {noun}", f"in which place did [S] {plain} the {noun}"),
        (f"where [S] {past} the {noun}",),
        f"[S] {past} the {noun} {{v}}",
    )


def place(rng: Random) -> str:
    spot = rng.choice(entries(words.PLACES)) if rng.random() < 0.7 else values.made_up_word(rng)
    preposition = rng.choice(("in", "in", "at", "near", "behind", "under"))
    return f"{preposition} the {spot}" if rng.random() < 0.8 else f"in {values.city(rng)}"


LISTED: dict[str, Draw] = {
    "colour": values.colour, "food": values.food, "drink": values.drink, "animal": values.animal, "city": values.city, "country": values.country,
    "sport": values.hobby, "season": values.season, "fruit": values.food, "dessert": values.food, "meal": values.food, "dish": values.food, "hobby": values.hobby, "instrument": values.instrument,
    "language": values.language, "number": values.number, "subject": values.subject, "car": values.car, "day": values.one_of(", ".join(words.WEEKDAYS)), "month": values.one_of(", ".join(words.MONTHS)),
    "name": values.first_name, "soup": values.food, "tea": values.drink, "vegetable": values.food,
}  # fmt: skip


def listed_kinds() -> list[Kind]:
    """Every kind that has a fixed noun."""
    kinds = [favourite(noun, draw) for noun, draw in LISTED.items()] * 2
    kinds += [favourite(noun, values.anything) for noun in entries(words.FAVOURITES)]
    kinds += [called(noun, values.person_name) for noun in entries(words.PETS)] * 2
    kinds += [called(noun, values.person_name) for noun in entries(words.RELATIVES)]
    kinds += [called(noun, values.title) for noun in entries(words.NAMED_THINGS)]
    kinds += [held(noun, values.code) for noun in entries(words.CODED)]
    kinds += [held(noun, values.number) for noun in entries(words.NUMBERED)]
    kinds += [event(noun) for noun in entries(words.EVENTS)]
    kinds += list(plain_kinds()) * 6
    return kinds + [name_of_user()] * 16


LISTED_KINDS = listed_kinds()
DEEDS = entries(words.DEEDS)
NOUNS = [noun for listing in (words.THINGS, words.THINGS, words.EVENTS, words.PETS, words.NAMED_THINGS, words.PLACES, words.FAVOURITES, words.RELATIVES) for noun in entries(listing)]
Free = Callable[[str, Random], Kind]
FREE: tuple[Free, ...] = (
    lambda noun, _: favourite(noun, values.anything),
    lambda noun, _: called(noun, values.title),
    lambda noun, _: held(noun, values.anything),
    lambda noun, _: held(noun, values.code),
    lambda noun, _: event(noun),
    lambda noun, _: coloured(noun),
    lambda noun, _: placed(noun),
    lambda noun, rng: done(noun, rng.choice(DEEDS)),
    lambda noun, rng: done(noun, rng.choice(DEEDS)),
    lambda noun, rng: done_somewhere(noun, rng.choice(DEEDS)),
)


def free_noun(rng: Random) -> str:
    """A noun that no list foresees: so that the model learns to match words, not kinds."""
    thing = rng.choice(NOUNS) if rng.random() < 0.65 else values.made_up_word(rng)
    return thing if rng.random() < 0.75 else f"{rng.choice(entries(words.ADJECTIVES))} {thing}"


def any_kind(rng: Random) -> Kind:
    return rng.choice(LISTED_KINDS) if rng.random() < 0.65 else rng.choice(FREE)(free_noun(rng), rng)
