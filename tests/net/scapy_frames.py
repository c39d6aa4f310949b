#!/usr/bin/python3
"""Frames of each kind to each target, built by scapy: one line a frame, `TARGET KIND MARKER FRAME`, the last two in hex.

The arguments are NAME=VALUE: mac, ip (the guest's own), other_mac, other_ip (not its own), and for each target its MAC, address
and broadcast address as TARGET=MAC,ADDRESS,BROADCAST.
"""
import logging
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.all import ARP, ICMP, IP, LLC, TCP, UDP, Dot1Q, Dot3, Ether, IPv6, ICMPv6EchoRequest, fragment  # noqa: E402

PORT = 4000


def frames(guest, target, sport, marker):
    mac, address, broadcast = target
    ether = Ether(src=guest["mac"], dst=mac)
    ip = IP(src=guest["ip"], dst=address)
    udp = UDP(sport=sport, dport=PORT) / marker
    yield "ICMP", [ether / ip / ICMP() / marker]
    yield "TCP", [ether / ip / TCP(sport=sport, dport=PORT, flags="S") / marker]
    yield "UDP", [ether / ip / udp]
    arp = ARP(op="who-has", hwsrc=guest["mac"], psrc=guest["ip"], pdst=address)
    yield "ARP", [Ether(src=guest["mac"], dst="ff:ff:ff:ff:ff:ff") / arp / marker]
    yield "broadcast", [Ether(src=guest["mac"], dst="ff:ff:ff:ff:ff:ff") / IP(src=guest["ip"], dst=broadcast) / udp]
    yield "multicast", [Ether(src=guest["mac"], dst="01:00:5e:00:00:01") / IP(src=guest["ip"], dst="224.0.0.1") / udp]
    long = UDP(sport=sport, dport=PORT) / (marker.ljust(1600, b"m") + marker)
    yield "fragments", [ether / part for part in fragment(ip / long, fragsize=800)]
    yield "IPv6", [ether / IPv6(src="fe80::5", dst="ff02::1") / ICMPv6EchoRequest(data=marker)]
    yield "VLAN", [ether / Dot1Q(vlan=5) / ip / udp]
    yield "spoofed MAC", [Ether(src=guest["other_mac"], dst=mac) / ip / udp]
    yield "spoofed IP", [ether / IP(src=guest["other_ip"], dst=address) / udp]
    yield "raw 802.3", [Dot3(src=guest["mac"], dst=mac) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / marker]


def main():
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    guest = {name: given.pop(name) for name in ("mac", "ip", "other_mac", "other_ip")}
    sport = 20000
    for name, target in given.items():
        # The marker says which cell it is of; each kind has its own.
        for index, (kind, _) in enumerate(list(frames(guest, target.split(","), 1, b""))):
            sport += 1
            marker = b"scpy" + sport.to_bytes(2, "big") + b"\x5a\xa5"
            for built in list(frames(guest, target.split(","), sport, marker))[index][1]:
                print(name.replace(" ", "_"), kind.replace(" ", "_"), marker.hex(), bytes(built).hex())


main()
