import type { WireError, WireValue } from '../../common/pipe/wire'
import type {
  ClusterStats,
  CountOptions,
  FindForOptions,
  IpcMessage,
  Job,
  ListenerOptions,
  NewTask,
  ScheduleStatus,
  Task,
  TaskCounts,
  testing,
} from 'meteor/nschwarz:cluster'

/** Which of the apps in tests/main.ts a forked server is. */
export const APP_VARIABLE = 'CLUSTER_TEST_APP'
/** `pure` runs only the suites that need no database. */
export const SUITES_VARIABLE = 'CLUSTER_TEST_SUITES'
/** Set where workers are to fail at boot. */
export const BOOT_FAILURE_VARIABLE = 'CLUSTER_TEST_BOOT_FAILURE'
/** The `_id` of a task that kills each worker that it is sent to, before that starts it. */
export const KILLER_VARIABLE = 'CLUSTER_TEST_KILLER'
/** Set where somebody takes the ports of workers while they boot. */
export const PORT_THIEF_VARIABLE = 'CLUSTER_TEST_PORT_THIEF'
/** Set where a startup hook is to wait for a task. */
export const WAITING_HOOK_VARIABLE = 'CLUSTER_TEST_WAITING_HOOK'
/** Set where a startup hook is to run a task, and to wait for its result. */
export const RUNNING_HOOK_VARIABLE = 'CLUSTER_TEST_RUNNING_HOOK'
/** Set where a startup hook is to stop the cluster. */
export const STOPPING_HOOK_VARIABLE = 'CLUSTER_TEST_STOPPING_HOOK'
/** Before the name of an example of the documentation. */
export const EXAMPLE_PREFIX = 'example:'
/** The options of the remote app's cluster, as JSON. */
export const OPTIONS_VARIABLE = 'CLUSTER_TEST_OPTIONS'

/** A publication of the tasks of the user who is logged in, with these further fields. */
export const OWN_TASKS = 'tests.ownTasks'
/** A method that logs in whoever it names. */
export const LOG_IN = 'tests.logIn'

type EventType = 'done' | 'error' | 'retry'
export type RecordedType = 'added' | 'start' | 'done' | 'workerExit'

export type ScheduleMethod = 'runSchedule' | 'pauseSchedule' | 'resumeSchedule'

/** `abortAfter`: milliseconds until their signal is aborted. `abortable`: it is by the call `abort`. */
export interface RemoteWaitOptions {
  readonly timeout?: number
  readonly abortAfter?: number
  readonly abortable?: true
}

/** What a test can have a remote master do. */
export interface Calls {
  addTask: (task: NewTask) => Promise<string>
  /** In the async context of this user. */
  addAs: (name: string, task: NewTask) => Promise<string>
  /** From now on, tells as whom the events of tasks are heard. */
  tellUsers: () => void
  addTasks: (tasks: readonly NewTask[]) => Promise<string[]>
  tasks: () => Task[]
  availableTasks: () => Task[]
  findById: (_id: string) => Task | undefined
  removeById: (_id: string) => Task | undefined
  release: (taskId: string, answer?: unknown) => boolean
  setRefreshRate: (refreshRate: number) => void
  initialize: () => void
  run: (task: NewTask, options?: RemoteWaitOptions) => Promise<unknown>
  result: (_id: string, options?: RemoteWaitOptions) => Promise<unknown>
  /** Aborts the signals of all waits that were started to be `abortable`. */
  abort: () => void
  /** Runs all at once. @returns what became of each */
  runAll: (tasks: readonly NewTask[]) => Promise<{ value?: unknown; error?: string }[]>
  /** Runs a task, and throws again what that throws. @returns of which classes the error is, and its own fields */
  errorOfRun: (task: NewTask) => Promise<{ classes: string[]; message: string; fields: unknown; cause: unknown }>
  /** @returns the documents of the cursor */
  findFor: (audience: unknown, options?: FindForOptions) => Promise<Partial<Task>[]>
  counts: (options?: CountOptions) => Promise<TaskCounts>
  stats: () => Promise<ClusterStats | undefined>
  /** Records the events of these types, by `on`. @param name of the record */
  record: (name: string, types: readonly RecordedType[], options?: ListenerOptions) => void
  stopRecording: (name: string) => void
  /** Subscribes to the channel of added tasks. */
  traceAdds: () => void
  pause: (taskType: string) => Promise<boolean>
  resume: (taskType: string) => Promise<boolean>
  schedules: () => Promise<ScheduleStatus[]>
  onSchedule: (method: ScheduleMethod, name: string) => Promise<unknown>
  /** Calls a method of `testing`. */
  testing: (method: keyof typeof testing, ...args: readonly unknown[]) => Promise<unknown>
  cancel: (_id: string) => Promise<boolean>
  retry: (_id: string) => Promise<boolean>
  remove: (_id: string) => Promise<number>
  /** Removes the task with this `_id`, and adds the new one at once. */
  replace: (task: NewTask & { _id: string }) => Promise<string>
  /** Adds tasks and cancels them at once. @returns their `_id`s, and what each cancel resolved to */
  addThenCancel: (tasks: readonly NewTask[]) => Promise<[string[], boolean[]]>
  /** @returns what the cancel and the retry after it resolved to */
  cancelThenRetry: (_id: string) => Promise<[boolean, boolean]>
  print: (text: string) => void
  /** Blocks the event loop. */
  block: (milliseconds: number) => void
  stop: (options?: { timeout?: number }) => Promise<void>
  /** The same function for the same type and mode. */
  listen: (type: EventType, mode: string, options?: ListenerOptions) => void
  stopListening: (type: EventType, mode?: string) => void
  secondCluster: () => void
  whatAmI: () => { isMasterBeforeCluster: boolean; hasMasterImports: boolean; maxWorkers: number }
  addAndChange: () => Promise<string>
  setClock: (milliseconds: number) => void
}

export interface Call {
  readonly id: number
  readonly method: keyof Calls
  readonly args: readonly unknown[]
}

/** What a remote master tells the test. */
export type Notice =
  | { readonly event: 'started' }
  | { readonly event: 'returned'; readonly id: number; readonly value: unknown }
  | { readonly event: 'threw'; readonly id: number; readonly error: WireError }
  | {
      [Event in EventType]: {
        readonly event: Event
        readonly wire: WireValue
        readonly task: Task
        readonly mode: string
      }
    }[EventType]
  | { readonly event: 'recorded'; readonly name: string; readonly type: RecordedType; readonly payload: unknown }
  | { readonly event: 'traced'; readonly taskType: string }
  | { readonly event: 'progress'; readonly value: unknown; readonly task: Task }
  | { readonly event: 'stalled'; readonly task: Task }
  | { readonly event: 'cancelled'; readonly task: Task }
  | { readonly event: 'message'; readonly message: IpcMessage; readonly task: Job }
  | { readonly event: 'held'; readonly taskId: string; readonly pid: number }

/** From a remote master to the test that started it. */
export function notify(notice: Notice): void {
  process.send?.({ notice })
}
