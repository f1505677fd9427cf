"""Which rule finds a bad release, and which takes back good ones: the rules of others and ours on the same counts."""
