"""Over what a running turn attends, where that is left open."""

from dataclasses import dataclass
from typing import Literal

from agent_memory.domain.kv.spec import Attention, CacheSpec


@dataclass(frozen=True, slots=True)
class AttentionChoice:
    """`wanted`, and what "auto" goes by: tokens of the longest turn, bytes that turns and blocks may fill together, and
    tokens that are read in one step. A limit of 0 is none.
    """

    wanted: Literal["auto", "packed", "expanded"] = "auto"
    context: int = 0
    budget: int = 0
    chunk: int = 512

    def of(self, spec: CacheSpec, *, on_cpu: bool, untouched: bool) -> Attention:
        """`untouched`: the model's attention can read what is packed; another one has it unpacked at every step.

        A GPU waits for its memory: the fewer bytes, the better. A CPU waits for its arithmetic, of which unpacking is
        more: it reads expanded copies, unless the longest turn would then not fit at all.
        """
        if self.wanted != "auto":
            return Attention(self.wanted)
        if not spec.quantized:
            return Attention.EXPANDED
        expanded = spec.lasting_bytes(self.context) + spec.working_bytes(self.context, self.chunk)
        fewer_bytes = untouched and not on_cpu
        return Attention.PACKED if fewer_bytes or 0 < self.budget < expanded else Attention.EXPANDED
