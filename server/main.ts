export { Cluster } from './cluster'
export { TaskQueue } from './queue/task-queue'
export type { TaskQueueCollection } from './queue/task-queue'
export type { InMemoryTasks } from './queue/in-memory-tasks'
export type { TaskEventListener, TaskEventType, TaskEvents } from './queue/listeners'
export type { ClusterOptions } from '../common/options'
export type { IpcMessage, MessageBroker, TaskFunction, TaskMap, ToggleIPC } from '../common/ipc'
export type { Job, NewTask, Task, TaskFailure, TaskState } from '../common/task'
export {
  DuplicateTaskError,
  InvalidArgumentError,
  NoMessageBrokerError,
  UnknownTaskTypeError,
  UnsendableValueError,
  WorkerCrashError,
  WrongProcessError,
} from '../common/errors'
