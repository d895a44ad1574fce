"""Agents in a dictionary. They end with the process."""

from collections.abc import Iterable

from agent_memory.domain.kv.agents import Agent, AgentName


class InMemoryAgentStore:
    def __init__(self) -> None:
        self._agents: dict[AgentName, Agent] = {}

    def load(self) -> Iterable[Agent]:
        return list(self._agents.values())

    def put(self, agent: Agent) -> None:
        self._agents[agent.name] = agent

    def delete(self, name: AgentName) -> None:
        self._agents.pop(name, None)

    def close(self) -> None:
        pass
