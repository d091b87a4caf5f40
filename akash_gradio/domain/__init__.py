"""The vocabulary that all packages share: plain values, protocols and errors.

Start with `chat` (a request), `events` (the stream of its answer), `receipt` (what happened to
it) and `errors` (the error tree). `ports` holds the protocols through which the page reaches the
gateway. Imports the standard library only, and no other package of this one.
"""
