/** What the bench asks of the process of a subject, over the pipe between them. All times are milliseconds. */
import type { ClusterOptions } from 'meteor/nschwarz:cluster'

/** What a subject's process is started with, as JSON. */
export const SETTINGS_VARIABLE = 'CLUSTER_BENCH_SETTINGS'
/** Which module the host loads. */
export const MODULE_VARIABLE = 'CLUSTER_BENCH_MODULE'

export interface Settings {
  /** Of a database of its own. */
  readonly databaseUrl: string
  /** How many processes, or threads, run jobs; where the subject runs them in its own process, it says so. */
  readonly workers: number
  /** False: tasks are added only, for another process to run. */
  readonly runsJobs: boolean
  /** Measures less, and less exactly. */
  readonly quick: boolean
  /** The driver tells of the commands that it sends: only where they are counted, since it takes time. */
  readonly monitorsCommands: boolean
  /** Of the cluster, besides the number of its workers. */
  readonly options: Omit<ClusterOptions, 'messageBroker'>
}

/** A job that does nothing, or one that keeps a cpu busy. Only this package's has a result, of `resultBytes`. */
export type JobKind =
  { readonly name: 'noop' } | { readonly name: 'burn'; readonly iterations: number; readonly resultBytes?: number }

export interface Drain {
  readonly count: number
  readonly job: JobKind
  /** It is stopped then, and the rest removed. */
  readonly limit: number
}

export interface Drained {
  /** How many were done in that time. */
  readonly jobs: number
  readonly ms: number
}

/** Bytes. */
export interface Memory {
  readonly heap: number
  readonly rss: number
}

/** What a subject can be asked to do; each offers the operations that make sense for it. */
export interface Operations {
  /** Workers have booted and their code is compiled afterwards. */
  warmUp(): Promise<void>
  /** How it is set up, where that was chosen by measurement. */
  note(): Promise<string>
  /** Adds so many tasks one after the other. */
  addOne(count: number): Promise<number>
  /** Adds so many tasks, so many with each call. */
  addMany(count: number, size: number): Promise<number>
  /** Puts tasks into the queue while nothing runs them, then has them run. */
  drain(request: Drain): Promise<Drained>
  /**
   * Adds one task after the other, with the queue idle in between: the times from before the call to the start of the
   * job.
   */
  latency(samples: number): Promise<number[]>
  /** The same, with each task added by a job. */
  latencyWorkerAdded(samples: number): Promise<number[]>
  /** Adds one task that measures its latency; another process runs it. */
  addProbe(): Promise<void>
  /** Gets ready to run what another process adds. */
  listen(): Promise<void>
  /** The latency of the next task that measures it. */
  nextLatency(): Promise<number>
  memoryDrain(count: number): Promise<Drained>
  memoryLatency(samples: number): Promise<number[]>
  /** By how much memory grows while so many tasks are held. */
  memoryOf(count: number): Promise<Memory>
  /** Adds tasks that are due in a year, of so many distinct priorities. */
  schedule(count: number, priorities: number): Promise<void>
  /** How long the database takes per claim, over so many. */
  claimCost(count: number): Promise<number>
  /** The time that so many jobs take in the process itself, one after the other. */
  burnHere(count: number, iterations: number): Promise<number>
  /** Answers requests from now on. @returns the port */
  serveWeb(): Promise<number>
  /** Keeps the process itself busy for so much time, with turns of its event loop in between. */
  burnInTurns(iterations: number, ms: number): Promise<void>
  /** For how long its event loop stands still at most, within so much time. */
  longestGap(ms: number): Promise<number>
  /** How many commands the database is sent in so much time. */
  countCommands(ms: number): Promise<number>
  /** From the fork of a worker until it runs its first job. */
  workerBoot(samples: number): Promise<number[]>
}

export type OperationName = keyof Operations

export interface Request {
  readonly id: number
  readonly operation: OperationName
  readonly args: readonly unknown[]
}

export type Answer =
  | { readonly ready: true }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string }
