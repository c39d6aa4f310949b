#!/usr/bin/env python3
"""Draws the drawings of docs/ from the samples beside them: the same bytes for the same samples.

usage: plot.py           net-speed: setup.svg from setup.csv (net_setup's lines), packets.svg from packets.csv (net_packets');
                         sleep-speed: wake.svg and faults.svg from wake.csv (wake_bench --csv), seal.svg from seal.csv (seal_bench --csv), diff.svg from diff.csv
                         (diff_bench --csv)
       plot.py --check   fails where a drawing is not that of its samples
"""
import csv
import math
import pathlib
import statistics
import sys

INK, PALE, SET_UP, TEAR_DOWN = '#222', '#ccc', '#2a6fbb', '#c8553d'
NAMES = {'worker': 'the net worker', 'bare': 'a bare program, the same requests', 'commands': 'ip and nft, a command at a time',
         'cni': "CNI's bridge plugin"}


def rows(path):
    with open(path, encoding='ascii') as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith('#')))


class Drawing:
    def __init__(self, width, height, title):
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
                      f'font-family="sans-serif" font-size="13" fill="{INK}">', f'<title>{title}</title>',
                      f'<rect width="{width}" height="{height}" fill="white"/>']
        self.text(12, 22, title, weight='bold')

    def text(self, x, y, words, anchor='start', weight='normal'):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{words}</text>')

    def line(self, x1, y1, x2, y2, colour=INK, width=1.0):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>')

    def bar(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def dot(self, x, y, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')

    def done(self):
        return '\n'.join(self.parts + ['</svg>', ''])


def setup(samples):
    """Medians as bars on a logarithmic axis, every sample as a tick."""
    whos = [who for who in NAMES if any(row['who'] == who for row in samples)]
    drawing = Drawing(860, 80 + 64 * len(whos), 'Setting up (blue) and tearing down (red) 64 tenants and 1,000 taps, ms; less is better')
    left, right, least, most = 250, 800, 2.0, 5.0  # powers of ten
    place = lambda ms: left + (right - left) * (math.log10(ms) - least) / (most - least)
    bottom = 44 + 64 * len(whos)
    for power in range(int(least), int(most) + 1):
        drawing.line(place(10 ** power), 36, place(10 ** power), bottom, PALE)
        drawing.text(place(10 ** power), bottom + 18, f'{10 ** power:,}', 'middle')
    for i, who in enumerate(whos):
        top = 44 + 64 * i
        drawing.text(left - 10, top + 28, NAMES[who], 'end')
        for k, (column, colour) in enumerate((('up_ms', SET_UP), ('down_ms', TEAR_DOWN))):
            values = [float(row[column]) for row in samples if row['who'] == who]
            middle, y = statistics.median(values), top + 24 * k
            drawing.bar(left, y, place(middle) - left, 18, colour)
            for value in values:
                drawing.line(place(value), y, place(value), y + 18)
            drawing.text(place(max(values)) + 6, y + 14, f'{middle:,.0f}')
    return drawing.done()


def packets(samples):
    """Packets a second against a host with one tenant, part by part of the run, and the median."""
    hosts = list(dict.fromkeys((row['kind'], row['host']) for row in samples if row['host'] != 'one tenant'))
    tenants = max(int(row['tenants']) for row in samples)
    drawing = Drawing(860, 90 + 30 * len(hosts), f'Packets a second against a host with one tenant ({tenants} are many); grey: within 5%')
    left, right, least, most = 470, 830, 0.7, 1.1
    place = lambda ratio: left + (right - left) * (min(max(ratio, least), most) - least) / (most - least)
    bottom = 46 + 30 * len(hosts)
    drawing.bar(place(0.95), 36, place(1.05) - place(0.95), bottom - 36, '#eee')
    for tick in (0.7, 0.8, 0.9, 1.0, 1.1):
        drawing.line(place(tick), 36, place(tick), bottom, PALE)
        drawing.text(place(tick), bottom + 18, f'{tick:.1f}', 'middle')
    for i, (kind, host) in enumerate(hosts):
        y = 62 + 30 * i
        values = [1 / float(row['quotient']) for row in samples if (row['kind'], row['host']) == (kind, host)]
        drawing.text(left - 10, y + 4, f'{kind}: {host}', 'end')
        for value in values:
            drawing.dot(place(value), y, '#9bbbdd')
        middle = statistics.median(values)
        drawing.line(place(middle), y - 9, place(middle), y + 9, SET_UP, 3)
    return drawing.done()


def axes(drawing, left, bottom, right, top, across, up):
    """Lines and names of both axes: `across` and `up` are lists of (where it is, what stands there)."""
    for x, name in across:
        drawing.line(x, top, x, bottom, PALE)
        drawing.text(x, bottom + 18, name, 'middle')
    for y, name in up:
        drawing.line(left, y, right, y, PALE)
        drawing.text(left - 8, y + 4, name, 'end')


def curve(drawing, points, colour):
    for (x1, y1), (x2, y2) in zip(points, points[1:]):
        drawing.line(x1, y1, x2, y2, colour, 2)


def wake(samples):
    """Every sample as a dot, a line through the medians; both axes logarithmic."""
    ways = (('whole', TEAR_DOWN, 'all of it first'), ('all', '#999', 'page by page: all in, the key gone'), ('lazy', SET_UP, 'page by page: the first page'))
    sizes = sorted({int(row['mib']) for row in samples})
    drawing = Drawing(860, 440, 'From the request to the first page, ms, by the guest\'s memory, MiB; less is better')
    left, right, top, bottom = 70, 560, 40, 390
    across = lambda mib: left + (right - left) * math.log(mib / sizes[0]) / math.log(sizes[-1] / sizes[0])
    up = lambda ms: bottom - (bottom - top) * math.log10(ms) / 4
    axes(drawing, left, bottom, right, top, [(across(mib), f'{mib:,}') for mib in sizes], [(up(10 ** power), f'{10 ** power:,}') for power in range(5)])
    for way, colour, name in ways:
        points = []
        for mib in sizes:
            values = [float(row['ms']) for row in samples if row['what'] == way and int(row['mib']) == mib]
            for value in values:
                drawing.dot(across(mib), up(value), colour)
            points.append((across(mib), up(statistics.median(values))))
        curve(drawing, points, colour)
        drawing.text(right + 12, points[-1][1] + (14 if way == 'all' else -4), name)
    return drawing.done()


def faults(samples):
    """How many of the faults took no longer than that."""
    largest = max(int(row['mib']) for row in samples)
    values = [float(row['ms']) for row in samples if row['what'] == 'fault' and int(row['mib']) == largest]
    drawing = Drawing(860, 440, f'One fault of a guest of {largest:,} MiB while the rest comes in: the part that took no longer, ms')
    left, right, top, bottom = 70, 820, 40, 390
    across = lambda ms: left + (right - left) * (math.log10(min(max(ms, 0.01), 100)) + 2) / 4
    up = lambda part: bottom - (bottom - top) * part
    axes(drawing, left, bottom, right, top, [(across(10.0 ** power), f'{10.0 ** power:g}') for power in range(-2, 3)],
         [(up(part), f'{part:.0%}') for part in (0, 0.25, 0.5, 0.75, 1)])
    curve(drawing, [(across(value), up(i / len(values))) for i, value in enumerate(values)], SET_UP)
    return drawing.done()


def seal(samples):
    """Medians as bars, every round as a tick."""
    whats = (('limit', 'openssl and zstd -1, one after the other', '#999'), ('zstd', 'sealed, compressed', SET_UP), ('none', 'sealed as it is', SET_UP))
    drawing = Drawing(860, 80 + 40 * len(whats), 'Sealing, MB of guest memory a second of one core; more is better')
    most = max(float(row['mb_s']) for row in samples) * 1.1
    left, right, bottom = 290, 800, 44 + 40 * len(whats)
    place = lambda speed: left + (right - left) * speed / most
    for tick in range(0, int(most), 500):
        drawing.line(place(tick), 36, place(tick), bottom, PALE)
        drawing.text(place(tick), bottom + 18, f'{tick:,}', 'middle')
    for i, (what, name, colour) in enumerate(whats):
        values, top = [float(row['mb_s']) for row in samples if row['what'] == what], 44 + 40 * i
        drawing.text(left - 10, top + 18, name, 'end')
        drawing.bar(left, top, place(statistics.median(values)) - left, 26, colour)
        for value in values:
            drawing.line(place(value), top, place(value), top + 26)
        drawing.text(place(max(values)) + 6, top + 18, f'{statistics.median(values):,.0f}')
    return drawing.done()


def diff(samples):
    """What a diff costs of the full snapshot's, in the median, by how much has changed."""
    kinds = (('seal', 'sealing', SET_UP), ('open', 'opening', '#777'), ('bytes', 'size', TEAR_DOWN))
    drawing = Drawing(860, 440, "A diff on its pool's base, as a part of the full snapshot, by how many of the pages have changed")
    left, right, top, bottom = 70, 820, 60, 390
    across = lambda changed: left + (right - left) * changed / 50
    up = lambda part: bottom - (bottom - top) * part / 2
    axes(drawing, left, bottom, right, top, [(across(tick), f'{tick} %') for tick in (0, 10, 20, 30, 40, 50)], [(up(tick), f'{tick:g}') for tick in (0, 0.5, 1, 1.5, 2)])
    for i, (kind, name, colour) in enumerate(kinds):
        parts = {}
        for row in samples:
            parts.setdefault(float(row['changed']), []).append(float(row[f'{kind}_diff']) / float(row[f'{kind}_full']))
        curve(drawing, [(across(changed), up(statistics.median(values))) for changed, values in sorted(parts.items())], colour)
        drawing.bar(left + 120 * i, 36, 12, 12, colour)
        drawing.text(left + 18 + 120 * i, 47, name)
    return drawing.done()


# A folder of docs/, its samples, and what is drawn of them.
DRAWINGS = (('net-speed', 'setup', 'setup', setup), ('net-speed', 'packets', 'packets', packets),
            ('sleep-speed', 'wake', 'wake', wake), ('sleep-speed', 'wake', 'faults', faults), ('sleep-speed', 'seal', 'seal', seal), ('sleep-speed', 'diff', 'diff', diff))


def main():
    check = sys.argv[1:] == ['--check']
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    docs = pathlib.Path(__file__).resolve().parent.parent / 'docs'
    stale = []
    for folder, source, name, draw in DRAWINGS:
        drawn = draw(rows(docs / folder / f'{source}.csv'))
        path = docs / folder / f'{name}.svg'
        if not check:
            path.write_text(drawn, encoding='ascii')
        elif path.read_text(encoding='ascii') != drawn:
            stale.append(str(path))
    if stale:
        sys.exit('not the drawing of its samples: ' + ', '.join(stale) + '; bench/plot.py draws it')


if __name__ == '__main__':
    main()
