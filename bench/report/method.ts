export const METHOD = `Method: all of this is one run, one subject after the other and nothing beside it, each in a process of its own, on one
MongoDB (a replica set of one member, default write concern) for all that use MongoDB. Each has a warm-up, then several runs, of which the
median, the smallest and the largest are shown. What the processes print goes to a file in memory, where there is such a folder: on the database's
disk each of its writes would wait for the log lines, too (a median of 5.7 instead of 4.2 ms in latency-same-process, measured). A subject that takes too long for a drain
is stopped after a while, and what it did until then counts; agenda, which keeps what is done, starts each round on a new collection, all
others do all rounds on one. The tasks to drain are in the queue before it starts: this package's workers are
warm, and kept busy meanwhile; what it has claimed ahead for them is not counted, where the job does nothing. Tasks of a peer that can add them one by one only
are copies of one that it added itself. Times across processes are those of the monotonic clock, which they share. A job of 1 ms is a
loop of as many steps as take that long when nothing else runs.`
