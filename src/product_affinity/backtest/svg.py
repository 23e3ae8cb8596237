"""Charts as inline SVG: colours and fonts come from the page's style sheet, so they follow light and dark themes."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

LEFT, RIGHT, TOP, BOTTOM = 62, 26, 12, 46


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes
    ----------
    label : what it shows.
    low, high : its ends; high above low.
    ticks : values with a grid line and a label.
    say : a tick in words.
    is_log : logarithmic; low above 0.
    """

    label: str
    low: float
    high: float
    ticks: Sequence[float]
    say: Callable[[float], str]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Position of a value between the ends, 0 to 1; values beyond an end stay at it.

        >>> Axis("days", 0, 10, (0, 10), str).share(2.5)
        0.25
        """
        value = min(max(value, self.low), self.high)
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass
class Chart:
    """A plot with two axes; marks are drawn in the order they are added.

    Attributes
    ----------
    title : read aloud in place of the picture.
    x, y : its axes.
    width, height : in pixels of its own scale.
    """

    title: str
    x: Axis
    y: Axis
    width: int = 620
    height: int = 380
    marks: list[str] = field(default_factory=list)

    def line(self, points: Iterable[tuple[float, float]], style: str) -> None:
        """Join points (x, y); those that do not exist (NaN) are left out."""
        joined = " ".join(f"{self._x(x)},{self._y(y)}" for x, y in points if not (math.isnan(x) or math.isnan(y)))
        if joined:
            self.marks.append(f'<polyline class="line {style}" points="{joined}"/>')

    def dot(self, x: float, y: float, style: str, *, says: str, low: float = math.nan, high: float = math.nan) -> None:
        """Draw a point with its vertical interval, and words shown under the pointer."""
        if math.isnan(y):
            return
        at = self._x(x)
        bar = ""
        if not math.isnan(low):
            bar = f'<line class="bar {style}" x1="{at}" y1="{self._y(low)}" x2="{at}" y2="{self._y(high)}"/>'
        point = f'<circle class="dot {style}" cx="{at}" cy="{self._y(y)}" r="4"/>'
        self.marks.append(f"<g><title>{html.escape(says)}</title>{bar}{point}</g>")

    def rule(self, x: float, says: str) -> None:
        """Draw a vertical line with a caption at its top."""
        at = self._x(x)
        self.marks.append(
            f'<line class="rule" x1="{at}" y1="{TOP}" x2="{at}" y2="{self.height - BOTTOM}"/>'
            f'<text class="tick" x="{float(at) + 5:.1f}" y="{TOP + 11}">{html.escape(says)}</text>'
        )

    def svg(self) -> str:
        """Return the element."""
        grid = "".join([*map(self._grid_x, self.x.ticks), *map(self._grid_y, self.y.ticks)])
        middle_x, middle_y = (LEFT + self.width - RIGHT) / 2, (TOP + self.height - BOTTOM) / 2
        labels = (
            f'<text class="axis" x="{middle_x:.1f}" y="{self.height - 8}" text-anchor="middle">'
            f"{html.escape(self.x.label)}</text>"
            f'<text class="axis" transform="translate(14 {middle_y:.1f}) rotate(-90)" text-anchor="middle">'
            f"{html.escape(self.y.label)}</text>"
        )
        return picture(self.title, self.width, self.height, grid + labels + "".join(self.marks))

    def _x(self, value: float) -> str:
        return f"{LEFT + self.x.share(value) * (self.width - LEFT - RIGHT):.1f}"

    def _y(self, value: float) -> str:
        return f"{self.height - BOTTOM - self.y.share(value) * (self.height - TOP - BOTTOM):.1f}"

    def _grid_x(self, tick: float) -> str:
        at, foot = self._x(tick), self.height - BOTTOM
        line = f'<line class="grid" x1="{at}" y1="{TOP}" x2="{at}" y2="{foot}"/>'
        said = html.escape(self.x.say(tick))
        return f'{line}<text class="tick" x="{at}" y="{foot + 17}" text-anchor="middle">{said}</text>'

    def _grid_y(self, tick: float) -> str:
        at = self._y(tick)
        line = f'<line class="grid" x1="{LEFT}" y1="{at}" x2="{self.width - RIGHT}" y2="{at}"/>'
        said = html.escape(self.y.say(tick))
        return f'{line}<text class="tick" x="{LEFT - 7}" y="{float(at) + 4:.1f}" text-anchor="end">{said}</text>'


def picture(title: str, width: int, height: int, content: str) -> str:
    """Wrap shapes into an `<svg>` that is read aloud by its title.

    >>> picture("two & two", 4, 2, "<g/>")
    '<svg viewBox="0 0 4 2" role="img" aria-label="two &amp; two"><g/></svg>'
    """
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}">{content}</svg>'


def whisker(value: float, low: float, high: float, *, ends: tuple[float, float], mark: float, style: str) -> str:
    """Draw a figure with its interval on a short line of its own, for a table's cell.

    Parameters
    ----------
    value, low, high : the figure and its interval; nothing is drawn where the figure does not exist.
    ends : of the scale, the same in a whole column.
    mark : value with a thin line, such as "no difference".
    style : class of the marks.
    """
    if math.isnan(value):
        return ""
    axis = Axis("", *ends, (), str)
    at = {name: f"{4 + 112 * axis.share(number):.1f}" for name, number in (("v", value), ("m", mark))}
    content = f'<line class="rule" x1="{at["m"]}" y1="0" x2="{at["m"]}" y2="14"/>'
    if not math.isnan(low):
        left, right = (f"{4 + 112 * axis.share(number):.1f}" for number in (low, high))
        content += f'<line class="bar {style}" x1="{left}" y1="7" x2="{right}" y2="7"/>'
    content += f'<circle class="dot {style}" cx="{at["v"]}" cy="7" r="3.5"/>'
    return f'<svg class="whisker" viewBox="0 0 120 14" aria-hidden="true">{content}</svg>'


def ticks(low: float, high: float, count: int = 5) -> tuple[float, ...]:
    """Return about `count` round values between two ends.

    >>> ticks(0, 0.23)
    (0.0, 0.05, 0.1, 0.15, 0.2)
    """
    raw = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return tuple(round(step * k, 12) for k in range(first, math.floor(high / step + 1e-9) + 1))
