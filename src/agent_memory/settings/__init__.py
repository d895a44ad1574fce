"""What the operator decides: read once, checked once, frozen. No layer below reads the environment."""

from agent_memory.settings.checking import checked
from agent_memory.settings.loading import VARIABLES, load_settings
from agent_memory.settings.own_profiles import profiles_of
from agent_memory.settings.profiles import Machine, ModelPlan, Profile, load_profiles, plan_model
from agent_memory.settings.sections import (
    CacheSettings,
    DatabaseSettings,
    MemorySettings,
    ModelSettings,
    ServerSettings,
    Settings,
)

__all__ = [
    "VARIABLES",
    "CacheSettings",
    "DatabaseSettings",
    "Machine",
    "MemorySettings",
    "ModelPlan",
    "ModelSettings",
    "Profile",
    "ServerSettings",
    "Settings",
    "checked",
    "load_profiles",
    "load_settings",
    "plan_model",
    "profiles_of",
]
