"""What must never happen, as far as it is the engine's to prevent: each law has a name.

They are judged by what really happened - the log, the data plane, the versions, the clock (`court.py`) - and never by
what a controller believed, nor by making a decision again.

The numbers in front are those of the design's list: 1 traffic on a version known to be bad; 2 an advance without every
pass; 3 a user thrown back; 8 a pass of what did not run. The rest is what those rest on.
"""

from typing import Final

LAWS: Final = {
    "bad-traffic-ends": "1: nobody stays on a version that was seen to be bad, or was decided against",
    "people-are-called": "1: where going back is no remedy, somebody is called",
    "advance-on-passes": "2, 8: forward only with every gate's own pass, fresh data, green there and nobody pausing",
    "time-passes": "2: a phase has its dwell, and a version the time to get ready, by time that never jumps",
    "only-this-version": "2: what counts for a version was answered by it, in the stay that it counts for",
    "freeze-holds": "2: nothing goes forward while it is frozen, but a hotfix that was declared",
    "approvals-count": "2: forward only by people who may, and whose yes is to what is there and still counts",
    "users-stay": "3: green's weight falls only when the log takes users back, and the salt never changes",
    "no-return-holds": "past the point of no return only a person takes users back",
    "act-after-record": "traffic moves to nothing that is not in the log, but back to blue when it cannot be written",
    "stop-after-act": "green stops when it has no users, blue when green was shown good for everybody",
    "one-controller-acts": "who does not hold the lease records nothing, moves nothing and stops nothing",
    "applied-was-served": "a weight that is recorded as applied is served at that moment",
    "serves-what-the-log-says": "a tick in which nothing failed leaves the data plane as the log has it",
    "rollback-is-final": "after a rollback was decided nothing goes forward",
    "asked-twice-done-once": "what is asked again, as it is when an answer was lost, is done once",
    "log-folds": "the log can always be read, and says nothing after the end",
    "decision-has-entry": "no decision without its entry in the chain, in the same append",
    "evidence-agrees": "the evidence verifies, and every decision comes out again",
    "tick-never-raises": "no fault of the world ends the loop",
    "it-ends": "once the world is well a rollout ends, unless it waits for a person or the calendar",
}


class Broken(Exception):
    """A law was broken: its name, and how."""

    def __init__(self, law: str, how: str) -> None:
        super().__init__(f"{law}: {how} ({LAWS[law]})")
        self.law = law
