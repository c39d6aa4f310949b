#!/usr/bin/env python3
"""Where the kernel waits while the network's benchmark runs: how often and how long, by the function that waits. Needs perf and root.

    perf record -a -o waits.data -e sched:sched_switch -g -- build/bench/net_setup 64 1000 1 0
    perf script -i waits.data -F comm,pid,tid,cpu,time,event,trace,ip,sym | bench/net_waits.py RUNS

RUNS, by which all is divided: 5 of the above (the worker; recording it and the bare program, twice).
"""
import collections
import re
import sys

SWITCH = re.compile(r'(\d+\.\d+):.*?(?:prev_comm=)?(\S+?)(?::| prev_pid=)(\d+) .*?(?:\[\d+\] |prev_state=)(\S+) ==> (?:next_comm=)?(\S+?)(?::| next_pid=)(\d+)')
# The waiting function and for whom, the innermost first.
WAITS = ('synchronize_rcu_expedited', 'synchronize_rcu_normal', 'rcu_barrier', '__mutex_lock', 'do_wait', 'anon_pipe_read')
FOR = ('__tun_detach', 'tun_net_uninit', 'netdev_rx_handler_unregister', 'br_multicast_dev_del', 'dev_deactivate_many', 'nf_tables_abort',
       'netdev_run_todo', 'linkwatch_sync_dev', 'unregister_netdevice_many_notify')


def named(symbols, names):
    return next((name for symbol in symbols for name in names if symbol.startswith(name)), None)


def main():
    runs = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    away, spent, count = {}, collections.Counter(), collections.Counter()
    for block in sys.stdin.read().split('\n\n'):
        lines = block.strip().split('\n')
        found = SWITCH.search(lines[0]) if 'sched_switch' in lines[0] else None
        if not found:
            continue
        when, before, before_id, state, after, after_id = found.groups()
        if before.startswith('net_setup'):
            away[before_id] = (float(when), state, [line.split()[1] for line in lines[1:] if len(line.split()) > 1])
        if after.startswith('net_setup') and after_id in away:
            since, state, symbols = away.pop(after_id)
            wait = 'ready, but another program ran' if state.startswith('R') else f'{named(symbols, WAITS)} in {named(symbols, FOR)}'
            spent[wait] += float(when) - since
            count[wait] += 1
    for wait, seconds in spent.most_common():
        if 'pipe' not in wait:
            print(f'{1000 * seconds / runs:9.1f} ms {count[wait] / runs:8.1f} times  {wait}')


if __name__ == '__main__':
    main()
