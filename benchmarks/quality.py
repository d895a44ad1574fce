"""What do fewer bits cost trained models of three kinds of attention: perplexity on a text, and facts recalled?

The models are ours: windows and full attention (the one that ships), full attention alone, keys and values made from a
latent. What is measured, and how, is what `agent-memory calibrate` does: every token is read with keys and values as
the store gives them back. The text is given; WikiText-2 is what the bar speaks of.

`python -m benchmarks.quality --text wikitext-2-test.txt [--tokens 65536] [--contexts 25]`
"""

import argparse
from pathlib import Path

from agent_memory.application.calibration import Effort
from agent_memory.domain.kv.calibration import Tolerance, judge
from agent_memory.settings import ModelSettings, Settings
from agent_memory.workshop import Text, Workbench
from benchmarks.harness import write

MODELS = Path(__file__).parents[1] / "models"
BAR = {"perplexity at 4 bits": "<= +3 %", "perplexity at K8V4": "aim <= +1 %", "recall": "within 1 point of 16 bits"}


def quality_of(model: str, text: Text, effort: Effort) -> dict[str, object]:
    bench = Workbench(Settings(model=ModelSettings(id=model)))
    measured = []
    for one in bench.measure(text, effort):
        measured.append(one)
        print(bench.plan.id, one, flush=True)
    verdict = judge(measured, Tolerance())
    return {
        f"{one.precision} bits": {
            "bytes_per_token": one.token_bytes,
            "perplexity": round(one.perplexity, 3),
            "perplexity_change_percent": round(verdict.perplexity_change(one), 3),
            "greedy_agreement": round(one.agreement, 4),
            "recall": round(one.recall, 4),
            "questions": one.questions,
        }
        for one in measured
    }


def main() -> None:
    effort = Effort(tokens=65_536, contexts=25)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=effort.tokens)
    parser.add_argument("--window", type=int, default=effort.window)
    parser.add_argument("--contexts", type=int, default=effort.contexts, help="of eight questions each")
    parser.add_argument("--distance", type=int, default=effort.distance, help="tokens between fact and question")
    parser.add_argument("models", nargs="*", default=["agent-memory-small", *map(str, sorted(MODELS.glob("*/")))])
    options = parser.parse_args()
    effort = Effort(options.tokens, options.window, options.contexts, options.distance)
    text = Text.of(options.text)
    figures = {Path(model).name: quality_of(model, text, effort) for model in options.models}
    read = {"text": text.name, "tokens": effort.tokens, "window": effort.window, "distance": effort.distance}
    print(write("quality", {"bar": BAR, **read, "models": figures}).read_text())


if __name__ == "__main__":
    main()
