"""The agent of a store: shares its runs with other hosts, and brings theirs here.

One small process per host and store, found by a lock in the store. It puts what the store's own runs
write to the link, and writes what others' have into the store, in the same files; so readers,
supervisors and web workers know nothing of it, and only it loads the client of an engine.

    process     the life of the process: its lock, its keeper, its end
    agent       the loop
    solo        that of a store with a shelf and no engine
    connection  the link: up or down, and the way back
    shipping    the store's own runs, to the link
    mirrors     runs of others, to the store
    evicting    the rule of how many mirrors stay
    late_marks  what becomes of the hooks of mirrors that are over
    kept_files  files that are kept with runs, between hosts
    vanished    stubs of runs that the link has no more; room: of what cannot be written here
    removals    runs that were removed here
    shelving    what is over, to the shelf, and what is wanted of it back; shelf_threads: its threads
    watching    changes of the store's files
    hosts       leases: who is here, who is silent, whose runs are lost
    claims      keys of runs that start here
    names       keys, places of polls and a secret that all hosts share
    control     what is wanted of runs elsewhere, and of this host's by others
"""
