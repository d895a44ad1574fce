"""Memory for AI agents, above and below the prompt.

These are the names of the inner rings, which import nothing but the standard library. What opens databases and models
is asked for by its own name: `from agent_memory.bootstrap import bootstrap`.
"""

from agent_memory.application.conversation import Conversation, Message, Prompt, Sampling
from agent_memory.application.replies import Delta, Finish
from agent_memory.application.semantic_memory import SemanticMemory
from agent_memory.domain.errors import AgentMemoryError
from agent_memory.domain.kv.block import CacheBlock
from agent_memory.domain.kv.pool import BlockPool
from agent_memory.domain.kv.spec import CacheSpec
from agent_memory.domain.semantic.memory import Memory, MemoryType
from agent_memory.domain.semantic.recall import Recollection
from agent_memory.domain.semantic.scoring import ScoringPolicy

__all__ = [
    "AgentMemoryError",
    "BlockPool",
    "CacheBlock",
    "CacheSpec",
    "Conversation",
    "Delta",
    "Finish",
    "Memory",
    "MemoryType",
    "Message",
    "Prompt",
    "Recollection",
    "Sampling",
    "ScoringPolicy",
    "SemanticMemory",
]
