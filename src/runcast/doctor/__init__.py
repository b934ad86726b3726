"""Whether a host is fit for runs: facts are gathered, and each check is a function of them.

    facts      what was found, as plain values
    gather     finds it: files of /proc, calls of the system, systemctl
    restarts   checks of what ends runs: units, containers, sessions
    resources  checks of limits, memory, clock, inotify, terminals
    storage    checks of the store and its disk
    report     all checks in order, as lines and as JSON

Only `gather` touches the system, so each check is tested by facts alone. The same for the way to a server:

    proxied_facts  what came of each form of output, as plain values
    ticking        the run that is read
    caller         requests, each by a connection of its own
    passage        reads that run in all forms at once
    proxied        checks of what came, and the line that cures it

Only `caller` touches the network.
"""
