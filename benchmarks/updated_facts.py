"""Does the newer of two facts win? "Where does she live *now*", when she has moved since.

Every topic is told twice, with other values, weeks or months apart, among talk about everything else: in the same
words, or in other words, of which the old fact has the nearer to the question half of the time. Each is asked plainly
and with "now", where won is a question whose new fact stands above the old one, and with "before", where it is the
other way round. `blind` ranks without regard to age.

    python -m benchmarks.updated_facts [--json]
"""

import asyncio
from collections import defaultdict
from datetime import timedelta
from itertools import product

from benchmarks.harness import arguments, bar, report
from benchmarks.locomo import Bench, Turn, bench

# question | two ways to say it | old and new value
TOPICS = """
Where does Ana live? | Ana lives in {} | Ana told me her home is in {} | Oslo | Lima
Which company does Ana work for? | Ana works for {} | Ana has a job at {} | Siemens | Philips
What car does Ana drive? | Ana drives a {} | Ana's car is a {} | red Fiat | blue Volvo
What is Ana's phone number? | Ana's phone number is {} | You can call Ana at {} | 555 1234 | 555 9876
Who is Ana's doctor? | Ana's doctor is {} | Ana goes to see {} when she is ill | Dr Weber | Dr Novak
What does Ana have for breakfast? | Ana has {} for breakfast | Ana eats {} in the morning | porridge | scrambled eggs
When is the weekly team meeting? | The team meeting is on {} | We meet as a team every {} | Monday | Thursday
What is the wifi password? | The wifi password is {} | To get on the wifi type {} | blue-falcon | green-otter
Which gym does Ana go to? | Ana goes to the gym {} | Ana trains at {} | Iron House | Fit Factory
What is Ana's favourite colour? | Ana's favourite colour is {} | The colour Ana likes best is {} | green | purple
What is Ana's cat called? | Ana's cat is called {} | Ana has a cat named {} | Miso | Pixel
Which language is Ana learning? | Ana is learning {} | Ana takes lessons in {} | Italian | Japanese
Who is Ana's boss? | Ana's boss is {} | Ana reports to {} | Mr Kaya | Ms Lindqvist
Which database does the project use? | The project uses {} | Our data is stored in {} | MySQL | PostgreSQL
What time does Ana get up? | Ana gets up at {} | Ana's alarm rings at {} | six | half past seven
Where does Ana go on holiday? | Ana goes on holiday to {} | Ana spends her vacation in {} | Crete | Iceland
What instrument does Ana play? | Ana plays the {} | Ana practises the {} every day | cello | trumpet
How does Ana get to work? | Ana goes to work by {} | Ana's commute is by {} | bus | bicycle
What is the budget of the project? | The budget of the project is {} | We may spend {} | 20,000 euros | 35,000 euros
Which diet does Ana follow? | Ana follows a {} diet | Ana eats {} | vegetarian | vegan
""".strip().splitlines()
TALK = ("The weather was awful today", "Did you see the match last night?", "I am tired, let us talk tomorrow",
        "Ana says hello", "The printer is broken again", "Lunch was good", "We should plan the party")  # fmt: skip
AGES = ((60, 1), (90, 30), (200, 7), (30, 2), (400, 300), (900, 700))  # days since the old and since the new was told


WORDINGS = {"same words": ((0, 0), (1, 1)), "other words": ((0, 1), (1, 0))}  # of the old and of the new fact


async def tell(it: Bench, user: str, ages: tuple[int, int], wording: tuple[int, int]) -> list[tuple[str, str]]:
    """Tell everything in the order of time; answer the questions, each with the name of its new fact."""
    start, turns, asked = it.clock.now, [], []
    for number, topic in enumerate(TOPICS):
        question, *ways, old, new = (part.strip() for part in topic.split("|"))
        for name, way, value, age in zip(("old", "new"), wording, (old, new), ages, strict=True):
            at = start - timedelta(days=age, minutes=150 * number)
            turns.append(Turn(f"{name} {number}", ways[way].format(value), at))
            turns.append(Turn("talk", TALK[number % len(TALK)], at + timedelta(minutes=1)))
        asked.append((question, f"new {number}"))
    await it.keep(user, sorted(turns, key=lambda turn: turn.at))
    it.clock.now = start
    return asked


def above(names: list[str], wanted: str, other: str) -> bool:
    return wanted in names and (other not in names or names.index(wanted) < names.index(other))


async def run() -> dict[str, float]:
    won: dict[str, list[bool]] = defaultdict(list)
    async with bench() as it:
        it.clock.now += timedelta(days=9000)
        for kind, wordings in WORDINGS.items():
            for ages, wording in product(AGES, wordings):
                user = f"{ages} {wording}"
                for question, new in await tell(it, user, ages, wording):
                    old = new.replace("new", "old")
                    for cue, policy in product((" now?", "?", " before?"), ("default", "blind")):
                        memory = it.memory if policy == "default" else it.ageless
                        query = question.removesuffix("?") + cue
                        hits = await memory.recall(agent_id="locomo", user_id=user, query=query, top_k=50)
                        names = [it.names[hit.memory.id] for hit in hits]
                        won[f"{kind}, ...{cue} {policy}"].append(
                            above(names, old, new) if cue == " before?" else above(names, new, old)
                        )
    return {name: round(100 * sum(results) / len(results), 1) for name, results in won.items()}


def main() -> None:
    options = arguments(__doc__).parse_args()
    won = asyncio.run(run())
    bars = [
        bar(f"{name}, points more than blind", won[name] - won[name.replace("default", "blind")], at_least=0)
        for name in won
        if name.endswith("default")
    ]
    report("updated_facts", {"won %": won, "bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
