"""What do fewer bits cost trained models of three kinds of attention: perplexity on a text, and facts recalled?

The models are ours: windows and full attention (the one that ships), full attention alone, keys and values made from a
latent. What is measured, and how, is what `agent-memory calibrate` does: every token is read with keys and values as
the store gives them back. The text is given; WikiText-2 is what the bar speaks of.

    python -m benchmarks.quality --text wikitext-2-test.txt [--tokens 65536] [--contexts 25] [--json] [MODEL ...]
"""

from collections.abc import Iterator
from pathlib import Path

from agent_memory.application.calibration import Effort
from agent_memory.domain.kv.calibration import Tolerance, Verdict, judge
from agent_memory.settings import ModelSettings, Settings
from agent_memory.wiring.workshop import Text, Workbench
from benchmarks.harness import arguments, bar, report

MODELS = Path(__file__).parents[1] / "models"
PERPLEXITY = {"4": 3.0, "k8v4": 1.0}  # percent above 16 bits
POINTS = 1.0  # of a hundred facts, below 16 bits


def measure(model: str, text: Text, effort: Effort) -> Verdict:
    bench = Workbench(Settings(model=ModelSettings(id=model)))
    return judge(list(bench.measure(text, effort)), Tolerance())


def figures_of(verdict: Verdict) -> dict[str, object]:
    return {
        str(one.precision): {
            "bytes_per_token": one.token_bytes,
            "perplexity": round(one.perplexity, 3),
            "perplexity_change_percent": round(verdict.perplexity_change(one), 3),
            "greedy_agreement": round(one.agreement, 4),
            "recall": round(one.recall, 4),
            "questions": one.questions,
        }
        for one in verdict.measured
    }


def bars_of(name: str, verdict: Verdict) -> Iterator[dict[str, object]]:
    reference = verdict.measured[0]
    for one in verdict.measured[1:]:
        bits = str(one.precision)
        if bits in PERPLEXITY:
            change = verdict.perplexity_change(one)
            yield bar(f"{name}: percent of perplexity at {bits}", change, at_most=PERPLEXITY[bits])
        lost = round(100 * (reference.recall - one.recall), 6)  # shares of a few hundred facts: 1 is 1
        yield bar(f"{name}: points of recall lost at {bits}", lost, at_most=POINTS)


def main() -> None:
    effort = Effort(tokens=65_536, contexts=25)
    parser = arguments(__doc__)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=effort.tokens)
    parser.add_argument("--window", type=int, default=effort.window)
    parser.add_argument("--contexts", type=int, default=effort.contexts, help="of eight questions each")
    parser.add_argument("--distance", type=int, default=effort.distance, help="tokens between fact and question")
    parser.add_argument("models", nargs="*", default=["agent-memory-small", *map(str, sorted(MODELS.glob("*/")))])
    options = parser.parse_args()
    effort = Effort(options.tokens, options.window, options.contexts, options.distance)
    text = Text.of(options.text)
    verdicts = {Path(model).name: measure(model, text, effort) for model in options.models}
    read = {"text": text.name, "tokens": effort.tokens, "window": effort.window, "distance": effort.distance}
    figures = {name: figures_of(verdict) for name, verdict in verdicts.items()}
    bars = [one for name, verdict in verdicts.items() for one in bars_of(name, verdict)]
    report("quality", read | {"models": figures, "bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
