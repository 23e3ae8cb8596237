"""A pair's way to adoption as a daily Markov chain, summed over days in closed form.

A pair is *idle*, has an *open* opportunity, has *adopted*, or is out (account lost, opportunity lost,
conflicting product bought). Each day, in this order: it leaves with chance `leave`; else an idle pair adopts
with chance `direct` or opens with chance `opening`, and an open one is won with chance `winning` or lost with
`losing`. With ``p = (1 - leave) (1 - direct - opening)`` and ``q = (1 - leave) (1 - winning - losing)`` the
chances after n days are geometric sums; there is no approximation in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from product_affinity.demo.population import Floats


@dataclass(frozen=True)
class Chances:
    """Daily chances of one period; arrays that broadcast against each other, each 0 to 1.

    `direct + opening` must stay below `winning + losing`, as the sums divide by their difference.
    """

    leave: Floats
    direct: Floats
    opening: Floats
    winning: Floats
    losing: Floats


@dataclass(frozen=True)
class Mass:
    """Probabilities of the states at one instant; what is missing to 1 is out for good."""

    idle: Floats
    open: Floats
    adopted: Floats

    def after(self, days: int, chances: Chances) -> Mass:
        """Return the probabilities `days` days later.

        Examples
        --------
        >>> even = Chances(*(np.array(x) for x in (0.0, 0.1, 0.0, 0.5, 0.5)))
        >>> start = Mass(np.array(1.0), np.array(0.0), np.array(0.0))
        >>> round(float(start.after(2, even).adopted), 4)
        0.19
        """
        stay = 1.0 - chances.leave
        p = stay * (1.0 - chances.direct - chances.opening)
        q = stay * (1.0 - chances.winning - chances.losing)
        p_days, q_days = _power(p, days), _power(q, days)
        sum_p, sum_q = (1.0 - p_days) / (1.0 - p), (1.0 - q_days) / (1.0 - q)
        opened = stay * chances.opening * self.idle / (p - q)
        won = self.open * sum_q + opened * (sum_p - sum_q)
        return Mass(
            idle=self.idle * p_days,
            open=self.open * q_days + opened * (p_days - q_days),
            adopted=self.adopted + stay * (chances.direct * self.idle * sum_p + chances.winning * won),
        )


def _power(base: Floats, exponent: int) -> Floats:
    # Repeated squaring: several times faster than `**` with a float base, and the same on every machine.
    result, square = np.ones_like(base), base
    while exponent:
        if exponent & 1:
            result = result * square
        square, exponent = square * square, exponent >> 1
    return result
