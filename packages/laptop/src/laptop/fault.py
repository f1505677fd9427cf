"""What can go wrong on a laptop: one line for people, exit 3."""


class LaptopFault(Exception):
    """A component could not be started or asked; the text names its log."""


class LaptopRefused(Exception):
    """What was asked for cannot be done; the text says what to do."""
