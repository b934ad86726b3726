"""The files of a store: the only room that knows what they are called, and how they are locked and moved.

Everything above speaks ids, records and logs. It is below the logs: of those, this room knows only
their folder. Whose processes may be killed is the supervisor's to decide; where a run comes from is
written in its files, and so decided here.

    files        a store's folder: which runs are in it, and how one gets in and out
    folder       whether a folder is a store, and its making
    permissions  who else may write to it
    memory       the folder of a store in memory
    run_folder   where a run is now, and who may write there: lock and state
    run_files    the other files of a run: request, input, result, progress, outcome
    contents     what these files say, checked field by field
    keys         names that runs have until they are removed
    origin       which machine, boot, pid namespace and folder a run belongs to
    viewed       which runs were started for viewers, and which of them may have to go
    positions    how far the replies to polls of one key are
    servers      which servers serve a store
    token        the token of those servers
"""
