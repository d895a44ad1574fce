from agent_memory.adapters.postgres.conditions import Conditions
from agent_memory.domain.semantic.filters import parse_filter
from agent_memory.domain.semantic.selection import Selection


def test_one_of_thousands_is_one_comparison():
    conditions = Conditions()
    conditions.selected(Selection(metadata=parse_filter({"i": {"in": list(range(2000))}})))
    assert len(conditions.parameters) == 2  # the path and the values
