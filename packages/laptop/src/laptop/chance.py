"""How far a share of users may lie from the weight by chance alone, exactly.

A salt is drawn for each rollout, and puts every user somewhere on the hash line, independently of the others and of
when they come: of so many users, the number on green is binomial.
"""

import math


def likelihood(found: int, users: int, part: float) -> float:
    """That exactly so many of these users are on green, when each is with probability `part`."""
    if part in {0.0, 1.0}:
        return float(found == users * part)
    ways = math.lgamma(users + 1) - math.lgamma(found + 1) - math.lgamma(users - found + 1)
    return math.exp(ways + found * math.log(part) + (users - found) * math.log1p(-part))


def bounds(users: int, part: float, *, allowed: float) -> tuple[int, int]:
    """The fewest and the most on green that chance explains.

    Fewer are seen with probability `allowed` / 2 at most, and so are more. The exact tails are summed, as the normal
    curve is too thin in those of a small part (C. J. Clopper and E. S. Pearson, The use of confidence or fiducial
    limits illustrated in the case of the binomial, Biometrika 26 (1934) 404-413).
    """
    below, fewest = likelihood(0, users, part), 0
    while below <= allowed / 2 and fewest < users:
        fewest += 1
        below += likelihood(fewest, users, part)
    above, most = likelihood(users, users, part), users
    while above <= allowed / 2 and most > 0:
        most -= 1
        above += likelihood(most, users, part)
    return fewest, most


def outside(users: int, part: float, fewest: int, most: int) -> float:
    """The probability of fewer or more than these."""
    below = math.fsum(likelihood(found, users, part) for found in range(fewest))
    return below + math.fsum(likelihood(found, users, part) for found in range(most + 1, users + 1))
