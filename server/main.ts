export { Cluster } from './cluster'
export { TaskQueue } from './queue/instances'
export { testing } from './testing/testing'
export type { TaskMatch, TestingMode } from './testing/helpers'
export type { TaskQueueCollection } from './queue/task-queue'
export type { InMemoryTasks } from './queue/memory/in-memory-tasks'
export type { ListenerOptions, TaskError, TaskEventListener, TaskEventType, TaskEvents } from './queue/listeners'
export type { ClusterOptions } from '../common/options'
export type { FindForOptions } from './queue/find-for'
export type { ClusterStats, WorkerExit, WorkerState, WorkerStats } from '../common/stats'
export type { CountOptions, TaskCounts } from './queue/mongo/counts'
export type { ScheduleStatus, ScheduleTick } from './queue/schedules/schedules'
export type { WaitOptions } from './queue/results/wait-limit'
export type { LogEntry, LogEvent, LogLevel } from '../common/log'
export type { IpcMessage, JobContext, MessageBroker, TaskFunction, ToggleIPC } from '../common/ipc'
export type { AttemptPolicy, Backoff, BackoffFunction, BackoffPolicy, KeepPolicy, TaskPolicy } from '../common/policy'
export type { Schedule, ScheduleRules, ScheduleTiming } from '../common/schedules'
export type { TaskDefinition, TaskMap } from '../common/task-map'
export type { Register, SchemaIssue, StandardSchema } from '../common/register'
export type { Job, LogLine, NewTask, Task, TaskFailure, TaskState } from '../common/task'
export {
  ClusterStoppedError,
  DuplicateTaskError,
  InvalidArgumentError,
  InvalidDataError,
  LeaseLostError,
  NoMessageBrokerError,
  RetryLaterError,
  TaskCancelledError,
  TaskFatalError,
  TaskRemovedError,
  TaskTimeoutError,
  UnknownTaskTypeError,
  UnsendableValueError,
  WaitTimeoutError,
  WorkerCrashError,
  WrongProcessError,
} from '../common/errors'
