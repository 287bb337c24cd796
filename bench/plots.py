"""Line plots as SVG elements that need nothing else."""
import html
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 280, 80, 16, 34, 44
COLOURS = ["#1b6ca8", "#d1495b", "#e9a23b", "#2e8b57", "#6a4c93"]


def short(value):
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return "%g%s" % (round(value / size, 2), unit)
    return "%g" % round(value, 3)


def steps(least, most):
    rough = max(most - least, 1e-9) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
    at = math.ceil(least / step) * step
    while at <= most * 1.0001:
        yield at
        at += step


def powers(least, most):
    power = 10 ** math.floor(math.log10(least))
    while power <= most:
        for times in (1, 2, 5) if most / least < 100 else (1,):
            if least * 0.999 <= power * times <= most * 1.001:
                yield power * times
        power *= 10


def plot(title, x_title, y_title, curves, x_logarithmic=False, y_logarithmic=False):
    """`curves`: name -> list of (x, y)."""
    points = [point for curve in curves.values() for point in curve]
    xs, ys = [x for x, _ in points], [y for _, y in points if y > 0]
    x_least, x_most = min(xs), max(xs)
    if x_least == x_most:
        x_most = x_least + 1
    y_least, y_most = (min(ys) * 0.7, max(ys) * 1.4) if y_logarithmic else (0, max(ys) * 1.1)

    def share(value, least, most, logarithmic):
        return math.log(max(value, least) / least) / math.log(most / least) if logarithmic else (value - least) / (most - least)

    def at_x(x):
        return LEFT + share(x, x_least, x_most, x_logarithmic) * (WIDTH - LEFT - RIGHT)

    def at_y(y):
        return HEIGHT - BOTTOM - share(y, y_least, y_most, y_logarithmic) * (HEIGHT - TOP - BOTTOM)

    out = ['<svg viewBox="0 0 %d %d" role="img" aria-label="%s">' % (WIDTH, HEIGHT, html.escape(title))]
    for y in powers(y_least, y_most) if y_logarithmic else steps(y_least, y_most):
        out.append('<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>'
                   % (LEFT, WIDTH - RIGHT, at_y(y), at_y(y), LEFT - 6, at_y(y) + 4, short(y)))
    for x in sorted(set(xs)):
        out.append('<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>'
                   % (at_x(x), at_x(x), TOP, HEIGHT - BOTTOM, at_x(x), HEIGHT - BOTTOM + 16, short(x)))
    out.append('<text x="%d" y="%d" text-anchor="middle">%s</text><text x="4" y="14">%s</text>'
               % ((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, html.escape(x_title), html.escape(y_title)))
    key_x = WIDTH - RIGHT
    for i, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        out.append('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>'
                   % (colour, " ".join("%.1f,%.1f" % (at_x(x), at_y(y)) for x, y in curve)))
        out += ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (at_x(x), at_y(y), colour) for x, y in curve]
        out.append('<text x="%d" y="14" text-anchor="end" style="fill:%s">― %s</text>' % (key_x, colour, html.escape(name)))
        key_x -= 34 + 7 * len(name)
    return "\n".join(out + ["</svg>"])


def bars(title, rows):
    """`rows`: (name, value, least, most): a bar for each ratio, with marks at its limits. On a logarithmic scale about 1: half and twice weigh the same."""
    ends = [end for _, value, least, most in rows for end in (value, least, most) if end] + [0.5, 2]
    low, high = min(ends) / 1.15, max(ends) * 1.15
    begin, room = 400, WIDTH - 400 - 56

    def at(ratio):
        return begin + math.log(ratio / low) / math.log(high / low) * room

    height = 26 * len(rows) + 30
    out = ['<svg viewBox="0 0 %d %d" role="img" aria-label="%s">' % (WIDTH, height, html.escape(title))]
    for ratio in powers(low, high):
        out.append('<line class="grid" x1="%.1f" x2="%.1f" y1="0" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>'
                   % (at(ratio), at(ratio), height - 20, at(ratio), height - 6, short(ratio)))
    for i, (name, value, least, most) in enumerate(rows):
        y = 26 * i + 6
        bounded = least is not None or most is not None
        kept = (least is None or value >= least) and (most is None or value <= most)
        colour = COLOURS[0] if not bounded else COLOURS[3] if kept else COLOURS[1]
        left, right = sorted((at(1), at(value)))
        if len(name) > 58:
            name = name[:57] + "…"
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%.1f" y="%d" width="%.1f" height="16" fill="%s"/>'
                   '<text x="%d" y="%d" text-anchor="end">%.2f</text>' % (begin - 8, y + 13, html.escape(name), left, y, max(right - left, 2), colour,
                                                                      WIDTH - 8, y + 13, value))
        for limit in (least, most):
            if limit is not None:
                out.append('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="currentColor" stroke-width="2"/>' % (at(limit), at(limit), y - 3, y + 19))
    out.append('<line x1="%.1f" x2="%.1f" y1="0" y2="%d" stroke="currentColor" stroke-opacity=".5"/>' % (at(1), at(1), height - 20))
    return "\n".join(out + ["</svg>"])
