/** What the measurements and the server that they measure tell each other, over the pipe of its process. */
import type { ClusterOptions, NewTask } from 'meteor/nschwarz:cluster'

/** What the server is to do, as JSON. */
export const SETTINGS_VARIABLE = 'CLUSTER_SCALE_SETTINGS'

export interface Settings {
  readonly options: Omit<ClusterOptions, 'messageBroker'>
  /** How many `nothing` tasks there will be; each has its number in its data. */
  readonly tasks: number
  /** After how many of them the server looks at itself. */
  readonly sampleEvery: number
}

/** What a server sees of itself. */
export interface Sample {
  /** Bytes, right after a garbage collection. */
  readonly heapUsed: number
  readonly rss: number
  /** How many there are of each kind, listeners on `process` included. */
  readonly counts: Readonly<Record<string, number>>
}

/** Times are those of the monotonic clock, which all processes share. */
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
  /** The server listens to commands. */
  | { readonly kind: 'ready'; readonly at: number }
  | { readonly kind: 'added'; readonly taskId: string }
  /** The function of a `hold` task was called; it waits until it is released. */
  | ({ readonly kind: 'started' } & Start)
  /** A `hold` task is done. */
  | { readonly kind: 'done'; readonly taskId: string }
  /** So many `nothing` tasks are done. */
  | { readonly kind: 'progress'; readonly done: number }
  | { readonly kind: 'sample'; readonly sample: Sample }
  /** Asked for by `account`: how many tasks were told done once, and how many more than once. */
  | { readonly kind: 'account'; readonly once: number; readonly repeatedly: number }

export type NoticeOf<Kind extends Notice['kind']> = Extract<Notice, { kind: Kind }>

export type Command =
  | { readonly command: 'add'; readonly task: NewTask }
  | { readonly command: 'release'; readonly taskId: string }
  | { readonly command: 'account' }
