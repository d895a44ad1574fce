"""Small talk: what the user says that asks for nothing remembered, and what the model replies."""

from random import Random

from . import values, words
from .values import entries

WHO = "I'm the small demo model of agent_memory. I remember what you tell me."
ONLY_TOLD = "I don't know that. I only know what you tell me."
LIKE_WHAT = "Sure. Tell me things about you, and ask me later."

EXCHANGES = [
    (("hello", "hi", "hey", "hi there", "hello there", "good day", "greetings", "hey there", "hallo"), "Hello! How can I help you?"),
    (("good morning", "morning"), "Good morning! How can I help you?"),
    (("good evening", "good afternoon"), "Hello! How can I help you?"),
    (("how are you", "how are you doing", "how is it going", "how do you do", "are you well", "how are you today", "what's up"), "I'm fine, thanks. How are you?"),
    (("I'm fine", "I'm good, thanks", "all good here", "I am doing well", "not bad"), "I'm glad to hear that."),
    (("I'm tired", "I feel sad", "I had a bad day", "I am stressed", "I feel lonely"), "I'm sorry to hear that."),
    (("thanks", "thank you", "thank you very much", "great, thanks", "perfect, thank you", "thx", "cheers"), "You're welcome!"),
    (("bye", "goodbye", "see you", "see you later", "good night", "talk to you tomorrow"), "Goodbye! Take care."),
    (("who are you", "what are you", "are you a robot", "are you human", "what is your name", "what's your name", "introduce yourself", "tell me about yourself", "which model are you"), WHO),
    (("what can you do", "how can you help me", "help", "what are you good at", "what do you do"), "I can remember what you tell me and answer questions about it."),
    (("tell me a joke", "do you know a joke", "make me laugh", "say something funny", "another joke please"), "Why did the memory cross the road? It had been told to."),
    (("ok", "okay", "I see", "fine", "great", "cool", "nice", "good", "alright", "wow", "interesting"), "Great!"),
    (("yes", "yes please", "sure"), "Okay!"),
    (("no", "no thanks", "nope"), "Okay, no problem."),
    (("sorry", "my mistake", "oops"), "No problem."),
    (("let's talk", "can we talk", "I want to chat", "I'm bored", "let us chat"), LIKE_WHAT),
    (("nice weather today", "it is raining", "it's cold outside", "the sun is shining", "what a hot day", "it is snowing"), "Enjoy the day!"),
    (("tell me a story", "write a poem", "sing a song", "write an essay", "write some code", "translate this for me", "summarise this text"), "I can't do that well. I'm a small model that remembers what you tell me."),
    (("are you there", "can you hear me", "test", "ping"), "I'm here."),
    (("you are great", "I like you", "well done", "good job", "you have a good memory"), "Thank you!"),
    (("you are wrong", "that's not right", "that is not correct"), "I'm sorry. Please tell me again."),
    (("do you like music", "do you like pizza", "what do you think", "what is your opinion", "do you have feelings", "how old are you", "where do you live", "what is your favourite colour"), "I'm only a small model, I have no life of my own."),
]
REACTIONS = ("I see.", "Interesting.", "Thanks for sharing.", "Okay.")
WORLD_QUESTIONS = (
    "what is the capital of {country}", "who wrote the {thing}", "how far is the {place} from {city}", "what is {a} plus {b}", "what is {a} times {b}", "how many people live in {city}",
    "who invented the {thing}", "how tall is the tower of {city}", "what is the meaning of {thing}", "how do I cook {food}", "what is the weather in {city}", "how many legs does a {animal} have",
    "what is the population of {country}", "when did the war in {country} end", "who is the president of {country}", "how does a {thing} work", "what time is it", "what day is it today",
    "why is the sky blue", "how do {animal}s sleep", "what is the largest {thing} in the world", "which {animal} is the fastest", "where is {city}", "what is a {animal}", "explain {subject} to me",
)  # fmt: skip


def tidy(text: str, rng: Random, mark: str) -> str:
    """As people type: mostly a capital and a mark, sometimes neither."""
    if rng.random() < 0.75:
        text = text[:1].upper() + text[1:]
    return text + (mark if rng.random() < 0.75 else "")


def exchange(rng: Random) -> tuple[str, str]:
    said, reply = rng.choice(EXCHANGES)
    return tidy(rng.choice(said), rng, rng.choice((".", "!", "?"))), reply


def world_question(rng: Random) -> tuple[str, str]:
    question = rng.choice(WORLD_QUESTIONS).format(
        country=values.country(rng), city=values.city(rng), thing=rng.choice(entries(words.THINGS)), place=rng.choice(entries(words.PLACES)),
        food=values.food(rng), animal=values.animal(rng), subject=values.subject(rng), a=rng.randint(1, 99), b=rng.randint(1, 99),
    )  # fmt: skip
    return tidy(question, rng, "?"), ONLY_TOLD
