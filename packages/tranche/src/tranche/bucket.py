"""Which arm a user is on: what Envoy computes, computed again.

Envoy hashes each header of the hash policy with xxHash64 (seed 0) and combines them by rotating the hash so far
left by one and xor-ing the next (source/common/http/hash_policy.cc); the weighted cluster is chosen by the hash
modulo the sum of the weights, against cumulated weights in list order. The sum never changes and green comes
first, so that who is on green stays there while its weight rises.
"""

from typing import Final

import xxhash

from tranche.ports import TOTAL_WEIGHT, Arm, Split

BITS: Final = 64
MASK: Final = (1 << BITS) - 1


def combined(*values: str) -> int:
    """Envoy's hash of several header values, in the order of the policy."""
    found = 0
    for value in values:
        rotated = ((found << 1) | (found >> (BITS - 1))) & MASK
        found = rotated ^ xxhash.xxh64_intdigest(value.encode())
    return found


def place_of(user: str, salt: str) -> int:
    """A user's place on the hash line, 0 to TOTAL_WEIGHT - 1; fixed for a whole rollout."""
    return combined(salt, user) % TOTAL_WEIGHT


def arm_of(user: str, split: Split, *, internal: bool) -> Arm:
    """The arm that serves this user under this split."""
    if internal and split.internal_to_green:
        return Arm.INTERNAL
    place = place_of(user, split.salt)
    if place < split.green_weight:
        return Arm.GREEN
    if place >= TOTAL_WEIGHT - split.control_weight:
        return Arm.CONTROL
    return Arm.BLUE
