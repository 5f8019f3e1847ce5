export const METHOD = `\
Method: all figures are from one invocation. It measures one subject after another, each in a process of its own, with
nothing beside it. All subjects that use MongoDB share one server: a replica set of one member, with the default write
concern. Each subject has a warm-up, then several runs. The tables show their median, smallest and largest value.

What the processes print goes to a file in memory, if the machine has such a folder. On the database's disk, each write
would wait for the log lines too: in latency-same-process we measured a median of 5.7 ms instead of 4.2 ms.

The tasks to drain are in the queue before a drain starts. Until then this package's workers, which are warm, are kept
busy. What the cluster has claimed ahead for them is not counted if the job does nothing. A subject that takes too long
for a drain is stopped after 10 s (1.5 s in a quick run), and what it did until then counts. Agenda keeps what is done,
so it starts each round on a new collection; all others do all rounds on one. If a peer can only add tasks one by one,
its tasks are copies of one that it added itself.

Times across processes are those of the monotonic clock, which they share. A job of 1 ms is a loop of as many steps as
take that long when nothing else runs.

What varies between machines: a ratio of two subjects that wait for the same thing (the database in drain-noop and in
the latencies) stays within a tenth. A ratio that compares processes with threads does not: memory-drain sends each job
through a pipe, and piscina hands it to a thread. On two machines of this type with two cores it was 2.01 and 1.9 times
piscina. On a third, busier one it was 0.68 to 0.87 in three runs, and drain-noop was 0.54 of the floor. cpu-speedup
depends on what else uses the cpus, and on whether both are cores of their own. So compare ratios of one run on the
machine that you will use, never absolute figures of two.`
