"""Ports of a controller that acts only while it holds the lease: whoever has lost it moves and starts nothing."""

from tranche.ports import Artifact, Colour, ColourState, Environment, Lease, Split, Traffic


class FencedTraffic:
    """The data plane. Raises LeaseLost instead of moving it without the lease."""

    def __init__(self, traffic: Traffic, lease: Lease) -> None:
        self._traffic, self._lease = traffic, lease

    def apply(self, split: Split) -> None:
        self._lease.demand()
        self._traffic.apply(split)

    def serving(self) -> str | None:
        return self._traffic.serving()


class FencedEnvironment:
    """The versions. Raises LeaseLost instead of starting or stopping one without the lease."""

    def __init__(self, environment: Environment, lease: Lease) -> None:
        self._environment, self._lease = environment, lease

    def identify(self, version: str) -> Artifact:
        return self._environment.identify(version)

    def ensure(self, colour: Colour, version: str) -> None:
        self._lease.demand()
        self._environment.ensure(colour, version)

    def state(self, colour: Colour) -> ColourState:
        return self._environment.state(colour)

    def retire(self, colour: Colour) -> str:
        self._lease.demand()
        return self._environment.retire(colour)
