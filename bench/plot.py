#!/usr/bin/env python3
"""Draws docs/net-speed/*.svg from the samples beside them: the same bytes for the same samples.

usage: plot.py [DIRECTORY]   writes setup.svg from setup.csv (net_setup's lines) and packets.svg from packets.csv (net_packets')
       plot.py --check [DIRECTORY]   fails where a drawing is not that of its samples
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


def main():
    words = sys.argv[1:]
    check = words[:1] == ['--check']
    directory = pathlib.Path((words[1:] if check else words)[:1][0] if (words[1:] if check else words) else
                             pathlib.Path(__file__).resolve().parent.parent / 'docs/net-speed')
    stale = []
    for name, draw in (('setup', setup), ('packets', packets)):
        drawn = draw(rows(directory / f'{name}.csv'))
        path = directory / f'{name}.svg'
        if not check:
            path.write_text(drawn, encoding='ascii')
        elif path.read_text(encoding='ascii') != drawn:
            stale.append(str(path))
    if stale:
        sys.exit('not the drawing of its samples: ' + ', '.join(stale) + '; bench/plot.py draws it')


if __name__ == '__main__':
    main()
