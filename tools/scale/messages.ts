/** The messages between a measurement and the server that it measures, over the pipe of that server's process. */
import type { ClusterOptions, NewTask } from 'meteor/nschwarz:cluster'

/** The server's settings, as JSON. */
export const SETTINGS_VARIABLE = 'CLUSTER_SCALE_SETTINGS'

export interface Settings {
  readonly options: Omit<ClusterOptions, 'messageBroker'>
  /** How many `nothing` tasks there will be; each has its number in its data. */
  readonly tasks: number
  /** How many of them lie between two samples. */
  readonly sampleEvery: number
}

/** What a server measures of its own process. */
export interface Sample {
  /** Bytes, right after a garbage collection. */
  readonly heapUsed: number
  readonly rss: number
  /** How many active resources of each kind there are, and listeners on `process`. */
  readonly counts: Readonly<Record<string, number>>
}

/** The start of a job. All times are those of the monotonic clock, which all processes share. */
export interface Start {
  readonly taskId: string
  readonly attempt: number
  readonly at: number
  readonly pid: number
  /** When the process of the worker started, and when its modules began to load. */
  readonly forkedAt: number
  readonly loadedAt: number
}

export type Notice =
  /** The server accepts commands. */
  | { readonly kind: 'ready'; readonly at: number }
  | { readonly kind: 'added'; readonly taskId: string }
  /** The function of a `hold` task was called; it waits until it is released. */
  | ({ readonly kind: 'started' } & Start)
  /** A `hold` task is done. */
  | { readonly kind: 'done'; readonly taskId: string }
  /** This many `nothing` tasks are done. */
  | { readonly kind: 'progress'; readonly done: number }
  | { readonly kind: 'sample'; readonly sample: Sample }
  /** The answer to `account`: how many tasks had one `done` event, and how many had more. */
  | { readonly kind: 'account'; readonly once: number; readonly repeatedly: number }

export type NoticeOf<Kind extends Notice['kind']> = Extract<Notice, { kind: Kind }>

export type Command =
  | { readonly command: 'add'; readonly task: NewTask }
  | { readonly command: 'release'; readonly taskId: string }
  | { readonly command: 'account' }
