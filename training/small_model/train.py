"""Trains the small model: ``python -m training.small_model.train --out FOLDER``.

Deterministic for a seed and a machine. Each phase lengthens the dialogues; a checkpoint and a usable model
are written after each, and every few hundred steps.
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import torch
from torch.nn import functional

from . import tokenizer as own_tokenizer
from .architectures import ARCHITECTURES, Architecture, Phase
from .batches import Batch, RowMaker, picked, positions
from .export import export
from .layers import SmallModel

VALUE_WEIGHT = 3.0  # what an answer is about counts for more than how it is put
WARM_UP, DECAY_FROM = 100, 0.5  # steps; share of the run after which the rates fall to zero


@dataclass
class Run:
    """The state of training: all that a checkpoint holds."""

    model: SmallModel
    optimizers: list[torch.optim.Optimizer]
    rng: Random
    dice: torch.Generator
    step: int = 0
    seen: int = 0
    started: float = field(default_factory=time.monotonic)

    def save(self, path: Path) -> None:
        states = [optimizer.state_dict() for optimizer in self.optimizers]
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizers": states,
                "rng": self.rng.getstate(),
                "dice": self.dice.get_state(),
                "step": self.step,
            },
            path,
        )

    def load(self, path: Path) -> None:
        saved = torch.load(path, weights_only=False)
        self.model.load_state_dict(saved["model"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.rng.setstate(saved["rng"])
        self.dice.set_state(saved["dice"])
        self.step = saved["step"]


def optimizers(model: SmallModel, muon_rate: float, adam_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, Adam for the embedding, the norms and the gates of experts."""
    apart = ("embed_tokens.weight", "mlp.gate.weight")
    matrices = [weight for name, weight in model.named_parameters() if weight.dim() == 2 and not name.endswith(apart)]
    others = [weight for name, weight in model.named_parameters() if weight.dim() == 1 or name.endswith(apart)]
    return [
        torch.optim.Muon(matrices, lr=muon_rate, weight_decay=0.02, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate(step: int, total: int) -> float:
    fall = (total - step) / (total * (1 - DECAY_FROM))
    return min(1.0, (step + 1) / WARM_UP, max(0.02, fall))


def loss_of(run: Run, batch: Batch, phase: Phase) -> torch.Tensor:
    chosen = picked(batch, phase.others, run.dice)
    length = batch.tokens.shape[1] - 1
    places = positions(length, run.rng, stretched=run.rng.random() < phase.stretched)
    with torch.autocast("cpu", torch.bfloat16):
        logits = run.model(batch.tokens[:, :-1], places, chosen, quantised=phase.quantised)
    weights = 1 + (VALUE_WEIGHT - 1) * batch.values[:, 1:][chosen].float()
    losses = functional.cross_entropy(logits.float(), batch.tokens[:, 1:][chosen], reduction="none")
    return (losses * weights).sum() / weights.sum()


def train_step(run: Run, batch: Batch, phase: Phase, share: float) -> float:
    for optimizer in run.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("full", group["lr"]) * share
    loss = loss_of(run, batch, phase)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    for optimizer in run.optimizers:
        optimizer.step()
        optimizer.zero_grad()
    run.step += 1
    run.seen += batch.tokens.numel()
    return float(loss.detach())


@torch.no_grad()
def value_accuracy(run: Run, maker: RowMaker, length: int) -> float:
    """Share of held-out value tokens that are the first guess, given the words before them."""
    batch = maker.batch(max(2, 8192 // length), length)
    run.model.eval()
    with torch.compiler.set_stance("force_eager"), torch.autocast("cpu", torch.bfloat16):
        logits = run.model(batch.tokens[:, :-1], torch.arange(length), batch.values[:, 1:])
    run.model.train()
    return float((logits.argmax(-1) == batch.tokens[:, 1:][batch.values[:, 1:]]).float().mean())


def report(run: Run, losses: list[float], phase: Phase, maker: RowMaker) -> None:
    seconds = time.monotonic() - run.started
    accuracy = value_accuracy(run, maker, phase.length)
    print(
        f"step {run.step} loss {sum(losses) / len(losses):.4f} values {accuracy:.3f} "
        f"{run.seen / seconds:.0f} tok/s {seconds / 60:.1f} min",
        flush=True,
    )


def train(run: Run, chosen: Architecture, tokenizer: own_tokenizer.Tokenizer, out: Path) -> None:
    encoder = own_tokenizer.Encoder(tokenizer)
    maker, examiner = RowMaker(encoder, run.rng), RowMaker(encoder, Random(99), testing=True)
    total, end, losses = sum(phase.steps for phase in chosen.phases), 0, []
    for phase in chosen.phases:
        end += phase.steps
        while run.step < end:
            losses.append(
                train_step(run, maker.batch(phase.tokens // phase.length, phase.length), phase, rate(run.step, total))
            )
            if run.step % 100 == 0:
                report(run, losses, phase, examiner)
                losses.clear()
            if run.step % 250 == 0 or run.step == end:
                run.save(out / "checkpoint.pt")
                export(out / "model", chosen.shape, run.model.state_dict(), tokenizer)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--architecture", choices=sorted(ARCHITECTURES), default="gemma3_text")
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--muon-rate", type=float, default=4e-3)
    options.add_argument("--adam-rate", type=float, default=2e-3)
    options.add_argument("--tokenizer", type=Path, help="a folder whose tokenizer is kept; else it is trained anew")
    options.add_argument("--resume", action="store_true", help="continue from the checkpoint in the folder")
    chosen = options.parse_args()
    torch.manual_seed(chosen.seed)
    torch.set_num_threads(chosen.threads)
    chosen.out.mkdir(parents=True, exist_ok=True)
    architecture = ARCHITECTURES[chosen.architecture]
    tokenizer = own_tokenizer.load(chosen.tokenizer) if chosen.tokenizer else own_tokenizer.build()
    model = architecture.network(architecture.shape)
    run = Run(
        model,
        optimizers(model, chosen.muon_rate, chosen.adam_rate),
        Random(chosen.seed),
        torch.Generator().manual_seed(chosen.seed),
    )
    if chosen.resume:
        run.load(chosen.out / "checkpoint.pt")
    model.model.compile(dynamic=False)  # each phase has its length
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters", flush=True)
    train(run, architecture, tokenizer, chosen.out)


if __name__ == "__main__":
    main()
