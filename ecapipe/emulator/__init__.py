"""A local org that behaves like Salesforce's login server, as far as ecapipe's flows need it."""

from ecapipe.emulator.faults import Fault
from ecapipe.emulator.org import OrgSetup, Pair, RegisteredApp
from ecapipe.emulator.server import Asked, Emulator
from ecapipe.emulator.visitor import VisitError

__all__ = ["Asked", "Emulator", "Fault", "OrgSetup", "Pair", "RegisteredApp", "VisitError"]
