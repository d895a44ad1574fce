"""What a handler may ask for by name: the application, and the request it answers."""

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from agent_memory.bootstrap import Application

AnyRequest = Request[object, object, State]
GivenApplication = NamedDependency[SkipValidation[Application]]
