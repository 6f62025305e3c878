"""A made-up company with ninety days of history, for ``tollkeeper demo`` and for tests.

``history.History`` gives the calls, one after the other, in any number; ``people`` makes who
made them; ``filling`` writes both into a data folder the way a gateway and a console do.
"""
