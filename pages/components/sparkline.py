"""A line without axes, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from markupsafe import Markup


def sparkline(values: Sequence[float | None], colour: str, *, wide: bool = False) -> Markup:
    """A missing value breaks the line. `colour` is what CSS takes."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup()
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    step = 104 / max(1, len(values) - 1)
    path, pen_up = [], True
    for number, value in enumerate(values):
        if value is None:
            pen_up = True
            continue
        # whole numbers, and a sign between them instead of a space: a page has hundreds of these lines
        path.append(f"{'M' if pen_up else 'L'}{number * step:.0f}-{1 + 98 * (value - low) / span:.0f}")
        pen_up = False
    # the page takes no inline SVG, but a mask: the line is cut out of a box that has the mode's own colour
    image = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='-2 -106 108 112' preserveAspectRatio='none'><path"
        f" d='{''.join(path)}' fill='none' stroke='#000' stroke-width='1.6' vector-effect='non-scaling-stroke'"
        " stroke-linejoin='round'/></svg>"
    )
    encoded = quote(image, safe=" '=:/-")  # what may stand in a quoted url() needs no three letters each
    return Markup(
        '<div class="u-spark{}" style="background:{};mask:url(&quot;data:image/svg+xml,{}&quot;) 0 0/100% 100% '
        'no-repeat" aria-hidden="true"></div>'
    ).format(" wide" if wide else "", colour, Markup(encoded))  # percent-encoded
