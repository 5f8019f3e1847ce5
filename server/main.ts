export { Cluster } from './cluster'
export { TaskQueue } from './queue/task-queue'
export type { TaskQueueCollection } from './queue/task-queue'
export type { InMemoryTasks } from './queue/memory/in-memory-tasks'
export type { ListenerOptions, TaskEventListener, TaskEventType, TaskEvents } from './queue/listeners'
export type { ClusterOptions } from '../common/options'
export type { LogEntry, LogEvent, LogLevel } from '../common/log'
export type { IpcMessage, JobContext, MessageBroker, TaskFunction, ToggleIPC } from '../common/ipc'
export type { AttemptPolicy, Backoff, BackoffFunction, BackoffPolicy } from '../common/policy'
export type { TaskDefinition, TaskMap } from '../common/task-map'
export type { Job, NewTask, Task, TaskFailure, TaskState } from '../common/task'
export {
  ClusterStoppedError,
  DuplicateTaskError,
  InvalidArgumentError,
  LeaseLostError,
  NoMessageBrokerError,
  TaskCancelledError,
  TaskTimeoutError,
  UnknownTaskTypeError,
  UnsendableValueError,
  WorkerCrashError,
  WrongProcessError,
} from '../common/errors'
